"""The limbus, where iris and white of the eye meet, fitted again on the pixels: a better ruler than the mesh's ring.

The mesh gives each iris as five points of a model that sees the eye on a few dozen pixels. Here the edge itself is
searched: along rays from the centre of that ring towards both sides, between the lids, the place where the pixels
outside are brighter than those inside by most (`worker.measure.radial_edges`); then a circle through these places, by
least squares that leave out what lies off it. Lids hide the top and often the bottom of an iris, so only rays to the
sides are used, and the height of the centre, which they hardly tell, is held near the mesh's.

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
from worker.measure.radial_edges import STEP, LowerMedians, Search, find_peaks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Points of the mesh, from the image's left to its right.
_CORNERS: Final = np.array([[RIGHT_EYE_OUTER, RIGHT_EYE_INNER], [LEFT_EYE_INNER, LEFT_EYE_OUTER]])
_RING_SIDES: Final = np.array([[471, 469], [476, 474]])
_LIDS: Final = np.array(
    [
        [[33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133]],
        [[362, 398, 384, 385, 386, 387, 388, 466, 263], [362, 382, 381, 380, 374, 373, 390, 249, 263]],
    ]
)
"""Of each eye the upper lid, then the lower one."""

# Rays.
_CHANNELS: Final = 3
_GREEN: Final = 1
"""Green alone did as well against the traced rings as red, blue or grey, and asks for no conversion."""
_SIDE_ANGLES: Final = np.deg2rad(np.arange(-30.0, 45.1, 7.5))
"""Of the rays to one side, downwards from the line through the corners of the eye: the upper lid covers more."""
_RAYS: Final = _SIDE_ANGLES.size
_ANGLES: Final = np.concatenate([_SIDE_ANGLES, np.pi - _SIDE_ANGLES])
_DIRECTIONS: Final = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_REACH: Final = (0.85, 1.20)
"""The part of a ray that must lie between the lids and in the picture, ..."""
_FARTHEST: Final = max(_REACH)
_REACHED_X, _REACHED_Y = np.moveaxis(_DIRECTIONS * np.array(_REACH)[:, np.newaxis, np.newaxis], -1, 0)
_LID_MARGIN: Final = 0.06
"""... and this far from the lids: lashes reach beyond the contour of the mesh."""

# Where the search begins, and how far it goes.
MESH_OVER_TRACED: Final = 1.043
"""The mesh's ring is this much wider than the iris traced by hand (London set, 31 people; 102 people gave 1.04)."""
_CENTRE_RISE: Final = 0.10
"""And its centre lies this much too low: 0.11 radii, SD 0.07, in the eyes of the London set's fit half."""
_FIRST_SEARCH: Final = Search.within(10)
_SEARCH: Final = Search.within(5)
"""Off the mesh's ring, on the mean of a side; and off the circle found so far, on a ray."""

# How the circle is fitted.
_DESIGN: Final = np.column_stack([np.ones(2 * _RAYS), _DIRECTIONS])
"""Moving the centre by (dx, dy) changes a ray's length to the circle by dx cos + dy sin, to first order."""
_PRODUCTS: Final = (_DESIGN[:, :, np.newaxis] * _DESIGN[:, np.newaxis]).reshape(2 * _RAYS, -1)
"""What each ray of weight 1 adds to the nine numbers of the normal equations."""
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
_HELD: Final = np.diag([_TINY, _TINY, _HOLD])

