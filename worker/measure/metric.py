"""From a mesh, a camera, a pose and a scale to lengths in millimetres, each with its standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf
from typing import TYPE_CHECKING

import numpy as np

from shared.measurement_definition import Kind, MeasurementDefinition
from shared.mesh_depth import PERSPECTIVE_SHARE
from shared.schemas import KnownPdKind
from worker.measure.camera import Camera
from worker.measure.depth import back_projected_px
from worker.measure.pose import YAW_SD_DEG, Pose, towards_camera
from worker.measure.rulers import GIVEN_PD_SD_MM, PUPIL_TO_EYE_CENTRE_MM
from worker.measure.uncertainty import (
    definition_term_mm,
    depth_term_mm,
    far_gaze_term_mm,
    landmark_term_mm,
    off_axis_term_mm,
    perspective_term_mm,
    root_sum_of_squares,
    scale_term_mm,
    turn_term_mm,
    yaw_term_mm,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Length:
    """A length and one standard deviation of it [mm]."""

    mm: float
    sd_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class FaceInSpace:
    """A face with a scale: everything that a length is measured on.

    Attributes
    ----------
    points_mm : ndarray of float64, shape (478, 3)
        The mesh as `worker.measure.depth.to_millimetres` gives it.
    camera : Camera
        The photo's camera.
    pose : Pose
        How the head is turned, in the frame of the camera.
    turned : Pose
        How it is turned away from the camera, as `worker.measure.pose.towards_camera` tells.
    mm_per_px, mm_per_px_sd : float
        Scale at the plane of the eyes and one standard deviation of it.
    """

    points_mm: NDArray[np.float64]
    camera: Camera
    pose: Pose
    turned: Pose
    mm_per_px: float
    mm_per_px_sd: float

    @property
    def distance(self) -> Length:
        """From the camera to the plane of the eyes: Z = f s."""
        distance_mm = self.camera.focal_px * self.mm_per_px
        fraction = hypot(self.camera.focal_sd_px / self.camera.focal_px, self.mm_per_px_sd / self.mm_per_px)
        return Length(distance_mm, distance_mm * fraction)


def place_in_space(
    landmarks: NDArray[np.float64], camera: Camera, pose: Pose, mm_per_px: float, mm_per_px_sd: float
) -> FaceInSpace:
    """Back-project a mesh.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.
    pose : Pose
        How the head is turned.
    mm_per_px, mm_per_px_sd : float
        Scale at the plane of the eyes and one standard deviation of it.

    Returns
    -------
    FaceInSpace

    Raises
    ------
    ValueError
        If the mesh has another shape or is not finite, the scale or the focal length is not positive, or a standard
        deviation is negative.
    """
    if not 0 < camera.focal_px < inf:
        raise ValueError(f"a focal length is positive and finite, not {camera.focal_px}")
    points_px, turned = back_projected_px(landmarks, camera), towards_camera(pose, landmarks, camera)
    return at_scale(points_px, camera, (pose, turned), mm_per_px, mm_per_px_sd)


def at_scale(
    points_px: NDArray[np.float64], camera: Camera, poses: tuple[Pose, Pose], mm_per_px: float, mm_per_px_sd: float
) -> FaceInSpace:
    """Give a scale to a mesh that is back-projected already.

    Parameters
    ----------
    points_px : ndarray of float64, shape (478, 3)
        As `worker.measure.depth.back_projected_px` gives them.
    camera : Camera
        The photo's camera.
    poses : tuple of Pose
        How the head is turned: in the frame of the camera, and away from it.
    mm_per_px, mm_per_px_sd : float
        Scale at the plane of the eyes and one standard deviation of it.

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
    for sd in (mm_per_px_sd, camera.focal_sd_px):
        if not 0 <= sd < inf:
            raise ValueError(f"a standard deviation is finite and not negative, not {sd}")
    return FaceInSpace(mm_per_px * points_px, camera, *poses, mm_per_px, mm_per_px_sd)


def measure_mm(definition: MeasurementDefinition, face: FaceInSpace, *, given: KnownPdKind | None = None) -> Length:
    """Measure one definition of the registry.

    Parameters
    ----------
    definition : MeasurementDefinition
        What to measure; how, says its kind.
    face : FaceInSpace
        What to measure it on.
    given : KnownPdKind or None
        How the PD was measured, if the scale was made of one and this is it: what the mesh misses the pupils by is in
        both and cancels, turned head or not. What is not known is the number's own, and where it is converted from one
        gaze to the other, how far the eyes had turned.

    Returns
    -------
    Length
        Divided by the known bias of the definition, and by what the turn of the head does to it.

    Raises
    ------
    ValueError
        If two points coincide, or a PD for far gaze is asked of eyes nearer than they can turn.
    """
    divisor = definition.bias
    if given is not None:
        length = _given(definition, face, given)
    elif definition.kind is Kind.TO_MIDLINE:
        length = _to_midline(definition, face)
    else:
        length = (_far_gaze if definition.kind is Kind.FAR_GAZE else _width)(definition, face)
        divisor *= definition.turn_factor(face.turned.yaw_deg, face.turned.pitch_deg)
    return Length(length.mm / divisor, length.sd_mm / divisor)


