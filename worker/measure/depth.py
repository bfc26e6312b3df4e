"""Where the points of a mesh are in space.

The same as `shared.mesh_depth`, which explains it, for arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shared.mesh_depth import DEPTH_GAIN, DRAWN_OUT_POWER, LEFT_IRIS, PERSPECTIVE_SHARE, RIGHT_IRIS
from worker.measure.geometry import turn_from_axis
from worker.measure.landmarks import CANONICAL_POINTS, MESH_POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.measure.camera import Camera


def to_millimetres(landmarks: NDArray[np.float64], mm_per_px: float, camera: Camera) -> NDArray[np.float64]:
    """Back-project a mesh, each point to its own depth.

    In the view of a camera turned onto the face X_i = (x_i (s + q d_i / f), y_i (s + q d_i / f), d_i), with x_i and y_i
    from its axis, d_i the depth behind the eyes [mm] and q the share of the perspective that the mesh follows; that
    turned back is the answer.

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


def back_projected_px(
    landmarks: NDArray[np.float64], camera: Camera, turn: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Back-project a mesh whose scale is not known, as `to_millimetres` does.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.
    turn : ndarray of float64, shape (3, 3), optional
        As `turn_onto_face` gives it, where that is known already.

    Returns
    -------
    ndarray of float64, shape (478, 3)
        In px of the plane through the mean depth of both iris centres: times mm_per_px they are millimetres. The last
        column is the depth behind that plane, along the camera's axis; negative: nearer to the camera than the eyes.

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite.
    """
    if landmarks.shape != (MESH_POINTS, 3) or not np.isfinite(landmarks).all():
        raise ValueError(f"a mesh has {MESH_POINTS} finite points of three coordinates, not {landmarks.shape}")
    focal_px = camera.focal_px
    turn = turn_onto_face(landmarks, camera) if turn is None else turn
    points = np.empty((MESH_POINTS, 3))
    points[:, :2] = landmarks[:, :2] - camera.centre_px
    points[:, 2] = focal_px
    points = points @ turn
    relief_px = DEPTH_GAIN * turn[2, 2] ** DRAWN_OUT_POWER * landmarks[:, 2]
    relief_px -= (relief_px[RIGHT_IRIS] + relief_px[LEFT_IRIS]) / 2
    points[:, :2] *= ((focal_px + PERSPECTIVE_SHARE * relief_px) / points[:, 2])[:, np.newaxis]
    points[:, 2] = focal_px + relief_px
    points = points @ turn.T
    points *= 2 * focal_px / (points[RIGHT_IRIS, 2] + points[LEFT_IRIS, 2])
    points[:, 2] -= focal_px
    return points


def turn_onto_face(landmarks: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """Find the turn of a camera, by the shortest way, that brings the middle of a face onto its axis.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        From the frame of the turned camera into that of the photo's: takes (0, 0, 1) to the line of sight to the
        middle of the skin.
    """
    across, down = ((landmarks[:CANONICAL_POINTS, :2].mean(axis=0) - camera.centre_px) / camera.focal_px).tolist()
    return turn_from_axis(across, down)
