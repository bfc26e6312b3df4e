"""The limbus, where iris and white of the eye meet, fitted again on the pixels: a better ruler than the mesh's ring.

The mesh gives each iris as five points of a model that sees the eye on a few dozen pixels. Here the edge itself is
searched: along rays from the centre of that ring towards both sides, between the lids, the place where the pixels
outside are brighter than those inside by most (the operator of Daugman 1993, doi:10.1109/34.244676, ray by ray); then a
circle through these places, by least squares that leave out what lies off it. Lids hide the top and often the bottom of
an iris, so only rays to the sides are used, and the height of the centre, which they hardly tell, is held near the
mesh's.

Where the edge is not seen well there is no fit, and the mesh's ring is the better ruler. docs/adr/0007 has the figures;
`python -m bench.iris --data DIR` takes them again.

Points are in px of the pixels handed in, x to the right, y down, (0, 0) the centre of the first px. Lengths along rays
are in units of the radius found so far, which makes the fit the same for every size of face. Both eyes are fitted at
once: the first axis of every array is the eye, the subject's right one first; the rays to the image's right come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from worker.measure.landmarks import LEFT_EYE_INNER, LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_INNER, RIGHT_EYE_OUTER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Points of the mesh, from the image's left to its right.
_CORNERS: Final = np.array([[RIGHT_EYE_OUTER, RIGHT_EYE_INNER], [LEFT_EYE_INNER, LEFT_EYE_OUTER]])
_RING_SIDES: Final = np.array([[471, 469], [476, 474]])
_UPPER_LIDS: Final = np.array(
    [[33, 246, 161, 160, 159, 158, 157, 173, 133], [362, 398, 384, 385, 386, 387, 388, 466, 263]]
)
_LOWER_LIDS: Final = np.array(
    [[33, 7, 163, 144, 145, 153, 154, 155, 133], [362, 382, 381, 380, 374, 373, 390, 249, 263]]
)

# Rays.
_CHANNELS: Final = 3
_GREEN: Final = 1
"""Green alone did as well against the traced rings as red, blue or grey, and asks for no conversion."""
_STEP: Final = 0.025
_STEPS: Final = 20
_RADII: Final = 1 + _STEP * np.arange(-_STEPS, _STEPS + 1)
"""Where each ray is sampled."""
_BOX: Final = 6
"""Steps in each of the two boxes beside an edge: 0.15 radii, 0.9 mm, about the width of a soft limbus."""
_SIDE_ANGLES: Final = np.deg2rad(np.arange(-30.0, 45.1, 7.5))
"""Of the rays to one side, downwards from the line through the corners of the eye: the upper lid covers more."""
_RAYS: Final = _SIDE_ANGLES.size
_ANGLES: Final = np.concatenate([_SIDE_ANGLES, np.pi - _SIDE_ANGLES])
_DIRECTIONS: Final = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_REACH: Final = (0.85, 1.20)
"""The part of a ray that must lie between the lids and in the picture, ..."""
_REACHED_X, _REACHED_Y = np.moveaxis(_DIRECTIONS * np.array(_REACH)[:, np.newaxis, np.newaxis], -1, 0)
_LID_MARGIN: Final = 0.06
"""... and this far from the lids: lashes reach beyond the contour of the mesh."""

# Where the search begins, and how far it goes.
MESH_OVER_TRACED: Final = 1.043
"""The mesh's ring is this much wider than the iris traced by hand (London set, 31 people; 102 people gave 1.04)."""
_CENTRE_RISE: Final = 0.10
"""And its centre lies this much too low: 0.11 radii, SD 0.07, in the eyes of the London set's fit half."""
_FIRST_SEARCH: Final = 10
_SEARCH: Final = 5
"""Steps that the edge may lie off the mesh's ring, on the mean of a side; and off the circle found so far, on a ray."""

