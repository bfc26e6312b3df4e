"""Distances and extents of a face mesh in the upright image plane, and the turn towards a place in it.

`landmarks` are as `worker.vision.face_mesh` gives them: (478, 3), in pixels of the upright picture, x to the right,
y down, z away from the camera. Depth is not used here: `px` is what the picture shows.
"""

from __future__ import annotations

from math import dist, hypot
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worker.measure.landmarks import CANONICAL_POINTS, LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_OUTER

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class BoundingBox(NamedTuple):
    """An upright rectangle in the picture [px]; parts of it may lie outside the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Width times height [px²]."""
        return self.width * self.height


def distance_px(landmarks: NDArray[np.float64], a: int, b: int) -> float:
    """Measure the Euclidean distance between two points of the mesh in the upright image plane.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px].
    a, b : int
        Indices of the two points, 0 to 477.

    Returns
    -------
    float
        The distance [px], from x and y alone.

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite, or an index is outside the mesh.
    """
    _check_mesh(landmarks)
    for index in (a, b):
        if not 0 <= index < MESH_POINTS:
            raise ValueError(f"no point {index} in a mesh of {MESH_POINTS}")
    return dist(landmarks[a, :2].tolist(), landmarks[b, :2].tolist())


def outer_eye_distance_px(landmarks: NDArray[np.float64]) -> float:
    """Measure the distance between the outer corners of the eyes: the size of a face that decides how it is decoded.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px].

    Returns
    -------
    float
        The distance between points 33 and 263 in the upright image plane [px].

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite.
    """
    return distance_px(landmarks, RIGHT_EYE_OUTER, LEFT_EYE_OUTER)


def bounding_box(landmarks: NDArray[np.float64]) -> BoundingBox:
    """Find the smallest upright rectangle around the 468 points on the skin.

    The iris points are left out: they are a second model's, and never reach the edge of a face that is one.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px].

    Returns
    -------
    BoundingBox
        x and y of the upper left corner, width and height [px].

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite.
    """
    _check_mesh(landmarks)
    x, y = landmarks[:CANONICAL_POINTS, :2].T
    left, top = float(x.min()), float(y.min())
    return BoundingBox(x=left, y=top, width=float(x.max()) - left, height=float(y.max()) - top)


def points_outside(places: ArrayLike, width_px: int, height_px: int) -> frozenset[int]:
    """Tell which points lie outside a photo.

    Parameters
    ----------
    places : array_like, shape (n, 2)
        x and y of each point [px of the full photo], (0, 0) the centre of the first px.
    width_px, height_px : int
        Size of the full photo [px].

    Returns
    -------
    frozenset of int
        Their indices.
    """
    half_px = 1 / 2
    x, y = np.asarray(places, dtype=np.float64).T
    inside = (x >= -half_px) & (x <= width_px - half_px) & (y >= -half_px) & (y <= height_px - half_px)
    return frozenset(np.flatnonzero(~inside).tolist())


def turn_from_axis(across: float, down: float) -> NDArray[np.float64]:
    """Find the turn that takes (0, 0, 1) to the line through (across, down, 1), by the shortest way.

    Parameters
    ----------
    across, down : float
        Slopes: where the line is a unit away along the axis.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        A rotation; its transpose takes the line onto the axis. Rodrigues' formula, written out.
    """
    length = hypot(1.0, across, down)
    x, y, z = across / length, down / length, 1 / length
    return np.array(
        ((1 - x * x / (1 + z), -x * y / (1 + z), x), (-x * y / (1 + z), 1 - y * y / (1 + z), y), (-x, -y, z))
    )


def _check_mesh(landmarks: NDArray[np.float64]) -> None:
    if landmarks.shape != (MESH_POINTS, 3):
        raise ValueError(f"a mesh has the shape {(MESH_POINTS, 3)}, not {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise ValueError("a mesh has finite coordinates only")
