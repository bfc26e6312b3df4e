"""From line segments to the lines that most is drawn on: pure numpy, bounded work.

A card's side is often in pieces, between fingers and strands of hair, and each piece tells its direction poorly; so the
pieces near a long one and on its line are taken together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_SEGMENTS: Final = 1000
_MAX_SEEDS: Final = 500
_MAX_LINES: Final = 160
"""These bound the work on any picture: the longest of each are kept. Of a portrait there are 500 to 1,200 segments at
the size that is searched; before a flag a card's least side was line 120."""
_SAME_LINE_DEG: Final = 3.0
_SAME_LINE_PX: Final = 2.0
"""Segments are found to a px or so, and short ones to a few degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines with what is drawn on them.

    Attributes
    ----------
    points, directions : ndarray of float64, shape (n, 2)
        A point on each [px] and the unit vector along it.
    drawn : ndarray of int32, shape (n, bins)
        Running total of what is drawn along each, one bin for each px.
    reach_px : int
        The bin of each line's point.
    """

    points: NDArray[np.float64]
    directions: NDArray[np.float64]
    drawn: NDArray[np.int32]
    reach_px: int

    @property
    def spans(self) -> NDArray[np.float64]:
        """From where to where each is drawn, from its point (n, 2) [px]."""
        bins = np.stack([(self.drawn > 0).argmax(axis=1), (self.drawn == self.drawn[:, -1:]).argmax(axis=1)], axis=1)
        return bins - float(self.reach_px)

    @property
    def normals(self) -> NDArray[np.float64]:
        """Unit vectors across the lines (n, 2)."""
        return np.stack([-self.directions[:, 1], self.directions[:, 0]], axis=1)


def join_segments(segments_px: NDArray[np.float64], least_px: float, nearby_px: float) -> Lines:
    """Find the lines that most is drawn on: each long segment, with all others that lie on its line nearby.

    Parameters
    ----------
    segments_px : ndarray of float64, shape (n, 4)
        Ends of line segments: x, y, x, y [px].
    least_px : float
        How much must be drawn on a line [px].
    nearby_px : float
        How far along a line segments belong together [px].

    Returns
    -------
    Lines
        None of them twice, the most drawn first.
    """
    lengths = np.hypot(*(segments_px[:, 2:] - segments_px[:, :2]).T)
    order = np.argsort(-lengths, kind="stable")[:_MAX_SEGMENTS]
    order = order[lengths[order] > 1]
    segments = _Segments(segments_px[order, :2], segments_px[order, 2:], lengths[order])
    seeds = min(_MAX_SEEDS, len(order))
    own, off = segments.on_lines(segments.middles[:seeds], segments.directions[:seeds], nearby_px)
    totals = np.minimum((own * segments.lengths).sum(axis=1), nearby_px)
    kept: list[int] = []
    free = totals >= least_px
    for seed in np.argsort(-totals, kind="stable"):
        if free[seed] and len(kept) < _MAX_LINES:
            kept.append(seed)
            free &= off[seed, :seeds] > _SAME_LINE_PX / 2
    if not kept:
        return Lines(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 1), dtype=np.int32), 0)
    points, directions = segments.fit(own[kept])
    own, _ = segments.on_lines(points, directions, nearby_px)
    return Lines(points, directions, *segments.drawn_on(points, directions, own))


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
