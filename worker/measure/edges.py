"""The sides of a rectangle to a fraction of a px: profiles across each, a robust line through their steepest points.

Pure numpy, and all candidates at once. What reads the picture between its px is handed in, so that the module knows no
vendor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.planar import homography, rectangle_corners_mm

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sampler = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]
"""From positions (..., 2) [px] to colours (..., 3), smoothly between px."""

_ROWS: Final = 48
"""Profiles across each side: more than 1 for each px of a side tell nothing new on small cards."""
_STEPS: Final = 25
"""Positions along a profile: odd, the middle one on the side as it is believed to lie."""
_NEAR_PX: Final = 3.0
"""Reach of the second look, when the side is known to a px or so."""
_LEAST_STEEPNESS: Final = 4.0
"""Grey levels per px over the three channels together; what an 8-bit photo's noise and JPEG leave in flat parts."""
_PROMINENCE: Final = 0.6
"""An edge counts as seen where it is at least so steep as the steepest around it, within `_NEAR_PX`: in hair and print
there is always some edge."""
_ON_LINE_PX: Final = 0.8
"""Farther from the line a steepest point is another thing's."""
_WINDOWS_PX: Final = (1.5, 1.2, 1.0)
"""How far from the line its steepest points are looked for, from fit to fit."""
_DERIVATIVE_PX: Final = 0.75
_FLOOR_PX: Final = 0.15
"""What a corner's standard deviation has at least: shadows, fingers and print pull a line more than scatter about it
tells. With it, corners of painted cards scatter as they should, docs/adr/0008."""
_LEAST_SINE: Final = 0.5
"""Of the angle between neighbouring sides: a card's never meet at less than 60 degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedRectangle:
    """Four straight sides as the picture shows them.

    Attributes
    ----------
    corners_px : ndarray of float64, shape (4, 2)
        Where neighbouring sides meet, rounded corners or not [px].
    seen : ndarray of float64, shape (4,)
        Share of each side's straight part where an edge lies on the line, 0 to 1.
    corner_sd_px : float
        Of each coordinate of each corner [px].
    """

    corners_px: NDArray[np.float64]
    seen: NDArray[np.float64]
    corner_sd_px: float


def fit_rectangles(
    sample: Sampler, corners_px: NDArray[np.float64], corner_fraction: float, reach_px: float
) -> list[FittedRectangle]:
    """Fit a line to each side of rectangles that are known roughly.

    Parameters
    ----------
    sample : callable
        Reads the picture.
    corners_px : ndarray of float64, shape (n, 4, 2)
        The corners, roughly, the first side a long one [px].
    corner_fraction : float
        Share of the long side that each rounded corner takes off a side's straight part.
    reach_px : float
        How far from there the sides may lie [px].

    Returns
    -------
    list of FittedRectangle
        In the order given; those whose sides no longer make a quadrilateral are left out.
    """
    seen, corner_sd_px = np.zeros(corners_px.shape[:2]), np.zeros(len(corners_px))
    for reach in (reach_px, _NEAR_PX):
        if not len(corners_px):
            break
        points, directions, seen, corner_sd_px = _fit_sides(sample, corners_px, corner_fraction, reach)
        corners_px, meet = _intersect(points, directions)
        corners_px, seen, corner_sd_px = corners_px[meet], seen[meet], corner_sd_px[meet]
    return [FittedRectangle(*one) for one in zip(corners_px, seen, corner_sd_px.tolist(), strict=True)]


def _fit_sides(
    sample: Sampler, corners: NDArray[np.float64], corner_fraction: float, reach_px: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit all sides: a point on each and its direction (n, 4, 2), the share seen (n, 4), the corners' sd (n,)."""
    along = np.roll(corners, -1, axis=1) - corners
    lengths = np.maximum(np.hypot(along[..., 0], along[..., 1]), 1)
    directions = along / lengths[..., np.newaxis]
    normals = np.stack([-directions[..., 1], directions[..., 0]], axis=-1)
    cut = corner_fraction * lengths.max(axis=1, keepdims=True)
    t = cut[..., np.newaxis] + (lengths - 2 * cut)[..., np.newaxis] * np.linspace(0, 1, _ROWS)
    offsets = np.linspace(-reach_px, reach_px, _STEPS)
    rows = corners[:, :, np.newaxis] + t[..., np.newaxis] * directions[:, :, np.newaxis]
    positions = rows[..., np.newaxis, :] + offsets[:, np.newaxis] * normals[:, :, np.newaxis, np.newaxis]
    steepness = _steepness(sample(positions), offsets[1] - offsets[0]).reshape(-1, _ROWS, _STEPS)
    ends, seen, sd_px = _fit_lines(steepness, offsets)
    ends = ends.reshape(*corners.shape)
    starts = rows[:, :, 0] + ends[..., :1] * normals
    turned = rows[:, :, -1] + ends[..., 1:] * normals - starts
    turned /= np.hypot(turned[..., 0], turned[..., 1])[..., np.newaxis]
    # A corner lies on two sides, and each fixes it across itself.
    corner_sd_px = np.sqrt((sd_px.reshape(-1, 4) ** 2).mean(axis=1) + _FLOOR_PX**2)
    return starts, turned, seen.reshape(-1, 4), corner_sd_px


