"""What covers a face: masks, scarves, hands, beards, hair, caps.

The mesh cannot tell: behind a mask it draws the mouth it expects. So the picture is asked twice, and either answer will
do. First by colour: how much of a region is not skin, with the skin's colour taken from wherever most of the face
agrees (`worker/measure/patches.py`). Second by structure: a mouth has lips of another colour than the skin around it
and a line between them, a nose has dark nostrils; a mask in the colour of the skin, a grey one in a grey photo, or a
hand has neither. Figures: docs/adr/0009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.glasses import Eyewear, find_eyewear
from worker.measure.landmarks import CANONICAL_POINTS
from worker.measure.patches import (
    AROUND_MOUTH,
    BLUE_GREEN,
    LIGHT,
    LIPS,
    RED_GREEN,
    FacePatches,
    find_skin,
    median_colour,
    sample,
    sample_face,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

COVERED: Final = 0.5
"""Sureness from which on a region counts as covered."""
SURELY_COVERED: Final = 0.8
"""Sureness from which on nothing of it can be measured."""

_CHIN: Final = np.array(
    (
        *(18, 200, 199, 175, 83, 313, 201, 421, 208, 428, 171, 396, 182, 406, 194, 418, 32, 262, 140, 369, 106, 335),
        *(204, 424, 211, 431, 170, 395),
    )
)
"""Its middle, then its sides."""
_NOSE: Final = np.array((4, 5, 51, 281, 45, 275, 134, 363, 220, 440, 131, 360, 115, 344, 1, 44, 274))
_FOREHEAD: Final = np.array((151, 108, 337, 69, 299, 104, 333, 10, 109, 338, 67, 297, 103, 332, 68, 298, 54, 284))
_HAIR_ON_FOREHEAD: Final = 0.35
"""Share of the forehead's points that are not skin from which on it counts as covered: the uppermost lie in many
people's hair. London's fit half, bare: 0.11 at most; a full fringe 0.8."""
_NOSTRILS: Final = np.array((79, 309, 238, 458, 20, 250, 60, 290, 237, 457, 241, 461))
_BELOW_AND_ABOVE_NOSTRILS: Final = np.array((1, 4, 44, 274, 164, 167, 393))
_UPPER_LIP_MIDDLES: Final = np.array((11, 72, 302, 73, 303))
_LOWER_LIP_MIDDLES: Final = np.array((16, 85, 315, 180, 404))

_SKIN_RED_GREEN: Final = 0.15
_SKIN_BLUE_GREEN: Final = 0.18
"""Axes of the ellipse that one person's skin stays in, forehead to chin (logarithmic colour of patches). London, fit
half: every patch around a bare mouth lies inside."""
_REDDEST: Final = np.full(CANONICAL_POINTS, _SKIN_RED_GREEN)
_REDDEST[_NOSE] *= 2
"""Noses redden by cold, sun and age as the rest of the face does not."""
_SKIN_DARKEST: Final = -0.70
_SKIN_BRIGHTEST: Final = 0.45
"""Light of skin against the person's own: shade under the chin to a shine on the nose."""

_LIP_RANGE: Final = np.array([[-0.15, 0.60], [-0.05, 0.35], [-0.90, 0.35]])
"""Lips against the skin: redder (lipstick most), bluer, mostly darker; of very dark skin sometimes brighter."""
_LIPS_DIFFER: Final = 0.08
"""How far lips of a bearded mouth are at least from what surrounds them."""
_LIP_COLOUR_STEP: Final = 0.06
_LIP_LIGHT_STEP: Final = 0.10
_LIP_LINE_DEPTH: Final = 0.15
"""Each about half of what a bare mouth typically shows, and more than plain cloth does."""
_GREY: Final = 0.015
"""Spread of the colours over a face below which the photo has no colour; nostrils then stand in for the lips'."""
_MOUTH_SEEN: Final = 3.0
"""Sum of the three, in those units, at which a mouth is surely seen. London's fit half, bare: 14 of 16 over 4.5, the
least distinct 2.4. Half way to the next, at 2, it is decided."""
_MOUTH_UNSEEN: Final = 1.0
"""The same at which it is surely not: plain cloth, folds included, has 0.8 on nine of ten masks and 1.2 at most, a
hand 1.7 at most."""
_NOSTRIL_DEPTH: Final = 0.20
"""Nostrils are darker than the tip of the nose by 0.37 at least in London; behind cloth they stay below 0.1, in folds
of scarves below 0.3."""

_LINE_PLACES: Final = np.linspace(-0.25, 1.25, 13)[:, np.newaxis]
_LINE_RADIUS: Final = 0.006
"""Half the side of the patches that look for the line between the lips [outer eye distances]."""


