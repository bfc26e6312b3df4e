"""From line segments to rectangles that they may be the sides of: pure numpy, bounded work.

Sides may be interrupted by fingers and hair, so segments on one line are joined first; two pairs of nearly parallel
lines make a candidate, and how much of its four sides is drawn ranks it. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_SEGMENTS: Final = 1000
_MAX_SEEDS: Final = 250
_MAX_LINES: Final = 80
_MAX_PAIRS: Final = 300
_MAX_QUADRILATERALS: Final = 40_000
"""These bound the work on any picture: the longest of each are kept. A portrait has 200 to 500 segments at the size
that is searched, and 30 to 80 lines."""

_SAME_LINE_DEG: Final = 3.0
_SAME_LINE_PX: Final = 2.0
"""Segments are found to a px or so, and short ones to a few degrees."""
_PARALLEL_DEG: Final = 10.0
"""By how much opposite sides converge at most: a card at 25 cm tilted by 25 degrees makes 5."""
_PERPENDICULAR_DEG: Final = 15.0
"""By how much neighbours differ from a right angle at most: a tilt of 25 degrees about a diagonal makes 6."""
_LEAST_DRAWN: Final = 0.3
_LEAST_DRAWN_MEAN: Final = 0.5
_LEAST_SHORT_SIDE: Final = 0.6
"""Share of a side, and of all sides, that segments must cover: finer eyes look at what passes."""
_OVERRUN: Final = 0.15
"""Beyond its corners, by this share of a side, a line is looked at again: the sides of a card end there."""
_SAME_PX: Final = 2.0


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


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines with what is drawn on them: points (n, 2), unit directions (n, 2), running totals of px drawn (n, bins)."""

    points: NDArray[np.float64]
    directions: NDArray[np.float64]
    drawn: NDArray[np.int32]
    reach_px: int

    @property
    def normals(self) -> NDArray[np.float64]:
        return np.stack([-self.directions[:, 1], self.directions[:, 0]], axis=1)


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
    lines = _join(segments_px, shape.long_px)
    if lines is None:
        return none
    least_short, most_short = shape.long_px[0] / shape.aspect[1], shape.long_px[1] / shape.aspect[0]
    along = _pairs(lines, (least_short, most_short))
    across = _pairs(lines, shape.long_px)
    if not len(along) or not len(across):
        return none
    sides = _quadruples(lines, along, across)
    corners = _corners(lines, sides)
    fits = _plausible(corners, shape)
    corners, sides = corners[fits], sides[fits]
    drawn, overrun = _drawn(lines, sides, corners, shape.corner_fraction)
    seen = (drawn.min(axis=1) >= _LEAST_DRAWN) & (drawn.mean(axis=1) >= _LEAST_DRAWN_MEAN)
    scores = drawn.min(axis=1) + drawn.mean(axis=1) - overrun.mean(axis=1) / 2
    order = np.argsort(-scores[seen], kind="stable")
    return _distinct(corners[seen][order], limit)


def _join(segments_px: NDArray[np.float64], long_px: tuple[float, float]) -> _Lines | None:
    """Find the lines that most is drawn on: each long segment, with all others that lie on its line nearby."""
    lengths = np.hypot(*(segments_px[:, 2:] - segments_px[:, :2]).T)
    order = np.argsort(-lengths, kind="stable")[:_MAX_SEGMENTS]
    order = order[lengths[order] > 1]
    segments = _Segments(segments_px[order, :2], segments_px[order, 2:], lengths[order])
    seeds = min(_MAX_SEEDS, len(order))
    own, off = segments.on_lines(segments.middles[:seeds], segments.directions[:seeds], long_px[1])
    totals = np.minimum((own * segments.lengths).sum(axis=1), long_px[1])
    kept: list[int] = []
    free = totals >= _LEAST_DRAWN * long_px[0] * _LEAST_SHORT_SIDE
    for seed in np.argsort(-totals, kind="stable"):
        if free[seed] and len(kept) < _MAX_LINES:
            kept.append(seed)
            free &= off[seed, :seeds] > _SAME_LINE_PX / 2
    if len(kept) < 4:  # noqa: PLR2004 - a rectangle's sides
        return None
    points, directions = segments.fit(own[kept])
    own, _ = segments.on_lines(points, directions, long_px[1])
    return _Lines(points, directions, *segments.drawn_on(points, directions, own))


