"""Glasses and sunglasses, by the lines of a frame and by what is seen of the eyes.

A frame crosses bare skin in three places where no face has a line of its own: the bridge of the nose, and below each
eye where the lower rim runs. Each place is crossed by several parallel profiles, and what counts is a ridge, dark or
bright, that all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.patches import BLUE_GREEN, LIGHT, RED_GREEN, FacePatches, median_colour, sample_light

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_RIDGE: Final = 0.06
"""Log light of a ridge that is a frame. London's fit half, second strongest of the three places: 0.02 at most, 0.05 in
noisy copies; drawn frames, thick or black, 0.1 and more on nine of ten."""
CLEAR_FRAME_RIDGE: Final = 0.15
"""A frame that nobody could doubt."""

_BRIDGE_WIDTH: Final = 0.05
_RIM_WIDTH: Final = 0.04
"""How far beside the ridge the skin is looked at [outer eye distances]: 4 to 5 mm, more than most frames are thick."""
_PROFILES: Final = 5
_BRIDGE_BREADTH, _RIM_BREADTH = 0.05, 0.12
"""How far the outermost of the parallel profiles run beside the middle one [outer eye distances]."""
_TINY: Final = 1e-6
_NOISE: Final = 2.0
"""How often the quietest quarter's response is taken off the strongest: what the grain of a dark photo alone makes."""
_BRIDGE_STEPS, _RIM_STEPS = 48, 36
_RIM_FROM, _RIM_LENGTH = 0.05, 0.36
"""From below the lower lid down to the cheek [outer eye distances]: lenses are 35 to 50 mm high."""


def _grid(steps: int, breadth: float) -> NDArray[np.float64]:
    """Give the places of parallel profiles, shape (steps * profiles, 2): the share of the way along, and beside it."""
    along, beside = np.linspace(0, 1, steps), np.linspace(-breadth, breadth, _PROFILES)
    return np.stack(np.meshgrid(along, beside, indexing="ij"), axis=-1).reshape(-1, 2)


_BRIDGE_GRID: Final = _grid(_BRIDGE_STEPS, _BRIDGE_BREADTH)
_RIM_GRID: Final = _grid(_RIM_STEPS, _RIM_BREADTH)
_FOREHEAD_TOP, _CHIN = 10, 152
_RIGHT_LID, _LEFT_LID = 145, 374

_UPPER_LIDS: Final = np.array((27, 28, 29, 30, 222, 223, 224, 225, 257, 258, 259, 260, 442, 443, 444, 445))
_LOWER_LIDS: Final = np.array((23, 24, 22, 110, 229, 230, 253, 254, 252, 339, 449, 450))
_TINTED: Final = 0.28
"""How far the colour of both lids lies off the skin's behind tinted or mirrored lenses. Fit half: 0.08 at most."""
_DARKENED: Final = -0.85
_EYES_DIM: Final = 0.33
"""Lids this much darker than the skin (log light) are behind dark lenses, unless the eye stands out as bare ones do."""


@dataclass(frozen=True, slots=True)
class Eyewear:
    """What is worn before the eyes.

    Attributes
    ----------
    glasses : float
        How surely a frame is there, 0 to 1; from 0.5 on it is.
    sunglasses : bool
        Whether the eyes cannot be seen.
    """

    glasses: float
    sunglasses: bool


def find_eyewear(
    pixels: NDArray[np.uint8], landmarks: NDArray[np.float64], patches: FacePatches, off_skin: NDArray[np.float64]
) -> Eyewear:
    """Find glasses.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, of any reduction.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].
    patches : FacePatches
        Of the same.
    off_skin : ndarray of float64, shape (468, 3)
        How far the patches' colours are from the skin's.

    Returns
    -------
    Eyewear
    """
    ridge = patches.gain * frame_ridge(pixels, landmarks, patches.unit_px)
    doubt = (ridge - FRAME_RIDGE) / (CLEAR_FRAME_RIDGE - FRAME_RIDGE)
    return Eyewear(
        glasses=min(max((1 + doubt) / 2, 0.0), 1.0),
        sunglasses=_eyes_hidden(patches, off_skin),
    )


def frame_ridge(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64], unit_px: float) -> float:
    """Measure the second strongest ridge of three: on the bridge, and below each eye.

    Two places must agree, so that neither a crease between the eyes nor a bag under one of them makes a frame.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].
    unit_px : float
        Distance between the outer eye corners [px].

    Returns
    -------
    float
        Depth or height of the ridge in log light.
    """
    points = landmarks[:, :2]
    down = points[_CHIN] - points[_FOREHEAD_TOP]
    rim = down * (_RIM_LENGTH * unit_px / hypot(*down.tolist()))
    rim_starts = [points[lid] + _RIM_FROM / _RIM_LENGTH * rim for lid in (_RIGHT_LID, _LEFT_LID)]
    bridge_start = 0.6 * points[9] + 0.4 * points[8]
    bridge = 0.7 * points[195] + 0.3 * points[5] - bridge_start
    on_rim = _profiles(_RIM_GRID, rim, unit_px)
    on_bridge = _profiles(_BRIDGE_GRID, bridge, unit_px)
    places = np.concatenate([on_bridge + bridge_start, *(on_rim + start for start in rim_starts)])
    light = sample_light(pixels, places)
    bridge_length = hypot(*bridge.tolist()) / unit_px
    ridges = (
        *_strongest_ridges(light[: len(on_bridge)], _BRIDGE_STEPS, _BRIDGE_WIDTH / max(bridge_length, _TINY)),
        *_strongest_ridges(light[len(on_bridge) :], _RIM_STEPS, _RIM_WIDTH / _RIM_LENGTH),
    )
    return sorted(ridges)[1]


def _profiles(grid: NDArray[np.float64], along: NDArray[np.float64], unit_px: float) -> NDArray[np.float64]:
    """Lay parallel profiles along a line [px from its beginning]."""
    x, y = along.tolist()
    beside = unit_px / max(hypot(x, y), _TINY)
    return np.asarray(grid @ np.array([[x, y], [-y * beside, x * beside]]))


def _strongest_ridges(light: NDArray[np.float64], steps: int, width: float) -> list[float]:
    """Find, of each bundle of parallel profiles, the strongest ridge that its middle one shares, dark or bright.

    `width`, of what lies beside a ridge, is a share of the profiles' length.
    """
    profiles = light.reshape(-1, steps, _PROFILES)
    width_steps = max(1, round(width * (steps - 1)))
    if steps <= 2 * width_steps:
        return [0.0] * len(profiles)
    here = profiles[:, width_steps:-width_steps]
    before, after = profiles[:, : -2 * width_steps], profiles[:, 2 * width_steps :]
    ridges = np.array([np.minimum(before, after) - here, here - np.maximum(before, after)])
    ridges.sort(axis=-1)
    shared = ridges[..., _PROFILES // 2]
    noise = np.sort(np.abs(shared[0]), axis=-1)[:, shared.shape[-1] // 4]
    strongest: list[float] = (shared.max(axis=(0, 2)) - _NOISE * noise).tolist()
    return strongest


def _eyes_hidden(patches: FacePatches, off_skin: NDArray[np.float64]) -> bool:
    upper, lower = (median_colour(off_skin[lids]) for lids in (_UPPER_LIDS, _LOWER_LIDS))
    tint = min(float(np.hypot(lids[RED_GREEN], lids[BLUE_GREEN])) for lids in (upper, lower))
    dark = max(float(upper[LIGHT]), float(lower[LIGHT]))
    return not patches.eyes_seen or tint > _TINTED or (dark < _DARKENED and patches.eye_contrast < _EYES_DIM)