@dataclass(frozen=True, slots=True)
class Occlusion:
    """How surely each part of a face is covered, 0 (bare) to 1.

    Attributes
    ----------
    forehead, nose, mouth, chin : float
        From `COVERED` on it is.
    eyewear : Eyewear
        Glasses and sunglasses.
    """

    forehead: float
    nose: float
    mouth: float
    chin: float
    eyewear: Eyewear

    @property
    def share(self) -> float:
        """How much of the face is covered: the mean of the four regions and the eyes behind dark lenses."""
        dark_lenses = 1.0 if self.eyewear.sunglasses else 0.0
        return (self.forehead + self.nose + self.mouth + self.chin + dark_lenses) / 5


def find_occlusion(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> Occlusion:
    """Find what covers a face.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, of any reduction.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].

    Returns
    -------
    Occlusion
        The mouth counts as covered when its surroundings are not skin and no lips show, or when it has no structure of
        a mouth; the chin when it is not skin (a full beard included: the chin's outline is not seen then either), and
        whenever the mouth is covered, since the mesh then only guesses where the chin is.
    """
    patches = sample_face(pixels, landmarks)
    skin = find_skin(patches)
    off_skin = patches.off_skin(skin)
    foreign = _foreign(off_skin)
    structure = _mouth_structure(pixels, landmarks, patches)
    unseen = min(max((_MOUTH_SEEN - structure) / (_MOUTH_SEEN - _MOUTH_UNSEEN), 0.0), 1.0)
    mouth = unseen if _lips_show(off_skin) else max(unseen, _share(foreign, AROUND_MOUTH))
    nose = _share(foreign, _NOSE)
    if mouth >= COVERED and _nostril_depth(patches) < _NOSTRIL_DEPTH:
        nose = max(nose, mouth)
    return Occlusion(
        forehead=min(1.0, _share(foreign, _FOREHEAD) * COVERED / _HAIR_ON_FOREHEAD),
        nose=nose,
        mouth=mouth,
        chin=max(_share(foreign, _CHIN), mouth),
        eyewear=find_eyewear(pixels, landmarks, patches, off_skin),
    )


def _foreign(off_skin: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell of each point whether it is not skin, by how far its colour is off, shape (468, 3)."""
    red_green, blue_green, light = off_skin.T
    red_axis = np.where(red_green > 0, _REDDEST, _SKIN_RED_GREEN)
    tinted = (red_green / red_axis) ** 2 + (blue_green / _SKIN_BLUE_GREEN) ** 2 > 1
    return np.asarray(tinted | (light < _SKIN_DARKEST) | (light > _SKIN_BRIGHTEST))


def _share(foreign: NDArray[np.bool_], points: NDArray[np.intp]) -> float:
    """How much of a region is not skin."""
    return np.count_nonzero(foreign[points]) / points.size


def _lips_show(off_skin: NDArray[np.float64]) -> bool:
    """Whether there are lips in what is not skin: the mouth in a beard."""
    off = off_skin[LIPS]
    like_lips = ((off >= _LIP_RANGE[:, 0]) & (off <= _LIP_RANGE[:, 1])).all(axis=1)
    if np.count_nonzero(like_lips) <= LIPS.size / 2:
        return False
    step = median_colour(off) - median_colour(off_skin[AROUND_MOUTH])
    return bool(np.hypot(step[RED_GREEN], step[BLUE_GREEN]) > _LIPS_DIFFER)


def _mouth_structure(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64], patches: FacePatches) -> float:
    """Add up what tells a mouth from cloth: the colour of the lips, their light, and the line between them."""
    lips, around = (median_colour(patches.colours[points]) for points in (LIPS, AROUND_MOUTH))
    step = lips - around
    upper, lower = landmarks[_UPPER_LIP_MIDDLES, :2], landmarks[_LOWER_LIP_MIDDLES, :2]
    places = upper[:, np.newaxis] + _LINE_PLACES * (lower - upper)[:, np.newaxis]
    light = sample(pixels, places.reshape(-1, 2), _LINE_RADIUS * patches.unit_px)[:, LIGHT]
    profile = np.sort(light.reshape(len(upper), -1), axis=0)[len(upper) // 2]
    profile = patches.gain * (profile[:-2] + profile[1:-1] + profile[2:]) / 3
    lip = len(profile) // 2 - 1
    line = min(profile[:lip].max(), profile[-lip:].max()) - profile[1:-1].min()
    if patches.colours[:, :LIGHT].std(axis=0).max() < _GREY:
        colour = 1.0 if _nostril_depth(patches) > _NOSTRIL_DEPTH else 0.0
    else:
        colour = abs(float(step[RED_GREEN] + step[BLUE_GREEN])) / _LIP_COLOUR_STEP
    return colour + abs(float(step[LIGHT])) / _LIP_LIGHT_STEP + max(float(line), 0.0) / _LIP_LINE_DEPTH


def _nostril_depth(patches: FacePatches) -> float:
    """How much darker the nostrils are than what lies above and below them, in log light."""
    darkest = np.sort(patches.colours[_NOSTRILS, LIGHT])[: len(_NOSTRILS) // 3].mean()
    return float(median_colour(patches.colours[_BELOW_AND_ABOVE_NOSTRILS])[LIGHT] - darkest)
