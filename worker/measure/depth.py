"""How far each point of a mesh lies behind the eyes, and where that puts it in space.

The same as `shared.mesh_depth`, which explains it, for arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shared.mesh_depth import DEPTH_GAIN, LEFT_IRIS, PERSPECTIVE_SHARE, RIGHT_IRIS
from worker.measure.landmarks import CANONICAL_POINTS, MESH_POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.measure.camera import Camera


def depth_behind_eyes_px(landmarks: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """Tell how far each point lies behind the plane of the eyes, from the mesh's own depth.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.

    Returns
    -------
    ndarray of float64, shape (478,)
        Along the camera's axis, in px of the plane through the mean depth of both iris centres: times mm_per_px it is
        millimetres. Negative: nearer to the camera than the eyes.

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite.
    """
    if landmarks.shape != (MESH_POINTS, 3) or not np.isfinite(landmarks).all():
        raise ValueError(f"a mesh has {MESH_POINTS} finite points of three coordinates, not {landmarks.shape}")
    slope = (landmarks[:CANONICAL_POINTS, :2].mean(axis=0) - camera.centre_px) / camera.focal_px
    depth = DEPTH_GAIN * landmarks[:, 2] - landmarks[:, :2] @ slope
    return np.asarray(depth - (depth[RIGHT_IRIS] + depth[LEFT_IRIS]) / 2)


def to_millimetres(landmarks: NDArray[np.float64], mm_per_px: float, camera: Camera) -> NDArray[np.float64]:
    """Back-project a mesh, each point to its own depth.

    X_i = ((x_i - c_x)(s + q d_i / f), (y_i - c_y)(s + q d_i / f), d_i), with d_i the depth behind the eyes [mm] and q
    the share of the perspective that the mesh follows.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    mm_per_px : float
        Scale at the plane of the eyes.
    camera : Camera
        The photo's camera.

    Returns
    -------
    ndarray of float64, shape (478, 3)
        Millimetres: x to the right, y down, z away from the camera, from where the optical axis meets the plane of the
        eyes; the camera is at (0, 0, -focal_px * mm_per_px).

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite, or the scale is not positive.
    """
    if not 0 < mm_per_px < np.inf:
        raise ValueError(f"a scale is positive and finite, not {mm_per_px}")
    return mm_per_px * back_projected_px(landmarks, camera)


def back_projected_px(landmarks: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """Back-project a mesh whose scale is not known, as `to_millimetres` does.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.

    Returns
    -------
    ndarray of float64, shape (478, 3)
        In px of the plane through the mean depth of both iris centres: times mm_per_px they are millimetres. The last
        column is what `depth_behind_eyes_px` gives.

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite.
    """
    depth_px = depth_behind_eyes_px(landmarks, camera)
    magnified = 1 + PERSPECTIVE_SHARE / camera.focal_px * depth_px
    centre_x, centre_y = camera.centre_px
    x, y = landmarks[:, 0] - centre_x, landmarks[:, 1] - centre_y
    return np.array([x * magnified, y * magnified, depth_px]).T