@dataclass(frozen=True, slots=True, eq=False)
class _Segments:
    """The segments that count, the longest first: their ends (n, 2) and lengths (n,) [px]."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    lengths: NDArray[np.float64]

    @property
    def directions(self) -> NDArray[np.float64]:
        return (self.ends - self.starts) / self.lengths[:, np.newaxis]

    @property
    def middles(self) -> NDArray[np.float64]:
        return (self.starts + self.ends) / 2

    def on_lines(
        self, points: NDArray[np.float64], directions: NDArray[np.float64], nearby_px: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Tell which segments lie on which lines, (lines, n), and how far off the farther end of each is [px]."""
        normals = np.stack([-directions[:, 1], directions[:, 0]], axis=1)
        base = (normals * points).sum(axis=1, keepdims=True)
        off = np.maximum(np.abs(normals @ self.starts.T - base), np.abs(normals @ self.ends.T - base))
        sine = np.abs(normals @ self.directions.T)
        away = np.abs(directions @ self.middles.T - (directions * points).sum(axis=1, keepdims=True))
        parallel = sine < np.sin(np.radians(_SAME_LINE_DEG)) + 1 / self.lengths
        return (off < _SAME_LINE_PX) & parallel & (away < nearby_px), off

    def fit(self, own: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit a line to each row of segments, weighted by length: points and unit directions, both (lines, 2)."""
        weights = own * self.lengths
        weights = np.concatenate([weights, weights], axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
        ends = np.concatenate([self.starts, self.ends])
        points = weights @ ends
        xx, yy = (weights @ ends**2 - points**2).T
        xy = weights @ (ends[:, 0] * ends[:, 1]) - points[:, 0] * points[:, 1]
        angle = np.arctan2(2 * xy, xx - yy) / 2
        return points, np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def drawn_on(
        self, points: NDArray[np.float64], directions: NDArray[np.float64], own: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], int]:
        """Add up what is drawn along each line, (lines, bins), one bin for each px; the middle bin is at its point."""
        line, segment = np.nonzero(own)
        t = np.stack(
            [((ends[segment] - points[line]) * directions[line]).sum(axis=1) for ends in (self.starts, self.ends)]
        )
        reach_px = int(np.ceil(np.abs(t).max())) + 2
        begin, end = np.rint(np.sort(t, axis=0)).astype(int) + reach_px
        steps = np.zeros((len(points), 2 * reach_px + 2), dtype=np.int32)
        np.add.at(steps, (line, begin), 1)
        np.add.at(steps, (line, end + 1), -1)
        return np.cumsum(np.cumsum(steps, axis=1) > 0, axis=1, dtype=np.int32), reach_px


def _pairs(lines: _Lines, apart_px: tuple[float, float]) -> NDArray[np.intp]:
    """List pairs of nearly parallel lines that lie so far apart, midway between their points: (n, 2)."""
    cosines = np.abs(lines.directions @ lines.directions.T)
    between = lines.points[np.newaxis] - lines.points[:, np.newaxis]
    apart = np.abs(np.einsum("ijk,ik->ij", between, lines.normals))
    apart = (apart + apart.T) / 2
    slack = np.tan(np.radians(_PARALLEL_DEG / 2)) * apart_px[1]
    first, second = np.nonzero(
        np.triu(
            (cosines > np.cos(np.radians(_PARALLEL_DEG)))
            & (apart > apart_px[0] - slack)
            & (apart < apart_px[1] + slack),
            1,
        )
    )
    drawn = np.minimum(lines.drawn[:, -1], apart_px[1])
    order = np.argsort(-(drawn[first] + drawn[second]), kind="stable")[:_MAX_PAIRS]
    return np.stack([first, second], axis=1)[order]


def _quadruples(lines: _Lines, along: NDArray[np.intp], across: NDArray[np.intp]) -> NDArray[np.intp]:
    """Combine pairs at nearly right angles: (n, 4) lines in order around, long sides first and third."""
    cosines = np.abs(lines.directions[along[:, 0]] @ lines.directions[across[:, 0]].T)
    i, j = np.nonzero(cosines < np.sin(np.radians(_PERPENDICULAR_DEG)))
    if len(i) > _MAX_QUADRILATERALS:  # both lists are the best drawn first
        best = np.argsort(i + j, kind="stable")[:_MAX_QUADRILATERALS]
        i, j = i[best], j[best]
    return np.stack([along[i, 0], across[j, 0], along[i, 1], across[j, 1]], axis=1)


def _corners(lines: _Lines, sides: NDArray[np.intp]) -> NDArray[np.float64]:
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
        (np.abs(turns) == 4)  # noqa: PLR2004 - all four corners turn the same way
        & (long > shape.long_px[0])
        & (long < shape.long_px[1])
        & (aspect > shape.aspect[0])
        & (aspect < shape.aspect[1])
    )
    return fits


def _drawn(
    lines: _Lines, sides: NDArray[np.intp], corners: NDArray[np.float64], corner_fraction: float
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
    kept: list[NDArray[np.float64]] = []
    for quadrilateral in corners[: 50 * limit]:
        if len(kept) == limit:
            break
        if all(_apart(quadrilateral, other) > _SAME_PX for other in kept):
            kept.append(quadrilateral)
    return np.array(kept).reshape(-1, 4, 2)


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Tell the largest distance between corners, whichever corner either begins with."""
    return min(float(np.hypot(*(one - turned).T).max()) for turned in _orders(other))


def _orders(corners: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """List the two orders that keep long sides first, in both senses of going round."""
    back = corners[[1, 0, 3, 2]]
    return [corners, corners[[2, 3, 0, 1]], back, back[[2, 3, 0, 1]]]