# How the circle is fitted.
_DESIGN: Final = np.column_stack([np.ones(2 * _RAYS), _DIRECTIONS])
"""Moving the centre by (dx, dy) changes a ray's length to the circle by dx cos + dy sin, to first order."""
_CENTRE_SD: Final = 0.04
_RAY_SD: Final = 0.03
_HOLD: Final = (_RAY_SD / _CENTRE_SD) ** 2
"""How firmly the height of the centre is held, against the scatter of the edges on single rays."""
_REFINEMENTS: Final = 2
_REWEIGHTINGS: Final = 3
_TUKEY: Final = 4.685
"""Tukey's biweight at 95 % efficiency for normal errors."""
_MAD_TO_SD: Final = 1.4826
_LEAST_SD: Final = 0.01
"""Residuals below half a step of the sampling are not told apart."""
_TINY: Final = 1e-9
"""Keeps an eye without any edge from being a division by zero."""

# When the fit is believed: where pictures of the fit half, made worse step by step, are read better than by the mesh.
_MIN_DIAMETER_PX: Final = 10.0
_MIN_RAYS_ON_A_SIDE: Final = 2
_MIN_CONTRAST: Final = 4.0
"""The white brighter than the iris, in levels of 255."""
_MAX_SD: Final = 0.05
"""How far the edges may scatter around the circle."""
_MIN_FALL: Final = 0.10
"""How much the operator must fall half a box off the edge: by half on a step, 0.2 to 0.3 on sharp photos; blurred over
0.15 radii by 0.08, and there the fit begins to read too small."""
_MAX_CHANGE: Final = 0.15
"""From the mesh's radius: 3.5 standard deviations of what the mesh misses single irises by."""
_MAX_MOVE: Final = 0.25
"""Of the centre, sideways."""


class _Eyes(NamedTuple):
    """What stays the same during the fit: the pixels, and the mesh around them."""

    pixels: NDArray[np.uint8]
    axes: Floats
    """(2, 2, 2): from the left corner of the eye to the right, and at right angles to it, down."""
    directions: Floats
    """(2, rays, 2): of the rays, in the picture."""
    upper_lids: Floats
    lower_lids: Floats


class _Circles(NamedTuple):
    centre: Floats
    radius: Floats


class _Fit(NamedTuple):
    """A circle for each eye, and how well it was seen; rays and contrast are of the worse side."""

    circles: _Circles
    rays_on_a_side: Floats
    contrast: Floats
    sd: Floats
    fall: Floats