def _steepness(colours: NDArray[np.float64], step_px: float) -> NDArray[np.float64]:
    """Tell how fast the colour changes across a side, (..., steps) [grey levels per px], 0 at the ends."""
    reach = max(1, round(_DERIVATIVE_PX / step_px))
    rise = (colours[..., 2 * reach :, :] - colours[..., : -2 * reach, :]) / (2 * reach * step_px)
    steepness = np.zeros(colours.shape[:-1])
    steepness[..., reach:-reach] = np.sqrt((rise**2).sum(axis=-1))
    return steepness


_ENDS: Final = np.stack(np.meshgrid(np.arange(1, _STEPS, 2), np.arange(1, _STEPS, 2)), axis=-1).reshape(-1, 2)
_FRACTIONS: Final = np.linspace(0, 1, _ROWS)
_TRIED: Final = np.rint(_ENDS[:, :1] + (_ENDS[:, 1:] - _ENDS[:, :1]) * _FRACTIONS).astype(np.intp)
"""Lines that are tried, (tried, rows): the step where each crosses each profile."""
_ROW: Final = np.arange(_ROWS)


def _fit_lines(
    steepness: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit n sides: offsets at both ends (n, 2), shares seen (n,), standard deviations at the ends (n,) [px].

    First the line along which most profiles are steep, each profile counting alike; then through their steepest points
    near it, in least squares that forget outliers.
    """
    step = offsets[1] - offsets[0]
    around = np.maximum(steepness.max(axis=2), _LEAST_STEEPNESS)
    share = steepness / around[..., np.newaxis]
    wide = share.copy()
    wide[..., 1:] = np.maximum(wide[..., 1:], share[..., :-1])
    wide[..., :-1] = np.maximum(wide[..., :-1], share[..., 1:])
    votes = wide[:, _ROW, _TRIED].sum(axis=2)
    line = offsets[_TRIED[votes.argmax(axis=1)]]
    ends = line[:, [0, -1]]
    for window_px in _WINDOWS_PX:
        near = np.where(np.abs(offsets - line[..., np.newaxis]) <= max(window_px, 1.5 * step), steepness, -1.0)
        top = np.clip(near.argmax(axis=2), 1, _STEPS - 2)[..., np.newaxis]
        before, heights, after = (np.take_along_axis(steepness, top + k, axis=2)[..., 0] for k in (-1, 0, 1))
        bend = np.minimum(before - 2 * heights + after, -1e-9)
        peaks = offsets[top[..., 0]] + np.clip((before - after) / (2 * bend), -0.5, 0.5) * step
        steep = (heights >= _LEAST_STEEPNESS) & (heights >= _PROMINENCE * around)
        off = np.abs(peaks - line) / window_px
        weights = np.where(steep & (off < 1), (1 - off**2) ** 2, 1e-6)
        ends = _weighted_line(peaks, weights)
        line = ends[:, :1] * (1 - _FRACTIONS) + ends[:, 1:] * _FRACTIONS
    on_line = steep & (np.abs(peaks - line) < _ON_LINE_PX)
    count = np.maximum(on_line.sum(axis=1), 1)
    variance = (np.where(on_line, peaks - line, 0) ** 2).sum(axis=1) / count
    # The end of a line through n even points is known to twice the error of their mean.
    return ends, on_line.mean(axis=1), 2 * np.sqrt(variance / count)


def _weighted_line(peaks: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit straight lines by weighted least squares: values at fractions 0 and 1, (n, 2)."""
    total = weights.sum(axis=1)
    middle = (weights * _FRACTIONS).sum(axis=1) / total
    mean = (weights * peaks).sum(axis=1) / total
    away = _FRACTIONS - middle[:, np.newaxis]
    slope = (weights * away * peaks).sum(axis=1) / (weights * away**2).sum(axis=1)
    return np.stack([mean - slope * middle, mean + slope * (1 - middle)], axis=1)


def _intersect(
    points: NDArray[np.float64], directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the corners (n, 4, 2), each where a side meets the one before, and where all of them meet (n,)."""
    normals = np.stack([-directions[..., 1], directions[..., 0]], axis=-1)
    offsets = (normals * points).sum(axis=-1)
    before, offsets_before = np.roll(normals, 1, axis=1), np.roll(offsets, 1, axis=1)
    sine = before[..., 0] * normals[..., 1] - before[..., 1] * normals[..., 0]
    meet = np.all(np.abs(sine) > _LEAST_SINE, axis=1)
    sine = np.where(meet[:, np.newaxis], sine, 1)
    x = (normals[..., 1] * offsets_before - before[..., 1] * offsets) / sine
    y = (before[..., 0] * offsets - normals[..., 0] * offsets_before) / sine
    return np.stack([x, y], axis=-1), meet


_CORNER_POINTS: Final = 7
_ARC_DEG: Final = (25, 65)
_TIP: Final = (0.05, 0.35)
_DEPTH: Final = 0.15
"""In units of the radius: where along the sharp corner, and how far to either side, an edge is looked for. At 0.35 the
arc is 0.24 away."""


def corner_roundness(
    sample: Sampler, corners_px: NDArray[np.float64], size_mm: tuple[float, float], radius_mm: float
) -> NDArray[np.float64]:
    """Compare, at each corner, the edge along the rounded corner with that along the sharp one.

    Parameters
    ----------
    sample : callable
        Reads the picture.
    corners_px : ndarray of float64, shape (4, 2)
        Where the sides meet, the first side a long one [px].
    size_mm : tuple of float
        Long and short side [mm].
    radius_mm : float
        Of the corners [mm].

    Returns
    -------
    ndarray of float64, shape (4,)
        1 where the edge follows the arc, -1 where it runs on into the tip, about 0 where neither shows.
    """
    flat = rectangle_corners_mm(size_mm)
    to_px = homography(flat, corners_px)
    angle = np.radians(np.linspace(*_ARC_DEG, _CORNER_POINTS))
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, np.newaxis]
    u = np.linspace(*_TIP, _CORNER_POINTS)[:, np.newaxis, np.newaxis]
    depth = np.linspace(-_DEPTH, _DEPTH, 5)[:, np.newaxis]
    right, down = np.array((1.0, 0.0)), np.array((0.0, 1.0))
    from_tip = radius_mm * np.stack([(1 - ray) + depth * ray, u * right + depth * down, u * down + depth * right])
    places = (
        flat[:, np.newaxis, np.newaxis, np.newaxis] - np.sign(flat)[:, np.newaxis, np.newaxis, np.newaxis] * from_tip
    )
    seen = np.concatenate([places, np.ones((*places.shape[:-1], 1))], axis=-1) @ to_px.T
    colours = sample(seen[..., :2] / seen[..., 2:])
    rise = np.sqrt(((colours[..., -1, :] - colours[..., 0, :]) ** 2).sum(axis=-1)).mean(axis=-1)
    arc, tip = rise[:, 0], rise[:, 1:].mean(axis=1)
    roundness: NDArray[np.float64] = (arc - tip) / np.maximum(arc + tip, 1)
    return roundness
