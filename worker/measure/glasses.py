"""Glasses and sunglasses, by the lines of a frame and by what is seen of the eyes.

A frame crosses bare skin in three places where no face has a line of its own: the bridge of the nose, and below each
eye where the lower rim runs. Each place is crossed by several parallel profiles, and what counts is a ridge, dark or
bright, that all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.patches import BLUE_GREEN, LIGHT, RED_GREEN, FacePatches, Skin, median_colour, sample

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
_BRIDGE_OFFSETS: Final = (-0.05, -0.025, 0.0, 0.025, 0.05)
_RIM_OFFSETS: Final = (-0.12, -0.06, 0.0, 0.06, 0.12)
"""Where the parallel profiles run, beside the middle one [outer eye distances]."""
_NOISE: Final = 2.0
"""How often the quietest quarter's response is taken off the strongest: what the grain of a dark photo alone makes."""
_BRIDGE_STEPS, _RIM_STEPS = 48, 36
_RIM_FROM, _RIM_LENGTH = 0.05, 0.36
"""From below the lower lid down to the cheek [outer eye distances]: lenses are 35 to 50 mm high."""

_UPPER_LIDS: Final = (27, 28, 29, 30, 222, 223, 224, 225, 257, 258, 259, 260, 442, 443, 444, 445)
_LOWER_LIDS: Final = (23, 24, 22, 110, 229, 230, 253, 254, 252, 339, 449, 450)
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
    pixels: NDArray[np.uint8], landmarks: NDArray[np.float64], patches: FacePatches, skin: Skin
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
    skin : Skin
        Of the same.

    Returns
    -------
    Eyewear
    """
    ridge = patches.gain * frame_ridge(pixels, landmarks, patches.unit_px)
    doubt = (ridge - FRAME_RIDGE) / (CLEAR_FRAME_RIDGE - FRAME_RIDGE)
    return Eyewear(
        glasses=float(np.clip((1 + doubt) / 2, 0, 1)),
        sunglasses=_eyes_hidden(patches, skin),
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
    down = points[152] - points[10]
    down = down / np.linalg.norm(down)
    starts = [0.6 * points[9] + 0.4 * points[8]]
    ends = [0.7 * points[195] + 0.3 * points[5]]
    for lid in (145, 374):
        starts.append(points[lid] + _RIM_FROM * unit_px * down)
        ends.append(starts[-1] + _RIM_LENGTH * unit_px * down)
    settings = ((_BRIDGE_OFFSETS, _BRIDGE_STEPS), (_RIM_OFFSETS, _RIM_STEPS), (_RIM_OFFSETS, _RIM_STEPS))
    places = [
        _profile_places(start, end, offsets, steps, unit_px)
        for start, end, (offsets, steps) in zip(starts, ends, settings, strict=True)
    ]
    light = sample(pixels, np.concatenate(places), 0.0)[:, LIGHT]
    ridges, at = [], 0
    for index, (start, end, (offsets, steps)) in enumerate(zip(starts, ends, settings, strict=True)):
        profiles = light[at : at + steps * len(offsets)].reshape(steps, len(offsets))
        at += steps * len(offsets)
        width = _RIM_WIDTH if index else _BRIDGE_WIDTH
        step = float(np.linalg.norm(end - start)) / unit_px / (steps - 1)
        ridges.append(_strongest_ridge(profiles, max(1, round(width / max(step, 1e-6)))))
    return sorted(ridges)[1]


def _profile_places(
    start: NDArray[np.float64], end: NDArray[np.float64], offsets: tuple[float, ...], steps: int, unit_px: float
) -> NDArray[np.float64]:
    along = end - start
    beside = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    middle = start + np.linspace(0, 1, steps)[:, np.newaxis] * along
    return np.asarray((middle[:, np.newaxis] + np.outer(offsets, beside) * unit_px).reshape(-1, 2))


def _strongest_ridge(profiles: NDArray[np.float64], width: int) -> float:
    """Find the strongest ridge that the middle one of the parallel profiles shares, dark or bright."""
    if len(profiles) <= 2 * width:
        return 0.0
    here, before, after = profiles[width:-width], profiles[: -2 * width], profiles[2 * width :]
    dark, bright = np.minimum(before, after) - here, here - np.maximum(before, after)
    middle = profiles.shape[1] // 2
    shared = [np.sort(ridge, axis=1)[:, middle] for ridge in (dark, bright)]
    noise = float(np.sort(np.abs(shared[0]))[len(shared[0]) // 4])
    return max(float(ridge.max()) for ridge in shared) - _NOISE * noise


def _eyes_hidden(patches: FacePatches, skin: Skin) -> bool:
    upper, lower = (median_colour(patches.off_skin(lids, skin)) for lids in (_UPPER_LIDS, _LOWER_LIDS))
    tint = min(float(np.hypot(lids[RED_GREEN], lids[BLUE_GREEN])) for lids in (upper, lower))
    dark = max(float(upper[LIGHT]), float(lower[LIGHT]))
    return not patches.eyes_seen or tint > _TINTED or (dark < _DARKENED and patches.eye_contrast < _EYES_DIM)
