"""From a mesh and a camera to a face in space, and with a scale to millimetres: what every length is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, inf
from typing import TYPE_CHECKING

import numpy as np

from shared.mesh_depth import LEFT_IRIS, RIGHT_IRIS
from worker.measure.camera import LONGER, Camera
from worker.measure.depth import back_projected_px, turn_onto_face
from worker.measure.pose import Pose, pose_in_space, towards_camera
from worker.measure.uncertainty import sd_without_lens

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Length:
    """A length and one standard deviation of it [mm]."""

    mm: float
    sd_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class MeshInSpace:
    """A mesh that is back-projected, and has no scale yet.

    Attributes
    ----------
    points_px : ndarray of float64, shape (478, 3)
        As `worker.measure.depth.back_projected_px` gives them.
    turn : ndarray of float64, shape (3, 3)
        As `worker.measure.depth.turn_onto_face` gives it.
    camera : Camera
        The photo's camera.
    pose : Pose
        How the head is turned, in the frame of the camera.
    turned : Pose
        How it is turned away from the camera, as `worker.measure.pose.towards_camera` tells.
    """

    points_px: NDArray[np.float64]
    turn: NDArray[np.float64]
    camera: Camera
    pose: Pose
    turned: Pose


@dataclass(frozen=True, slots=True, eq=False)
class FaceInSpace:
    """A face with a scale: everything that a length is measured on.

    Attributes
    ----------
    points_mm : ndarray of float64, shape (478, 3)
        The mesh in the frame of a camera turned onto the face, z from the lens.
    longer_mm : ndarray of float64, shape (478, 3)
        The mesh if the lens were `LONGER` times as long and the scale stayed, in the frame of the face.
    distance_mm : float
        From the camera to the eyes, along the line of sight.
    aside : float
        sin² of the angle between the optical axis and the line of sight to the face.
    camera : Camera
        The photo's camera.
    turned : Pose
        How the head is turned in that frame.
    mm_per_px, mm_per_px_sd : float
        Scale at the plane of the eyes and one standard deviation of it.
    focal_slope : float
        By what fraction the scale grows with a lens that is longer by a fraction: d ln s/d ln f.
    """

    points_mm: NDArray[np.float64]
    longer_mm: NDArray[np.float64]
    distance_mm: float
    aside: float
    camera: Camera
    turned: Pose
    mm_per_px: float
    mm_per_px_sd: float
    focal_slope: float

    @property
    def distance(self) -> Length:
        """From the camera to the eyes, and one standard deviation of it."""
        by_lens = (1 + self.focal_slope - self.aside) * self.focal_sd_fraction
        return Length(self.distance_mm, self.distance_mm * hypot(self.scale_sd_fraction, by_lens))

    @property
    def focal_sd_fraction(self) -> float:
        """One standard deviation of the focal length over the focal length."""
        return self.camera.focal_sd_px / self.camera.focal_px

    @property
    def scale_sd_fraction(self) -> float:
        """One standard deviation of the scale, over the scale, of all that is not the lens."""
        return sd_without_lens(self.mm_per_px_sd / self.mm_per_px, self.focal_slope, self.focal_sd_fraction)


def mesh_in_space(landmarks: NDArray[np.float64], camera: Camera, pose: Pose | None = None) -> MeshInSpace:
    """Back-project a mesh.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.
    pose : Pose, optional
        How the head is turned, where that is known from elsewhere.

    Returns
    -------
    MeshInSpace

    Raises
    ------
    ValueError
        If the mesh has another shape, is not finite or has no extent, or the focal length is not positive.
    """
    if not 0 < camera.focal_px < inf:
        raise ValueError(f"a focal length is positive and finite, not {camera.focal_px}")
    turn = turn_onto_face(landmarks, camera)
    points_px = back_projected_px(landmarks, camera, turn)
    pose = pose or pose_in_space(points_px)
    return MeshInSpace(points_px, turn, camera, pose, towards_camera(pose, turn))


def with_longer_lens(landmarks: NDArray[np.float64], camera: Camera, pose: Pose | None = None) -> MeshInSpace:
    """Back-project a mesh as if the lens were `LONGER` times as long; otherwise as `mesh_in_space`."""
    return mesh_in_space(landmarks, replace(camera, focal_px=camera.focal_px * LONGER), pose)


def place_in_space(
    landmarks: NDArray[np.float64], camera: Camera, pose: Pose, mm_per_px: float, mm_per_px_sd: float
) -> FaceInSpace:
    """Back-project a mesh and give it a scale that does not depend on the lens; see `mesh_in_space` and `at_scale`."""
    meshes = mesh_in_space(landmarks, camera, pose), with_longer_lens(landmarks, camera, pose)
    return at_scale(meshes, mm_per_px, mm_per_px_sd)


def at_scale(
    meshes: tuple[MeshInSpace, MeshInSpace], mm_per_px: float, mm_per_px_sd: float, focal_slope: float = 0.0
) -> FaceInSpace:
    """Give a scale to a mesh.

    Parameters
    ----------
    meshes : tuple of MeshInSpace
        The mesh, and the same with a longer lens.
    mm_per_px, mm_per_px_sd : float
        Scale at the plane of the eyes and one standard deviation of it.
    focal_slope : float, optional
        By what fraction the scale grows with a lens that is longer by a fraction.

    Returns
    -------
    FaceInSpace

    Raises
    ------
    ValueError
        If the scale is not positive, or a standard deviation is negative.
    """
    if not 0 < mm_per_px < inf:
        raise ValueError(f"a scale is positive and finite, not {mm_per_px}")
    mesh, longer = meshes
    camera = mesh.camera
    for sd in (mm_per_px_sd, camera.focal_sd_px):
        if not 0 <= sd < inf:
            raise ValueError(f"a standard deviation is finite and not negative, not {sd}")
    points_mm = mm_per_px * (mesh.points_px + np.array((0.0, 0.0, camera.focal_px))) @ mesh.turn
    return FaceInSpace(
        points_mm=points_mm,
        longer_mm=mm_per_px * longer.points_px @ longer.pose.rotation,
        distance_mm=float(points_mm[RIGHT_IRIS, 2] + points_mm[LEFT_IRIS, 2]) / 2,
        aside=1 - float(mesh.turn[2, 2]) ** 2,
        camera=camera,
        turned=mesh.turned,
        mm_per_px=mm_per_px,
        mm_per_px_sd=mm_per_px_sd,
        focal_slope=focal_slope,
    )