def limbus_diameters_px(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Measure the diameter of both irises on the pixels, starting at the rings of the mesh.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The upright photo, RGB.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].

    Returns
    -------
    tuple of float or None
        The diameters of the subject's right and left iris [px of `pixels`]; None for an eye whose limbus is not seen
        well enough to be a better ruler than the mesh.

    Raises
    ------
    ValueError
        If the picture or the mesh is anything else.
    """
    if pixels.ndim != _CHANNELS or pixels.shape[2] != _CHANNELS or min(pixels.shape) <= 1:
        raise ValueError(f"a picture has the shape (height, width, 3), not {pixels.shape}")
    if landmarks.shape != (MESH_POINTS, 3) or not np.isfinite(landmarks).all():
        raise ValueError(f"a mesh has the shape {(MESH_POINTS, 3)} and is finite")
    eyes, start = _start(pixels, landmarks[:, :2])
    if start.radius.min() < 1:
        return None, None
    circles = _step_to_sides(eyes, start)
    free = _free_rays(eyes, circles)
    for _ in range(_REFINEMENTS):
        fit = _refine(eyes, circles, start, free)
        circles = fit.circles
    believed = _believed(eyes, fit, start)
    right, left = (2.0 * float(circles.radius[eye]) if believed[eye] else None for eye in (0, 1))
    return right, left


def _start(pixels: NDArray[np.uint8], points: Floats) -> tuple[_Eyes, _Circles]:
    """Take from the mesh where the eyes, their lids and roughly their irises are."""
    along = points[_CORNERS[:, 1]] - points[_CORNERS[:, 0]]
    along /= np.maximum(np.sqrt((along**2).sum(axis=1, keepdims=True)), _TINY)
    axes = np.stack([along, along[:, ::-1] * (-1, 1)], axis=1)
    sides = points[_RING_SIDES]
    radius = np.sqrt(((sides[:, 1] - sides[:, 0]) ** 2).sum(axis=1)) / (2 * MESH_OVER_TRACED)
    centre = sides.mean(axis=1) - _CENTRE_RISE * radius[:, np.newaxis] * axes[:, 1]
    eyes = _Eyes(pixels, axes, _DIRECTIONS @ axes, points[_UPPER_LIDS], points[_LOWER_LIDS])
    return eyes, _Circles(centre, radius)


def _edges(eyes: _Eyes, circles: _Circles) -> Floats:
    """Run along every ray and tell, for each place, how much brighter the box beyond is than the box before.

    Shape (2, rays, radii), in levels of 255; the middle of the last axis is the circle.
    """
    height, width = eyes.pixels.shape[:2]
    steps = eyes.directions * circles.radius[:, np.newaxis, np.newaxis]
    x = circles.centre[:, :1, np.newaxis] + steps[..., :1] * _RADII
    y = circles.centre[:, 1:, np.newaxis] + steps[..., 1:] * _RADII
    np.clip(x, 0, width - 1 - _STEP, out=x)
    np.clip(y, 0, height - 1 - _STEP, out=y)
    column, row = x.astype(np.intp), y.astype(np.intp)
    x -= column
    y -= row
    values = eyes.pixels.reshape(-1)
    at = (row * width + column) * _CHANNELS + _GREEN
    above = (1 - x) * values.take(at) + x * values.take(at + _CHANNELS)
    at += width * _CHANNELS
    below = (1 - x) * values.take(at) + x * values.take(at + _CHANNELS)
    sums = np.zeros((*x.shape[:2], _RADII.size + 1))
    np.cumsum(above + y * (below - above), axis=-1, out=sums[..., 1:])
    beyond = sums[..., 2 * _BOX + 1 :] - sums[..., _BOX + 1 : -_BOX]
    before = sums[..., _BOX : -_BOX - 1] - sums[..., : -2 * _BOX - 1]
    return np.asarray((beyond - before) / _BOX)


def _free_rays(eyes: _Eyes, circles: _Circles) -> Flags:
    """Tell which rays, where the edge can be, lie in the picture and between the lids; shape (2, rays)."""
    height, width = eyes.pixels.shape[:2]
    centre, radius = circles.centre[:, np.newaxis], circles.radius[:, np.newaxis, np.newaxis]
    to_eye = eyes.axes.swapaxes(1, 2) / radius
    ends = centre + eyes.directions * (radius * max(_REACH))
    free = np.asarray(((ends >= 0) & (ends <= (width - 1, height - 1))).all(axis=-1))
    lids = zip((eyes.upper_lids - centre) @ to_eye, (eyes.lower_lids - centre) @ to_eye, strict=True)
    for eye, (upper, lower) in enumerate(lids):
        highest = np.interp(_REACHED_X, upper[:, 0], upper[:, 1], np.inf, np.inf) + _LID_MARGIN
        lowest = np.interp(_REACHED_X, lower[:, 0], lower[:, 1], -np.inf, -np.inf) - _LID_MARGIN
        free[eye] &= ((highest < _REACHED_Y) & (lowest > _REACHED_Y)).all(axis=0)
    return free


def _peaks(edges: Floats, reach: int) -> tuple[Floats, Floats, Floats]:
    """Find the strongest edge within `reach` steps of the circle: its radius, its contrast, and how sharply it falls.

    The radius is that of the parabola through the three highest places. Contrast is 0 where the strongest is no peak.
    """
    flat = edges.reshape(-1, edges.shape[-1])
    middle = flat.shape[1] // 2
    rows = np.arange(len(flat))
    at = np.clip(flat[:, middle - reach : middle + reach + 1].argmax(axis=1), 1, 2 * reach - 1) + middle - reach
    here, before, after = flat[rows, at], flat[rows, at - 1], flat[rows, at + 1]
    bend = before + after - 2 * here
    is_peak = (here > 0) & (here >= before) & (here >= after) & (bend < 0)
    shift = np.where(is_peak, (before - after) / np.where(is_peak, 2 * bend, 1), 0)
    half_box = _BOX // 2
    off = (flat[rows, at - half_box] + flat[rows, at + half_box]) / 2
    fall = 1 - off / np.where(is_peak, here, 1)
    found = (1 + _STEP * (at - middle + shift), np.where(is_peak, here, 0), fall)
    radius, contrast, fall = (values.reshape(edges.shape[:-1]) for values in found)
    return radius, contrast, fall


def _step_to_sides(eyes: _Eyes, start: _Circles) -> _Circles:
    """Move the circles to where the edge is on the mean of either side: single rays see too little this far off."""
    free = _free_rays(eyes, start).reshape(2, 2, _RAYS, 1)
    edges = _edges(eyes, start).reshape(2, 2, _RAYS, -1)
    side_radius, _, _ = _peaks((edges * free).sum(axis=2) / np.maximum(free.sum(axis=2), 1), _FIRST_SEARCH)
    across = (side_radius[:, 0] - side_radius[:, 1]) / 2 * start.radius
    return _Circles(start.centre + across[:, np.newaxis] * eyes.axes[:, 0], start.radius * side_radius.mean(axis=1))


def _refine(eyes: _Eyes, circles: _Circles, start: _Circles, free: Flags) -> _Fit:
    """Fit a circle to the edges on single rays, weighted by contrast, leaving out what lies off it."""
    found, contrast, fall = _peaks(_edges(eyes, circles), _SEARCH)
    used = free & (contrast > 0)
    typical = np.maximum(_median(contrast, used), _TINY)
    trust = np.minimum(contrast / typical[:, np.newaxis], 1) * used
    height = ((circles.centre - start.centre) * eyes.axes[:, 1]).sum(axis=1) / circles.radius
    weights = trust
    for _ in range(_REWEIGHTINGS):
        weighted = _DESIGN.T * weights[:, np.newaxis]
        normal = weighted @ _DESIGN + np.diag([_TINY, _TINY, _HOLD])
        target = (weighted @ found[..., np.newaxis])[..., 0] - _HOLD * height[:, np.newaxis] * (0, 0, 1)
        change = np.linalg.solve(normal, target[..., np.newaxis])[..., 0]
        off = np.abs(found - change @ _DESIGN.T)
        sd = np.maximum(_MAD_TO_SD * _median(off, used), _LEAST_SD)
        weights = trust * np.maximum(1 - (off / (_TUKEY * sd[:, np.newaxis])) ** 2, 0) ** 2
    move = (change[:, np.newaxis, 1:] @ eyes.axes)[:, 0] * circles.radius[:, np.newaxis]
    # Without any edge the radius would come out as 0, and the next round would divide by it.
    radius = circles.radius * np.maximum(change[:, 0], 1 - _SEARCH * _STEP)
    by_side = contrast.reshape(2 * 2, _RAYS), used.reshape(2 * 2, _RAYS)
    return _Fit(
        _Circles(circles.centre + move, radius),
        rays_on_a_side=weights.reshape(2, 2, _RAYS).sum(axis=2).min(axis=1),
        contrast=_median(*by_side).reshape(2, 2).min(axis=1),
        sd=sd,
        fall=_median(fall, used),
    )


def _believed(eyes: _Eyes, fit: _Fit, start: _Circles) -> Flags:
    """Tell of either eye whether the fit is a better ruler than the mesh."""
    moved = ((fit.circles.centre - start.centre) * eyes.axes[:, 0]).sum(axis=1) / start.radius
    return np.asarray(
        (2 * fit.circles.radius >= _MIN_DIAMETER_PX)
        & (fit.rays_on_a_side >= _MIN_RAYS_ON_A_SIDE)
        & (fit.contrast >= _MIN_CONTRAST)
        & (fit.sd <= _MAX_SD)
        & (fit.fall >= _MIN_FALL)
        & (np.abs(fit.circles.radius / start.radius - 1) <= _MAX_CHANGE)
        & (np.abs(moved) <= _MAX_MOVE)
    )


def _median(values: Floats, used: Flags) -> Floats:
    """Take the lower median of the used values of each row; 0 where none is."""
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    count = used.sum(axis=1)
    return np.where(count > 0, ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2], 0)
