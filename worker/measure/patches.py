"""Colours of a face, patch by patch, in a form that light changes little.

Skin of one person keeps its ratios of red to green and of blue to green from forehead to chin, in light and in shade
and whatever the white balance: in logarithms, a change of light or of white balance adds the same to every patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.geometry import outer_eye_distance_px
from worker.measure.landmarks import CANONICAL_POINTS, LEFT_EYE_OUTER, RIGHT_EYE_OUTER

if TYPE_CHECKING:
    from numpy.typing import NDArray

RED_GREEN, BLUE_GREEN, LIGHT = 0, 1, 2
"""The columns of a colour: log R/G, log B/G, log of the luminance."""

PATCH_RADIUS: Final = 0.012
"""Half the side of a patch, of the distance between the outer eye corners: about 1 mm on the face."""

_DARK_OFFSET: Final = 10.0
"""Grey levels added before the logarithm, so that the noise of black cloth and of shadows stays small."""
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""

_STEPS: Final = np.array([[-1.0], [0.0], [1.0]])
"""To the columns, and to the rows, of the nine pixels of a patch [its radius]."""

_EYES: Final = np.array((468, 473, 469, 471, 474, 476, 33, 133, 362, 263, 159, 145, 386, 374))
_EYE_RADIUS: Final = 0.008
_RADII: Final = np.repeat((PATCH_RADIUS, _EYE_RADIUS), (CANONICAL_POINTS, _EYES.size))
EYES_UNSEEN: Final = 0.15
"""Standard deviation of the log light over iris, white and lids below which there is no eye to be seen. London, fit
half: 0.35 at least in bare eyes; behind dark or tinted lenses 0.06 at most, but up to 0.30 in mirrored ones."""
_EYE_CONTRAST: Final = (0.35, 0.55)
"""The same of bare eyes in an ordinary photo (fit half: 0.35 to 0.50)."""
_GAIN_LIMITS: Final = (0.6, 1.6)
"""What flat or harsh processing (gamma 0.6 to 1.6) does to a photo; beyond that it is not the photo but the eyes."""

_BETWEEN_BROWS: Final = (9, 8, 168, 6, 55, 285, 193, 417, 122, 351)
_UNDER_RIGHT_EYE: Final = (228, 229, 230, 231, 119, 120, 118)
_UNDER_LEFT_EYE: Final = (448, 449, 450, 451, 348, 349, 347)
_FOREHEAD: Final = (151, 108, 337, 69, 299, 104, 333)
_RIGHT_CHEEK: Final = (50, 36, 101, 205, 187)
_LEFT_CHEEK: Final = (280, 266, 330, 425, 411)
_AROUND_MOUTH: Final = (164, 167, 393, 165, 391, 92, 322, 57, 287, 43, 273, 106, 335, 18, 83, 313, 182, 406)
_SKIN_GROUPS: Final = (
    _BETWEEN_BROWS,
    _UNDER_RIGHT_EYE,
    _UNDER_LEFT_EYE,
    _FOREHEAD,
    _RIGHT_CHEEK,
    _LEFT_CHEEK,
    _AROUND_MOUTH,
)
"""Where skin may show, the least often covered first."""
_GROUP_SIZES: Final = np.array([len(group) for group in _SKIN_GROUPS])
_IN_GROUP: Final = np.arange(_GROUP_SIZES.max()) < _GROUP_SIZES[:, np.newaxis]
_GROUPED_POINTS: Final = np.zeros(_IN_GROUP.shape, np.intp)
_GROUPED_POINTS[_IN_GROUP] = np.concatenate(_SKIN_GROUPS)
"""A row for each group, filled up where `_IN_GROUP` is false."""
AROUND_MOUTH: Final = np.array(_AROUND_MOUTH)
LIPS: Final = np.array(
    (0, 37, 267, 17, 84, 314, 72, 302, 85, 315, 86, 316, 11, 16, 181, 405, 39, 269, 73, 303, 180, 404)
)
_AROUND_EYES: Final = (1, 2)
"""Those of the groups that lie behind the lenses of sunglasses."""
_MOUTH_GROUP: Final = 6
"""The one that counts only where lips stand out from it: cloth has none."""
_LIPS_STAND_OUT: Final = 0.10
"""How much redder and bluer lips then are, both steps added; half of what is usual in London's fit half."""
_PLAIN: Final = 0.04
"""Typical deviation of colours within the group; twice that of skin, a quarter of that of patterned cloth."""
_SAME_SKIN: Final = np.array([0.12, 0.14, 0.6])
"""How far two groups on one face may be apart. London, fit half: 0.09, 0.13 and 0.47 at most between any two."""


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """The colour of a person's skin in this photo.

    Attributes
    ----------
    colour : ndarray of float64, shape (3,)
        Its logarithmic colour.
    light_slope : float
        How much its logarithmic light rises over one outer eye distance towards the image's right: light from a side.
    """

    colour: NDArray[np.float64]
    light_slope: float


