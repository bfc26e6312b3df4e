"""From line segments to rectangles that they may be the sides of: pure numpy, bounded work.

Sides may be interrupted by fingers and hair, so segments on one line are joined first; two pairs of nearly parallel
lines make a candidate, and how much of its four sides is drawn ranks it. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.lines import Lines, join_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_PAIRS: Final = 800
_MAX_QUADRILATERALS: Final = 40_000
"""These bound the work on any picture: the best drawn of each are kept. A portrait has 8,000 to 38,000."""
_CORNERS: Final = 4

_PARALLEL_DEG: Final = 10.0
"""By how much opposite sides converge at most: a card at 25 cm tilted by 25 degrees makes 5."""
_PERPENDICULAR_DEG: Final = 15.0
"""By how much neighbours differ from a right angle at most: a tilt of 25 degrees about a diagonal makes 6."""
_LEAST_DRAWN: Final = 0.3
_LEAST_DRAWN_MEAN: Final = 0.5
"""Share of a side, and of all sides, that segments must cover: finer eyes look at what passes."""
_LEAST_BESIDE: Final = 0.2
"""For how much of the least length opposite sides must be drawn side by side."""
_SAME_PLACE: Final = 0.5
"""In units of the greatest length: how far apart two pairs of sides of one card may seem to have their middles."""
_OVERRUN: Final = 0.15
"""Beyond its corners, by this share of a side, a line is looked at again: the sides of a card end there."""
_SAME_PX: Final = 2.0
_LOOKED_AT: Final = 50
"""For each candidate wanted, so many are looked at for being another than those before."""


@dataclass(frozen=True, slots=True)
class RectangleShape:
    """What is looked for.

    Attributes
    ----------
    long_px : tuple of float
        The least and the greatest length of the long side [px].
    aspect : tuple of float
        The least and the greatest ratio of the long to the short side, as seen.
    corner_fraction : float
        Share of the long side that each rounded corner takes off a side's straight part.
    """

    long_px: tuple[float, float]
    aspect: tuple[float, float]
    corner_fraction: float


def candidate_rectangles(segments_px: NDArray[np.float64], shape: RectangleShape, limit: int) -> NDArray[np.float64]:
    """List the quadrilaterals that segments draw and that may be views of a rectangle.

    Parameters
    ----------
    segments_px : ndarray of float64, shape (n, 4)
        Ends of line segments: x, y, x, y [px].
    shape : RectangleShape
        What is looked for.
    limit : int
        How many to return at most.

    Returns
    -------
    ndarray of float64, shape (k, 4, 2)
        Corners in order around each, the first side a long one, the best drawn first [px].
    """
    none = np.empty((0, 4, 2))
    least_short, most_short = shape.long_px[0] / shape.aspect[1], shape.long_px[1] / shape.aspect[0]
    lines = join_segments(segments_px, _LEAST_DRAWN * least_short, shape.long_px[1])
    if len(lines.points) < _CORNERS:
        return none
    along = _pairs(lines, (least_short, most_short), _LEAST_BESIDE * shape.long_px[0])
    across = _pairs(lines, shape.long_px, _LEAST_BESIDE * least_short)
    sides = _quadruples(lines, along, across, shape.long_px[1])
    if not len(sides):
        return none
    corners = _corners(lines, sides)
    fits = _plausible(corners, shape)
    corners, sides = corners[fits], sides[fits]
    drawn, overrun = _drawn(lines, sides, corners, shape.corner_fraction)
    seen = (drawn.min(axis=1) >= _LEAST_DRAWN) & (drawn.mean(axis=1) >= _LEAST_DRAWN_MEAN)
    scores = drawn.min(axis=1) + drawn.mean(axis=1) - overrun.mean(axis=1) / 2
    order = np.argsort(-scores[seen], kind="stable")
    return _distinct(corners[seen][order], limit)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pairs of nearly parallel lines: indices (n, 2), and the middle of what is drawn side by side (n, 2) [px]."""

    lines: NDArray[np.intp]
    middles: NDArray[np.float64]


def _pairs(lines: Lines, apart_px: tuple[float, float], least_beside_px: float) -> _Pairs:
    """List pairs of lines that are nearly parallel, so far apart, and drawn side by side for that long at least."""
    cosines = lines.directions @ lines.directions.T
    slack = np.sin(np.radians(_PARALLEL_DEG / 2)) * apart_px[1]
    # What each line draws, in the frame of each other: (line, other, ends).
    ends = lines.points[:, np.newaxis] + lines.spans[..., np.newaxis] * lines.directions[:, np.newaxis]
    along = (
        np.einsum("jkx,ix->ijk", ends, lines.directions) - (lines.points * lines.directions).sum(axis=1)[:, None, None]
    )
    along.sort(axis=2)
    begin = np.maximum(along[..., 0], lines.spans[:, :1])
    end = np.minimum(along[..., 1], lines.spans[:, 1:])
    middle = lines.points[:, np.newaxis] + ((begin + end) / 2)[..., np.newaxis] * lines.directions[:, np.newaxis]
    apart = np.abs(np.einsum("ijx,jx->ij", middle - lines.points, lines.normals))
    fits = (
        (np.abs(cosines) > np.cos(np.radians(_PARALLEL_DEG)))
        & (end - begin > least_beside_px)
        & (apart > apart_px[0] - slack)
        & (apart < apart_px[1] + slack)
    )
    first, second = np.nonzero(np.triu(fits, 1))
    drawn = np.minimum(lines.drawn[:, -1], apart_px[1])
    order = np.argsort(-(drawn[first] + drawn[second]), kind="stable")[:_MAX_PAIRS]
    first, second = first[order], second[order]
    return _Pairs(np.stack([first, second], axis=1), (middle[first, second] + middle[second, first]) / 2)


