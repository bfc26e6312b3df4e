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
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.measure.camera import Camera

_CORNERS: Final = 4
_STEP_PX: Final = 0.01
"""For derivatives by central differences: far above rounding, far below any curvature."""
_MISFIT_FOCAL_STEPS: Final = 7
_MISFIT_FOCAL_SDS: Final = 1.5
"""How many standard deviations of the focal length a rectangle may ask for before it is called none."""
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
        Between the rectangle's normal and the line of sight to its centre [degrees], 0 to 90. Noise reads as tilt: a
        side wrong by 0.5 % makes 6 degrees of none.
    """

    mm_per_px: float
    tilt_deg: float


def scale_of_rectangle(
    corners_px: NDArray[np.float64], size_mm: tuple[float, float], camera: Camera
) -> PlanarScale:
    """Tell the scale at a rectangle of known size from its corners, its tilt corrected.

    Parameters
    ----------
    corners_px : ndarray of float64, shape (4, 2)
        Its corners in order around it [px].
    size_mm : tuple of float
        The side from the first to the second corner, and from the second to the third [mm].
    camera : Camera
        In px of the same picture.

    Returns
    -------
    PlanarScale
        Exact for exact corners and an exact camera.

    Raises
    ------
    ValueError
        If the corners are not the corners of a convex quadrilateral, or a side is not positive.
    """
    jacobian, _, centre = _seen_straight(corners_px, size_mm, camera.focal_px, camera.centre_px)
    larger, smaller = np.linalg.svd(jacobian, compute_uv=False)
    depth_mm = 1 / (larger * np.linalg.norm(centre))
    tilt_deg = np.degrees(np.arccos(np.clip(smaller / larger, 0, 1)))
    return PlanarScale(float(depth_mm / camera.focal_px), float(tilt_deg))


def scale_sd(
    corners_px: NDArray[np.float64], corner_sd_px: float, size_mm: tuple[float, float], camera: Camera
) -> float:
    """Tell the standard deviation of that scale, to first order.

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
    float
        One standard deviation [mm/px], of the corners' noise and the focal length's together.
    """

    def mm_per_px(corners: NDArray[np.float64], focal_px: float) -> float:
        jacobian, _, centre = _seen_straight(corners, size_mm, focal_px, camera.centre_px)
        return float(1 / (np.linalg.svd(jacobian, compute_uv=False)[0] * np.linalg.norm(centre) * focal_px))

    variance = 0.0
    for step in _STEP_PX * np.eye(2 * _CORNERS).reshape(-1, _CORNERS, 2):
        rise = mm_per_px(corners_px + step, camera.focal_px) - mm_per_px(corners_px - step, camera.focal_px)
        variance += (rise / (2 * _STEP_PX) * corner_sd_px) ** 2
    nearest = max(camera.focal_px - camera.focal_sd_px, _SMALLEST_FOCAL * camera.focal_px)
    spread = [mm_per_px(corners_px, focal_px) for focal_px in (nearest, camera.focal_px + camera.focal_sd_px)]
    return float(np.sqrt(variance + ((spread[1] - spread[0]) / 2) ** 2))


def rectangle_misfit_px(
    corners_px: NDArray[np.float64], size_mm: tuple[float, float], camera: Camera
) -> float:
    """Tell how far four points are from any view of a rectangle of this size.

    A tilt that shortens one side must also make its far end smaller, by as much as the distance allows. Both are seen,
    so a shape of other proportions cannot pass as a tilted one.

    Parameters
    ----------
    corners_px : ndarray of float64, shape (4, 2)
        As for `scale_of_rectangle` [px].
    size_mm : tuple of float
        As for `scale_of_rectangle` [mm].
    camera : Camera
        The focal length that fits best within 1.5 of its standard deviations is taken.

    Returns
    -------
    float
        Root mean square of the distances from the points to the corners of the view that fits [px]. An upper bound:
        the view is in closed form, not the best of all.
    """
    reach = _MISFIT_FOCAL_SDS * camera.focal_sd_px / camera.focal_px
    factors = np.linspace(max(1 - reach, _SMALLEST_FOCAL), 1 + reach, _MISFIT_FOCAL_STEPS)
    return min(_misfit_px(corners_px, size_mm, factor * camera.focal_px, camera.centre_px) for factor in factors)


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
    turn = _rotation_onto_axis(centre / np.linalg.norm(centre))
    straight = turn @ to_view
    return straight[:2, :2] / straight[2, 2], turn, centre


def _rotation_onto_axis(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the smallest rotation (3, 3) that takes a unit vector with positive z to (0, 0, 1); Rodrigues' formula."""
    x, y, z = direction
    cross = np.array([(0, 0, -x), (0, 0, -y), (x, y, 0)])
    return np.eye(3) + cross + cross @ cross / (1 + z)


def _misfit_px(
    corners_px: NDArray[np.float64], size_mm: tuple[float, float], focal_px: float, centre_px: tuple[float, float]
) -> float:
    jacobian, turn, _ = _seen_straight(corners_px, size_mm, focal_px, centre_px)
    distance_mm = 1 / np.linalg.svd(jacobian, compute_uv=False)[0]
    axes = jacobian * distance_mm  # the first two rows of the rotation's first two columns
    # Each column has unit length and the two are orthogonal, which leaves the sign of the third row open.
    lost = np.sqrt(np.clip(1 - (axes**2).sum(axis=0), 0, 1))
    across = -float(axes[:, 0] @ axes[:, 1])
    lost[1] *= 1 if across >= 0 else -1
    flat = rectangle_corners_mm(size_mm)
    misfits = []
    for third_row in (lost, -lost):
        points = np.concatenate([flat @ axes.T, (flat @ third_row)[:, np.newaxis] + distance_mm], axis=1) @ turn
        seen_px = points[:, :2] / points[:, 2:] * focal_px + centre_px
        misfits.append(float(np.sqrt(((seen_px - corners_px) ** 2).sum(axis=1).mean())))
    return min(misfits)