@dataclass(frozen=True, slots=True, eq=False)
class FacePatches:
    """A face's patches.

    Attributes
    ----------
    colours : ndarray of float64, shape (468, 3)
        Logarithmic colour around each point of the skin.
    across : ndarray of float64, shape (468,)
        Where each point lies across the face, from its middle [outer eye distances], positive to the image's right.
    unit_px : float
        Distance between the outer eye corners [px of the picture].
    eye_contrast : float
        Standard deviation of the log light over iris, white and lids, as it is in the photo.
    gain : float
        What colours are multiplied by, so that flat and harsh photos read alike: the contrast of the eyes, which masks
        leave bare, tells.
    """

    colours: NDArray[np.float64]
    across: NDArray[np.float64]
    unit_px: float
    eye_contrast: float
    gain: float

    @property
    def eyes_seen(self) -> bool:
        """Whether there are eyes to be seen: not behind dark lenses."""
        return self.eye_contrast >= EYES_UNSEEN

    def off_skin(self, skin: Skin) -> NDArray[np.float64]:
        """Return how far each point's colour is from the skin's, light from a side taken off, shape (468, 3)."""
        off = self.colours - skin.colour
        off[:, LIGHT] -= skin.light_slope * self.across
        return np.asarray(off)


def sample(
    pixels: NDArray[np.uint8], points: NDArray[np.float64], radius_px: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average nine pixels around each point, as a logarithmic colour.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB.
    points : ndarray of float64, shape (n, 2)
        x and y [px of `pixels`], (0, 0) the centre of the first px; those outside take the colour of the edge.
    radius_px : float or ndarray of float64, shape (n,)
        How far the outer eight of the nine lie from the point, along x and y [px].

    Returns
    -------
    ndarray of float64, shape (n, 3)
        log R/G, log B/G and the log of the luminance.
    """
    x, y = _nearest(pixels, points.T[:, np.newaxis] + radius_px * _STEPS)
    # The nine first, the points after them: so numpy adds long rows, in a sixth of the time that columns of nine take.
    at = (y[:, np.newaxis] * pixels.shape[1] + x).reshape(-1, len(points))
    near = pixels.reshape(-1, 3).take(at, axis=0)
    mean = near.sum(axis=0, dtype=np.int64) / len(near) + _DARK_OFFSET
    red, green, blue = np.log(mean).T
    return np.array([red - green, blue - green, np.log(mean @ _LUMINANCE)]).T


def sample_light(pixels: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the pixel at each point, as the log of its luminance.

    Parameters
    ----------
    pixels, points : ndarray
        As for `sample`.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    x, y = _nearest(pixels, points.T)
    near = pixels.reshape(-1, 3).take(y * pixels.shape[1] + x, axis=0)
    return np.asarray(np.log((near + _DARK_OFFSET) @ _LUMINANCE))


def _nearest(pixels: NDArray[np.uint8], places: NDArray[np.float64]) -> NDArray[np.intp]:
    """Round places, x and y in the first axis, to the nearest px there is."""
    height, width = pixels.shape[:2]
    last = np.array([width - 1.0, height - 1.0]).reshape(2, *[1] * (places.ndim - 1))
    return np.asarray(np.minimum(np.maximum(np.rint(places), 0), last), dtype=np.intp)


def sample_face(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> FacePatches:
    """Sample the patches around all points of the skin.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, of any reduction.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].

    Returns
    -------
    FacePatches
    """
    unit_px = outer_eye_distance_px(landmarks)
    flat = landmarks[:CANONICAL_POINTS, :2]
    right, left = flat[RIGHT_EYE_OUTER], flat[LEFT_EYE_OUTER]
    across = (flat - (right + left) / 2) @ (left - right) / unit_px**2
    colours = sample(pixels, np.concatenate([flat, landmarks[_EYES, :2]]), _RADII * unit_px)
    contrast = float(colours[CANONICAL_POINTS:, LIGHT].std())
    gain = _gain(contrast)
    return FacePatches(gain * colours[:CANONICAL_POINTS], across, unit_px, contrast, gain)


def _gain(eye_contrast: float) -> float:
    if eye_contrast < EYES_UNSEEN:
        return 1.0
    usual = min(max(eye_contrast, _EYE_CONTRAST[0]), _EYE_CONTRAST[1])
    return float(np.clip(usual / eye_contrast, *_GAIN_LIMITS))


def median_colour(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the median of a few colours, each column by itself; of an even number the upper one.

    Parameters
    ----------
    colours : ndarray of float64, shape (n, 3)

    Returns
    -------
    ndarray of float64, shape (3,)
    """
    return np.asarray(np.sort(colours, axis=0)[len(colours) // 2])


def find_skin(patches: FacePatches) -> Skin:
    """Find the colour of the skin: that of the place most other places agree with.

    A mask leaves the brows and the eyes bare, sunglasses the cheeks and the mouth, a fringe all below: some places
    agree in every case, and cloth does not agree with skin.

    Parameters
    ----------
    patches : FacePatches

    Returns
    -------
    Skin
    """
    medians = _group_medians(patches.colours)
    apart = np.abs(medians[:, np.newaxis] - medians) / _SAME_SKIN
    agree = (apart < 1).all(axis=2)
    silent = [*(() if patches.eyes_seen else _AROUND_EYES), *(() if _lips_stand_out(patches) else (_MOUTH_GROUP,))]
    agree[silent] = False
    agree[:, silent] = False
    best = int(np.argmax(agree.sum(axis=1)))  # the first of equals: the one covered least often
    bare = agree[best]
    colour = median_colour(patches.colours[_GROUPED_POINTS[bare][_IN_GROUP[bare]]])
    return Skin(colour, _light_slope(patches, medians, bare))


def _group_medians(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the `median_colour` of each of the groups at once, shape (groups, 3)."""
    grouped = colours[_GROUPED_POINTS]
    grouped[~_IN_GROUP] = np.inf  # behind all that counts
    grouped.sort(axis=1)
    return np.asarray(grouped[np.arange(len(grouped)), _GROUP_SIZES // 2])


def _lips_stand_out(patches: FacePatches) -> bool:
    around, lips = (patches.colours[points, :LIGHT] for points in (AROUND_MOUTH, LIPS))
    middle = median_colour(around)
    plain = median_colour(np.abs(around - middle)).max() < _PLAIN
    return bool(plain and (median_colour(lips) - middle).sum() > _LIPS_STAND_OUT)


def _light_slope(patches: FacePatches, medians: NDArray[np.float64], bare: NDArray[np.bool_]) -> float:
    """Compare the light on the two sides, where both sides show skin."""
    slopes = []
    for right, left in ((1, 2), (4, 5)):
        if bare[right] and bare[left]:
            apart = patches.across[_SKIN_GROUPS[left][0]] - patches.across[_SKIN_GROUPS[right][0]]
            slopes.append(float((medians[left, LIGHT] - medians[right, LIGHT]) / max(apart, _LEAST_APART)))
    return float(np.mean(slopes)) if slopes else 0.0


_LEAST_APART: Final = 0.2
"""Outer eye distances between the two sides of a face seen from so far aside that they hardly differ."""