def _quadruples(lines: Lines, along: _Pairs, across: _Pairs, long_px: float) -> NDArray[np.intp]:
    """Combine pairs at right angles or nearly, about one place: (n, 4) lines in order around, the first a long side."""
    cosines = np.abs(lines.directions[along.lines[:, 0]] @ lines.directions[across.lines[:, 0]].T)
    square = cosines < np.sin(np.radians(_PERPENDICULAR_DEG))
    for axis in (0, 1):
        square &= np.abs(along.middles[:, np.newaxis, axis] - across.middles[:, axis]) < _SAME_PLACE * long_px
    i, j = np.nonzero(square)
    if len(i) > _MAX_QUADRILATERALS:  # both lists are the best drawn first
        best = np.argsort(i + j, kind="stable")[:_MAX_QUADRILATERALS]
        i, j = i[best], j[best]
    return np.stack([along.lines[i, 0], across.lines[j, 0], along.lines[i, 1], across.lines[j, 1]], axis=1)


def _corners(lines: Lines, sides: NDArray[np.intp]) -> NDArray[np.float64]:
    """Intersect each side with the one before: (n, 4, 2), corner k at the start of side k."""
    normals = lines.normals
    offsets = (normals * lines.points).sum(axis=1)
    one, other = np.roll(sides, 1, axis=1), sides
    (a, b), (c, d) = np.moveaxis(normals[one], -1, 0), np.moveaxis(normals[other], -1, 0)
    p, q = offsets[one], offsets[other]
    determinant = a * d - b * c
    return np.stack([(d * p - b * q) / determinant, (a * q - c * p) / determinant], axis=-1)


def _plausible(corners: NDArray[np.float64], shape: RectangleShape) -> NDArray[np.bool_]:
    steps = np.roll(corners, -1, axis=1) - corners
    lengths = np.hypot(steps[..., 0], steps[..., 1])
    long, short = (lengths[:, 0] + lengths[:, 2]) / 2, (lengths[:, 1] + lengths[:, 3]) / 2
    following = np.roll(steps, -1, axis=1)
    turns = np.sign(steps[..., 0] * following[..., 1] - steps[..., 1] * following[..., 0]).sum(axis=1)
    aspect = long / np.maximum(short, 1)
    fits: NDArray[np.bool_] = (
        (np.abs(turns) == _CORNERS)  # all turn the same way
        & (long > shape.long_px[0])
        & (long < shape.long_px[1])
        & (aspect > shape.aspect[0])
        & (aspect < shape.aspect[1])
    )
    return fits


def _drawn(
    lines: Lines, sides: NDArray[np.intp], corners: NDArray[np.float64], corner_fraction: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tell which share of each side's straight part is drawn, and of what lies just beyond its ends: both (n, 4)."""
    ends = np.roll(corners, -1, axis=1)
    points, directions = lines.points[sides], lines.directions[sides]
    t = np.stack([((corners - points) * directions).sum(-1), ((ends - points) * directions).sum(-1)])
    begin, end = t.min(axis=0), t.max(axis=0)
    length = end - begin
    cut = corner_fraction * length.max(axis=1, keepdims=True)

    def total(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        last = lines.drawn.shape[1] - 1
        low = np.clip(np.rint(a).astype(int) + lines.reach_px, 0, last)
        high = np.clip(np.rint(b).astype(int) + lines.reach_px, 0, last)
        return np.asarray(lines.drawn[sides, high] - lines.drawn[sides, low], dtype=np.float64)

    drawn = total(begin + cut, end - cut) / np.maximum(length - 2 * cut, 1)
    beyond = _OVERRUN * length
    overrun = (total(begin - beyond, begin) + total(end, end + beyond)) / np.maximum(2 * beyond, 1)
    return drawn, overrun


def _distinct(corners: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    """Keep the first of each that lie within two px of each other."""
    middles = corners.mean(axis=1)
    kept: list[int] = []
    for one in range(min(len(corners), _LOOKED_AT * limit)):
        near = np.flatnonzero(np.abs(middles[kept] - middles[one]).max(axis=1) <= _SAME_PX)
        if all(corners_apart_px(corners[one], corners[kept[other]]) > _SAME_PX for other in near):
            kept.append(one)
            if len(kept) == limit:
                break
    return corners[kept]


def corners_apart_px(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Tell the largest distance between corners of two rectangles, whichever corner either begins with.

    Parameters
    ----------
    one, other : ndarray of float64, shape (4, 2)
        In order around each, the first side a long one [px].

    Returns
    -------
    float
        In px.
    """
    return min(float(np.hypot(*(one - turned).T).max()) for turned in _orders(other))


def _orders(corners: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """List the two orders that keep long sides first, in both senses of going round."""
    back = corners[[1, 0, 3, 2]]
    return [corners, corners[[2, 3, 0, 1]], back, back[[2, 3, 0, 1]]]