# When the fit is believed: where pictures of the fit half, made worse step by step, are read better than by the mesh.
_MIN_DIAMETER_PX: Final = 10.0
_MIN_RAYS_ON_A_SIDE: Final = 2
_MIN_CONTRAST: Final = 4.0
"""The white brighter than the iris, in levels of 255."""
_MAX_SD: Final = 0.05
"""How far the edges may scatter around the circle."""
_MIN_FALL: Final = 0.10
"""How much the contrast must fall half a box off the edge: by half on a step, 0.2 to 0.3 on sharp photos; blurred over
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
    """(2, 2, rays): x, then y, of the rays of each eye, in the picture."""
    lids: Floats
    """(2, 2, points, 2)"""

    @property
    def last(self) -> Floats:
        """Give x and y of the last px, shape (2, 1, 1)."""
        height, width = self.pixels.shape[:2]
        return np.array([[[width - 1.0]], [[height - 1.0]]])


class _Circles(NamedTuple):
    centre: Floats
    radius: Floats


class _Fit(NamedTuple):
    """A circle for each eye, how the edges scatter around it, and what each ray, shape (2, rays), has to do with it."""

    circles: _Circles
    sd: Floats
    used: Flags
    weights: Floats
    contrast: Floats
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
    corners = points[_CORNERS]
    along = corners[:, 1] - corners[:, 0]
    along /= np.maximum(np.sqrt((along**2).sum(axis=1, keepdims=True)), _TINY)
    axes = np.stack([along, along[:, ::-1] * (-1, 1)], axis=1)
    sides = points[_RING_SIDES]
    radius = np.sqrt(((sides[:, 1] - sides[:, 0]) ** 2).sum(axis=1)) / (2 * MESH_OVER_TRACED)
    centre = (sides[:, 0] + sides[:, 1]) / 2 - _CENTRE_RISE * radius[:, np.newaxis] * axes[:, 1]
    directions = np.ascontiguousarray((_DIRECTIONS @ axes).transpose(2, 0, 1))
    return _Eyes(pixels, axes, directions, points[_LIDS]), _Circles(centre, radius)


def _samples(eyes: _Eyes, circles: _Circles, radii: Floats) -> Floats:
    """Read the picture along every ray, between its px; shape (2 * rays, radii), in levels of 255."""
    places = eyes.directions[..., np.newaxis] * (circles.radius[:, np.newaxis, np.newaxis] * radii)
    places += circles.centre.T[..., np.newaxis, np.newaxis]
    places = places.reshape(2, -1, radii.size)
    np.maximum(places, 0, out=places)
    np.minimum(places, eyes.last - STEP, out=places)
    whole = np.floor(places)
    x, y = places - whole
    row_length = eyes.pixels.shape[1] * _CHANNELS
    at = (whole[1] * row_length + (whole[0] * _CHANNELS + _GREEN)).astype(np.intp)
    corners = np.array([0, _CHANNELS, row_length, row_length + _CHANNELS])[:, np.newaxis, np.newaxis]
    upper, upper_beside, lower, lower_beside = eyes.pixels.reshape(-1).take(at + corners).astype(np.float64)
    rest_of_x = 1 - x
    above = rest_of_x * upper + x * upper_beside
    below = rest_of_x * lower + x * lower_beside
    return np.asarray(above + y * (below - above))


def _free_rays(eyes: _Eyes, circles: _Circles) -> Flags:
    """Tell which rays, where the edge can be, lie in the picture and between the lids; shape (2, rays)."""
    ends = eyes.directions * (circles.radius[:, np.newaxis] * _FARTHEST) + circles.centre.T[..., np.newaxis]
    in_width, in_height = (ends >= 0) & (ends <= eyes.last)
    free: Flags = in_width & in_height
    to_eye = eyes.axes.swapaxes(1, 2) / circles.radius[:, np.newaxis, np.newaxis]
    lids = (eyes.lids - circles.centre[:, np.newaxis, np.newaxis]) @ to_eye[:, np.newaxis]
    for eye, (upper, lower) in enumerate(lids):
        highest = np.interp(_REACHED_X, upper[:, 0], upper[:, 1], np.inf, np.inf) + _LID_MARGIN
        lowest = np.interp(_REACHED_X, lower[:, 0], lower[:, 1], -np.inf, -np.inf) - _LID_MARGIN
        free[eye] &= ((highest < _REACHED_Y) & (lowest > _REACHED_Y)).all(axis=0)
    return free


def _step_to_sides(eyes: _Eyes, start: _Circles) -> _Circles:
    """Move the circles to where the edge is on the mean of either side: single rays see too little this far off."""
    free = _free_rays(eyes, start).reshape(2 * 2, 1, _RAYS)
    samples = _samples(eyes, start, _FIRST_SEARCH.radii).reshape(2 * 2, _RAYS, -1)
    of_sides = (free @ samples)[:, 0] / np.maximum(free.sum(axis=2), 1)
    side_radius = find_peaks(of_sides, _FIRST_SEARCH).radius.reshape(2, 2)
    across = (side_radius[:, 0] - side_radius[:, 1]) / 2 * start.radius
    return _Circles(start.centre + across[:, np.newaxis] * eyes.axes[:, 0], start.radius * side_radius.mean(axis=1))


def _refine(eyes: _Eyes, circles: _Circles, start: _Circles, free: Flags) -> _Fit:
    """Fit a circle to the edges on single rays, weighted by contrast, leaving out what lies off it."""
    peaks = find_peaks(_samples(eyes, circles, _SEARCH.radii), _SEARCH)
    found, contrast, fall = (of_ray.reshape(2, -1) for of_ray in peaks)
    used = free & (contrast > 0)
    medians = LowerMedians(used)
    typical = np.maximum(medians.of(contrast), _TINY)
    trust = np.minimum(contrast / typical[:, np.newaxis], 1) * used
    height = ((circles.centre - start.centre) * eyes.axes[:, 1]).sum(axis=1) / circles.radius
    held = height[:, np.newaxis] * _HELD[2]
    weights = trust
    for _ in range(_REWEIGHTINGS):
        normal = (weights @ _PRODUCTS).reshape(2, 3, 3) + _HELD
        target = (weights * found) @ _DESIGN - held
        change = np.linalg.solve(normal, target[..., np.newaxis])[..., 0]
        off = np.abs(found - change @ _DESIGN.T)
        sd = np.maximum(_MAD_TO_SD * medians.of(off), _LEAST_SD)
        weights = trust * np.maximum(1 - (off / (_TUKEY * sd[:, np.newaxis])) ** 2, 0) ** 2
    move = (change[:, np.newaxis, 1:] @ eyes.axes)[:, 0] * circles.radius[:, np.newaxis]
    # Without any edge the radius would come out as 0, and the next round would divide by it.
    radius = circles.radius * np.maximum(change[:, 0], 1 - _SEARCH.reach * STEP)
    return _Fit(_Circles(circles.centre + move, radius), sd, used, weights, contrast, fall)


def _believed(eyes: _Eyes, fit: _Fit, start: _Circles) -> Flags:
    """Tell of either eye whether the fit is a better ruler than the mesh; of its two sides the worse one counts."""
    rays_on_a_side = fit.weights.reshape(2, 2, _RAYS).sum(axis=2).min(axis=1)
    of_sides = LowerMedians(fit.used.reshape(2 * 2, _RAYS)).of(fit.contrast.reshape(2 * 2, _RAYS))
    moved = ((fit.circles.centre - start.centre) * eyes.axes[:, 0]).sum(axis=1) / start.radius
    return np.asarray(
        (2 * fit.circles.radius >= _MIN_DIAMETER_PX)
        & (rays_on_a_side >= _MIN_RAYS_ON_A_SIDE)
        & (of_sides.reshape(2, 2).min(axis=1) >= _MIN_CONTRAST)
        & (fit.sd <= _MAX_SD)
        & (LowerMedians(fit.used).of(fit.fall) >= _MIN_FALL)
        & (np.abs(fit.circles.radius / start.radius - 1) <= _MAX_CHANGE)
        & (np.abs(moved) <= _MAX_MOVE)
    )
