"""How sharp a face is: the slope of the steepest edges around its eyes."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.geometry import outer_eye_distance_px
from worker.measure.landmarks import LEFT_EYE_INNER, LEFT_EYE_OUTER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHARP_UNIT_PX: Final = 200.0
"""Edges are judged with this many px between the outer eye corners, what an iris needs to be a ruler. A smaller face is
enlarged to it, and reads as blurred as it is at this scale."""
_EYE_BOX: Final = (0.40, 0.26)
"""Width and height around each eye, brow and lashes included [outer eye distances]."""
_COLUMNS, _ROWS = (np.arange(round(side * _SHARP_UNIT_PX)) - side * _SHARP_UNIT_PX / 2 for side in _EYE_BOX)
_ROWS = _ROWS[:, np.newaxis]
_EYE_CORNERS: Final = np.array([[RIGHT_EYE_OUTER, LEFT_EYE_OUTER], [RIGHT_EYE_INNER, LEFT_EYE_INNER]])
_BROW: Final = 0.05
"""How far above the middle of the eye that of the box lies: the brow belongs to it [outer eye distances]."""
_ALONG_PX: Final = 5
"""Pixels averaged along an edge: lids and lashes are longer than that, noise is not."""
_NEAR_PX, _FAR_PX = 2, 8
"""Distances over which an edge rises: of a sharp one nearly all within the first, of a blurred one a quarter."""
_STEEPEST: Final = 0.98
_SAMPLED: Final = 16
_BEYOND_MOST: Final = 0.94
"""Of every sixteenth rise: less than the steepest ones, by the standard deviations of such a sample, six times."""
_NOISE_TO_STEEPEST: Final = 3.0
"""Noise alone has its steepest fiftieth at 3.4 times its median (2.33 ÷ 0.674 for a normal one)."""


def edge_slope(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> float:
    """Measure how steep the steepest edges around the eyes are, whatever their contrast.

    The rise of the steepest edges over 2 px, over their rise over 8 px, at 200 px between the outer eye corners. Both
    are averaged along the edge, and what noise alone would give is taken off.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, C-contiguous.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].

    Returns
    -------
    float
        1 for a step, 0.25 for an even ramp; 0 where there is no edge at all.
    """
    boxes = _eye_boxes(pixels, landmarks)
    near_rise = far_rise = noise = 0.0
    for axis in (1, 2):
        along = _averaged(boxes, axis=3 - axis)
        near, far = (np.abs(_difference(along, distance, axis)).ravel() for distance in (_NEAR_PX, _FAR_PX))
        near_rise += _steepest(near)
        far_rise += _steepest(far)
        near.partition(near.size // 2)
        noise += float(near[near.size // 2])
    if far_rise <= 0:
        return 0.0
    return sqrt(max(near_rise**2 - (_NOISE_TO_STEEPEST * noise) ** 2, 0.0)) / far_rise


def _steepest(rises: NDArray[np.float32]) -> float:
    """Take the rise that only the steepest fiftieth exceeds.

    It is looked for among those that are beyond most of a sample: a quarter of the time that looking among all takes.
    """
    behind = rises.size - int(_STEEPEST * rises.size)
    sample = np.sort(rises[::_SAMPLED])
    likely = rises[rises >= sample[int(_BEYOND_MOST * sample.size)]]
    if likely.size < behind:
        likely = rises.copy()
    likely.partition(likely.size - behind)
    return float(likely[-behind])


def _eye_boxes(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> NDArray[np.float32]:
    """Resample the green of both eyes, upright, at `_SHARP_UNIT_PX`; shape (2, height, width)."""
    unit_px = outer_eye_distance_px(landmarks)
    flat = landmarks[:, :2]
    across = (flat[LEFT_EYE_OUTER] - flat[RIGHT_EYE_OUTER]) / max(unit_px, 1.0)
    down = np.array([-across[1], across[0]])
    scale = unit_px / _SHARP_UNIT_PX
    middles = (flat[_EYE_CORNERS[0]] + flat[_EYE_CORNERS[1]]) / 2 - _BROW * unit_px * down
    across, down = across[:, np.newaxis, np.newaxis], down[:, np.newaxis, np.newaxis]
    grid = scale * (_COLUMNS * across + _ROWS * down)
    places = middles.T[:, :, np.newaxis, np.newaxis] + grid[:, np.newaxis]
    if scale < 2:  # noqa: PLR2004 - below, bilinear samples miss no pixel
        return _bilinear(pixels, *places)
    step = scale / 4 * np.array([-1.0, 1.0])
    shifts = [(x * across + y * down)[:, np.newaxis] for x in step for y in step]
    return np.asarray(sum(_bilinear(pixels, *(places + shift)) for shift in shifts) / len(shifts), dtype=np.float32)


def _bilinear(pixels: NDArray[np.uint8], across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read the green between px: `across` and `down` are x and y of the places [px], of any one shape."""
    height, width = pixels.shape[:2]
    x = across.clip(0, width - 1.001).astype(np.float32)
    y = down.clip(0, height - 1.001).astype(np.float32)
    left, top = np.floor(x), np.floor(y)
    x -= left
    y -= top
    at = top.astype(np.intp)
    at *= width
    at += left.astype(np.intp)
    at *= 3
    green = pixels.reshape(-1)[1:]
    below = 3 * width if height > 1 else 0
    beside = 3 if width > 1 else 0
    before = 1 - x
    # Turned to float32 first: numpy multiplies numbers of two kinds in thrice the time.
    upper, upper_beside, lower, lower_beside = (
        green.take(at + further).astype(np.float32) for further in (0, beside, below, below + beside)
    )
    upper = upper * before + upper_beside * x
    lower = lower * before + lower_beside * x
    return np.asarray(upper * (1 - y) + lower * y)


def _averaged(boxes: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    length = boxes.shape[axis] - _ALONG_PX + 1
    first, second, *others = (
        boxes[:, k : k + length] if axis == 1 else boxes[:, :, k : k + length] for k in range(_ALONG_PX)
    )
    averaged = first + second
    for other in others:
        averaged += other
    averaged /= _ALONG_PX
    return np.asarray(averaged)


def _difference(boxes: NDArray[np.float32], distance: int, axis: int) -> NDArray[np.float32]:
    if axis == 1:
        return np.asarray(boxes[:, distance:] - boxes[:, :-distance])
    return np.asarray(boxes[:, :, distance:] - boxes[:, :, :-distance])