def _given(definition: MeasurementDefinition, face: FaceInSpace, kind: KnownPdKind) -> Length:
    is_far = definition.kind is Kind.FAR_GAZE
    mm = (_far_gaze if is_far else _width)(definition, face).mm
    if is_far != (kind is KnownPdKind.AS_PHOTOGRAPHED):
        return Length(mm, GIVEN_PD_SD_MM)
    distance = face.distance
    turning_mm = far_gaze_term_mm(mm, distance.mm, distance.sd_mm, PUPIL_TO_EYE_CENTRE_MM)
    return Length(mm, root_sum_of_squares(GIVEN_PD_SD_MM, turning_mm))


def _width(definition: MeasurementDefinition, face: FaceInSpace) -> Length:
    # Numbers of Python's own from here on: of two points numpy takes four times as long to do the same.
    one, other = definition.landmarks
    x, y, z = face.points_mm[one].tolist()
    other_x, other_y, other_z = face.points_mm[other].tolist()
    across_x, across_y, across_z = x - other_x, y - other_y, z - other_z
    width_mm = hypot(across_x, across_y, across_z)
    if width_mm == 0:
        raise ValueError(f"the points of {definition.key} coincide")
    distance_mm = face.distance.mm
    share, other_share = _perspective_share(z, distance_mm), _perspective_share(other_z, distance_mm)
    added_x, added_y = x * share - other_x * other_share, y * share - other_y * other_share
    aside_mm = ((x + other_x) * across_x + (y + other_y) * across_y) / (2 * width_mm)
    return Length(
        width_mm,
        root_sum_of_squares(
            _common_terms_mm(width_mm, definition, face),
            perspective_term_mm((added_x * across_x + added_y * across_y) / width_mm, _focal_sd_fraction(face)),
            depth_term_mm(width_mm, across_z),
            off_axis_term_mm(width_mm, aside_mm / distance_mm),
            _turn_term_mm(width_mm, definition, face),
        ),
    )


def _far_gaze(definition: MeasurementDefinition, face: FaceInSpace) -> Length:
    """P Z/(Z - 10.5 mm)."""
    distance = face.distance
    if distance.mm <= PUPIL_TO_EYE_CENTRE_MM:
        raise ValueError(f"eyes {distance.mm} mm from the camera cannot look into it")
    pupils = _width(definition, face)
    ratio = distance.mm / (distance.mm - PUPIL_TO_EYE_CENTRE_MM)
    turning_mm = far_gaze_term_mm(pupils.mm, distance.mm, distance.sd_mm, PUPIL_TO_EYE_CENTRE_MM)
    return Length(pupils.mm * ratio, root_sum_of_squares(pupils.sd_mm * ratio, turning_mm))


def _to_midline(definition: MeasurementDefinition, face: FaceInSpace) -> Length:
    """Distance from the pupil to the plane through the bridge that the face's own x axis is normal to."""
    pupil, upper, lower = (face.points_mm[point] for point in definition.landmarks)
    from_bridge = pupil - (upper + lower) / 2
    across_face, _, into_face = (face.pose.rotation.T @ from_bridge).tolist()
    length_mm = abs(across_face)
    return Length(
        length_mm,
        root_sum_of_squares(_common_terms_mm(length_mm, definition, face), yaw_term_mm(into_face, YAW_SD_DEG)),
    )


def _common_terms_mm(length_mm: float, definition: MeasurementDefinition, face: FaceInSpace) -> float:
    return root_sum_of_squares(
        scale_term_mm(length_mm, face.mm_per_px, face.mm_per_px_sd),
        landmark_term_mm(length_mm, definition.repeatability.high),
        definition_term_mm(length_mm, definition.definition_sd),
    )


def _turn_term_mm(length_mm: float, definition: MeasurementDefinition, face: FaceInSpace) -> float:
    if definition.turn is None:
        return 0.0
    return turn_term_mm(length_mm, definition.turn.remaining_sd(face.turned.yaw_deg, face.turned.pitch_deg))


def _perspective_share(depth_mm: float, distance_mm: float) -> float:
    """Tell how much of a point's x and y perspective added: (x - c)(q d/f) of (x - c)(s + q d/f)."""
    added = PERSPECTIVE_SHARE * depth_mm / distance_mm
    return added / (1 + added)


def _focal_sd_fraction(face: FaceInSpace) -> float:
    return face.camera.focal_sd_px / face.camera.focal_px
