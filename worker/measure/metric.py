"""From a face in space to lengths in millimetres, each with its standard deviation."""

from __future__ import annotations

from math import dist, hypot

from shared.measurement_definition import Kind, MeasurementDefinition
from shared.mesh_depth import PERSPECTIVE_SHARE
from shared.schemas import KnownPdKind
from worker.measure.camera import LONGER
from worker.measure.pose import YAW_SD_DEG
from worker.measure.rulers import GIVEN_PD_SD_MM, PUPIL_TO_EYE_CENTRE_MM
from worker.measure.space import FaceInSpace, Length
from worker.measure.uncertainty import (
    definition_term_mm,
    depth_term_mm,
    far_gaze_term_mm,
    focal_term_mm,
    landmark_term_mm,
    off_axis_term_mm,
    perspective_term_mm,
    root_sum_of_squares,
    scale_term_mm,
    turn_term_mm,
    yaw_term_mm,
)


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
    share, other_share = _perspective_share(z, face.distance_mm), _perspective_share(other_z, face.distance_mm)
    added_x, added_y = x * share - other_x * other_share, y * share - other_y * other_share
    longer_mm = dist(face.longer_mm[one].tolist(), face.longer_mm[other].tolist())
    return Length(
        width_mm,
        root_sum_of_squares(
            _common_terms_mm(width_mm, definition, face),
            perspective_term_mm((added_x * across_x + added_y * across_y) / width_mm),
            _focal_term_mm(width_mm, longer_mm, face),
            depth_term_mm(width_mm, across_z),
            off_axis_term_mm(width_mm, face.aside),
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
    across_face, _, into_face = (face.turned.rotation.T @ from_bridge).tolist()
    length_mm = abs(across_face)
    longer_pupil, longer_upper, longer_lower = face.longer_mm[definition.landmarks, 0].tolist()
    longer_mm = abs(longer_pupil - (longer_upper + longer_lower) / 2)
    return Length(
        length_mm,
        root_sum_of_squares(
            _common_terms_mm(length_mm, definition, face),
            _focal_term_mm(length_mm, longer_mm, face),
            off_axis_term_mm(length_mm, face.aside),
            yaw_term_mm(into_face, YAW_SD_DEG),
        ),
    )


def _common_terms_mm(length_mm: float, definition: MeasurementDefinition, face: FaceInSpace) -> float:
    return root_sum_of_squares(
        scale_term_mm(length_mm, face.scale_sd_fraction),
        landmark_term_mm(length_mm, definition.repeatability.high),
        definition_term_mm(length_mm, definition.definition_sd),
    )


def _focal_term_mm(length_mm: float, longer_mm: float, face: FaceInSpace) -> float:
    """Of a length, and of the same if the lens were `LONGER` times as long and the scale stayed."""
    change_mm = length_mm * face.focal_slope + (longer_mm - length_mm) / (LONGER - 1)
    return focal_term_mm(change_mm, face.focal_sd_fraction)


def _turn_term_mm(length_mm: float, definition: MeasurementDefinition, face: FaceInSpace) -> float:
    if definition.turn is None:
        return 0.0
    return turn_term_mm(length_mm, definition.turn.remaining_sd(face.turned.yaw_deg, face.turned.pitch_deg))


def _perspective_share(z_mm: float, distance_mm: float) -> float:
    """Tell how much of a point's x and y perspective added: x q d/f of x (s + q d/f)."""
    added = PERSPECTIVE_SHARE * (z_mm / distance_mm - 1)
    return added / (1 + added)
