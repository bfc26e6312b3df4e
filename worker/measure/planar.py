"""From the four corners of a flat rectangle of known size to millimetres per px: projective geometry, no pixels.

The corners of a rectangle seen by a pinhole fix a homography from millimetres on the rectangle to px. Around the
rectangle's own centre that map is linear, and once the camera is turned (in thought) to look straight at the centre,
its larger singular value is exactly 1/distance and the ratio of the two is the cosine of the tilt, whatever the tilt:
the closed form of Collins & Bartoli, "Infinitesimal Plane-based Pose Estimation", IJCV 109 (2014), section 4. The focal
length enters through the imagined turn alone, so the result bears an error of it well: docs/adr/0008.

Frames: px of the picture, x right, y down; mm on the rectangle from its centre, x along the side between the first
two corners, y along the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from worker.measure.geometry import turn_from_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.measure.camera import Camera

_CORNERS: Final = 4
_FOCALS: Final = 7
_FOCAL_SDS: Final = 1.5
"""How many focal lengths are tried for the view that fits, and how many standard deviations around the one believed."""
_SMALLEST_FOCAL: Final = 0.4
"""In units of the focal length believed: keeps what is tried positive where the standard deviation is large."""


@dataclass(frozen=True, slots=True)
class PlanarScale:
    """How a rectangle of known size lies before the camera.

    Attributes
    ----------
    mm_per_px : float
        At the rectangle's centre, for a length parallel to the picture at the depth of that centre: depth over focal
        length [mm/px].
    tilt_deg : float
        Between the rectangle and the picture's plane [degrees], 0 to 90. Noise reads as tilt: one side wrong by 0.5 %
        makes 6 degrees of none.
    misfit_px : float
        Root mean square of the distances from the corners to those of the view of a rectangle that fits them [px]. A
        tilt that shortens one side must make its far end smaller too, by as much as the distance allows: so a shape
        of other proportions does not pass as a tilted one.
    """

    mm_per_px: float
    tilt_deg: float
    misfit_px: float


def scale_of_rectangle(corners_px: NDArray[np.float64], size_mm: tuple[float, float], camera: Camera) -> PlanarScale:
    """Tell the scale at a rectangle of known size from its corners, its tilt corrected.

    Parameters
    ----------
    corners_px : ndarray of float64, shape (4, 2)
        Its corners in order around it [px].
    size_mm : tuple of float
        The side from the first to the second corner, and from the second to the third [mm].
    camera : Camera
        In px of the same picture. The scale is told for its `focal_px`; tilt and misfit are those of the focal length
        within 1.5 standard deviations that fits best.

    Returns
    -------
    PlanarScale
        Exact for exact corners and an exact camera.

    Raises
    ------
    ValueError
        If the corners are not the corners of a convex quadrilateral before the camera, or a side is not positive.
    """
    reach = _FOCAL_SDS * camera.focal_sd_px / camera.focal_px
    factors = np.geomspace(max(1 - reach, _SMALLEST_FOCAL), 1 + reach, _FOCALS if reach else 1)
    fits = [_fit_of_view(corners_px, size_mm, factor * camera.focal_px, camera.centre_px) for factor in factors]
    misfit_px, tilt_deg = min(fits)
    return PlanarScale(_mm_per_px(corners_px, size_mm, camera.focal_px, camera.centre_px), tilt_deg, misfit_px)


class ScaleDoubt(NamedTuple):
    """How sure such a scale is.

    Attributes
    ----------
    sd : float
        One standard deviation [mm/px] of the corners' noise, and of what a wrong focal length of either sign does.
    focal_slope : float
        By what fraction the scale grows with a lens that is longer by a fraction: what it does by its sign.
    """

    sd: float
    focal_slope: float


def doubt_of_scale(
    corners_px: NDArray[np.float64], corner_sd_px: float, size_mm: tuple[float, float], camera: Camera
) -> ScaleDoubt:
    """Tell how sure that scale is.

    Parameters
    ----------
    corners_px : ndarray of float64, shape (4, 2)
        As for `scale_of_rectangle` [px].
    corner_sd_px : float
        Of each coordinate of each corner, independent of each other [px].
    size_mm : tuple of float
        As for `scale_of_rectangle` [mm].
    camera : Camera
        Its `focal_sd_px` counts.

    Returns
    -------
    ScaleDoubt

    Raises
    ------
    ValueError
        As for `scale_of_rectangle`.
    """
    focal_px, nearest_px = camera.focal_px, _SMALLEST_FOCAL * camera.focal_px
    steps = corner_sd_px * np.eye(2 * _CORNERS).reshape(-1, _CORNERS, 2)
    moved = [corners_px + sign * step for step in steps for sign in (1, -1)]
    others_px = (max(focal_px - camera.focal_sd_px, nearest_px), focal_px + camera.focal_sd_px)
    # A whole standard deviation each way, and not a derivative: where no side is foreshortened the scale has a kink.
    mm_per_px = _mm_per_px(corners_px, size_mm, focal_px, camera.centre_px)
    offs = np.array([_mm_per_px(corners, size_mm, focal_px, camera.centre_px) for corners in moved]) - mm_per_px
    shorter, longer = (_mm_per_px(corners_px, size_mm, other_px, camera.centre_px) for other_px in others_px)
    either_way = (shorter + longer) / 2 - mm_per_px
    reach = (others_px[1] - others_px[0]) / focal_px
    return ScaleDoubt(
        sd=float(np.sqrt((offs**2).sum() / 2 + either_way**2)),
        focal_slope=log(longer / shorter) / reach if reach else 0.0,
    )


def rectangle_corners_mm(size_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Give the corners of a rectangle around its centre, the first at the upper left: shape (4, 2) [mm]."""
    half_width_mm, half_height_mm = size_mm[0] / 2, size_mm[1] / 2
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (half_width_mm, half_height_mm)


def homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the projective map that takes four points of a plane to four others.

    Parameters
    ----------
    source, target : ndarray of float64, shape (4, 2)
        No three of either on one line.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        Its last element is 1.

    Raises
    ------
    ValueError
        If three points lie on one line.
    """
    zero, one = np.zeros(_CORNERS), np.ones(_CORNERS)
    (x, y), (u, v) = source.T, target.T
    system = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
        ]
    )
    try:
        solved = np.linalg.solve(system, np.concatenate([u, v]))
    except np.linalg.LinAlgError as exc:
        raise ValueError("three of the four points lie on one line") from exc
    return np.append(solved, 1.0).reshape(3, 3)


def is_convex(corners: NDArray[np.float64]) -> bool:
    """Tell whether four points in order, shape (4, 2), are the corners of a convex quadrilateral."""
    along = np.roll(corners, -1, axis=0) - corners
    following = np.roll(along, -1, axis=0)
    turns = along[:, 0] * following[:, 1] - along[:, 1] * following[:, 0]
    return bool(np.all(turns > 0) or np.all(turns < 0))


def _seen_straight(
    corners_px: NDArray[np.float64], size_mm: tuple[float, float], focal_px: float, centre_px: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Turn the camera to look at the rectangle's centre.

    Returns the Jacobian (2, 2) of the map from mm to that view's normalised coordinates at the centre, the rotation
    (3, 3) from the camera to that view, and the centre (3,) in the camera's normalised coordinates.
    """
    if not is_convex(corners_px):
        raise ValueError("the corners are not those of a convex quadrilateral")
    if min(size_mm) <= 0:
        raise ValueError(f"a rectangle has positive sides, not {size_mm[0]} x {size_mm[1]} mm")
    to_view = homography(rectangle_corners_mm(size_mm), (corners_px - centre_px) / focal_px)
    centre = to_view[:, 2]
    turn = turn_from_axis(centre[0] / centre[2], centre[1] / centre[2]).T
    straight = turn @ to_view
    return straight[:2, :2] / straight[2, 2], turn, centre


def _mm_per_px(
    corners_px: NDArray[np.float64], size_mm: tuple[float, float], focal_px: float, centre_px: tuple[float, float]
) -> float:
    jacobian, _, centre = _seen_straight(corners_px, size_mm, focal_px, centre_px)
    distance_mm = 1 / np.linalg.norm(jacobian, ord=2)
    return float(distance_mm / np.linalg.norm(centre) / focal_px)


def _fit_of_view(
    corners_px: NDArray[np.float64], size_mm: tuple[float, float], focal_px: float, centre_px: tuple[float, float]
) -> tuple[float, float]:
    """Give misfit [px] and tilt [degrees] of the better of the two views that look alike around the centre."""
    jacobian, turn, _ = _seen_straight(corners_px, size_mm, focal_px, centre_px)
    distance_mm = 1 / np.linalg.norm(jacobian, ord=2)
    axes = jacobian * distance_mm  # the upper two rows of the rotation's first two columns
    # Each column has unit length and they are orthogonal, which leaves the sign of the third row open.
    third_row = np.sqrt(np.clip(1 - (axes**2).sum(axis=0), 0, 1))
    third_row[1] *= -1 if axes[:, 0] @ axes[:, 1] > 0 else 1
    flat = rectangle_corners_mm(size_mm)
    fits = []
    for sign in (1, -1):
        columns = turn.T @ np.concatenate([axes, sign * third_row[np.newaxis]])
        facing = abs(float(np.linalg.det(columns[:2])))
        misfit_px = _misfit_px(corners_px - centre_px, flat @ columns.T, distance_mm * turn[2], focal_px)
        fits.append((misfit_px, float(np.degrees(np.arccos(min(facing, 1.0))))))
    return min(fits)


def _misfit_px(
    seen_px: NDArray[np.float64], around_mm: NDArray[np.float64], place_mm: NDArray[np.float64], focal_px: float
) -> float:
    """Tell how far points stay from those of a view once it is turned and moved to fit them best, to first order.

    `seen_px` (4, 2) are from the optical axis, `around_mm` (4, 3) from the object's centre, which is at `place_mm`.
    """
    x, y, z = (around_mm + place_mm).T
    residuals = (seen_px - np.stack([x, y], axis=1) / z[:, np.newaxis] * focal_px).ravel()
    zero, one = np.zeros(_CORNERS), np.ones(_CORNERS)
    by_place = np.stack([np.stack([one, zero, -x / z], axis=1), np.stack([zero, one, -y / z], axis=1)], axis=1)
    by_place *= (focal_px / z)[:, np.newaxis, np.newaxis]
    # A small turn w moves a point by w x around: each row of derivatives d gives around x d.
    by_turn = np.cross(around_mm[:, np.newaxis], by_place)
    design = np.concatenate([by_place, by_turn], axis=2).reshape(2 * _CORNERS, -1)
    left = residuals - design @ np.linalg.lstsq(design, residuals, rcond=None)[0]
    return float(np.sqrt((left**2).sum() / _CORNERS))
