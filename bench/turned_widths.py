"""What a turned head measures: one picture of it, found anew, width by width."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Final, Literal

import numpy as np

from bench.evaluate.runs import LIMITS, MeasuredPhoto
from bench.renders import Head, lift, render
from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS
from worker.measure.metric import measure_mm
from worker.measure.pose import estimate_pose
from worker.measure.space import FaceInSpace, place_in_space
from worker.measure.uncertainty import depth_term_mm
from worker.vision.decode import decode_photo
from worker.vision.find_faces import FaceFinder

LIFTS: Final[tuple[tuple[Literal["own", "mean"], float], ...]] = (("own", 1.0), ("mean", 1.1))
"""Depth and its gain: on either side of `shared.mesh_depth.DEPTH_GAIN`."""
WIDTHS: Final = tuple(definition for definition in DEFINITIONS if definition.kind is Kind.WIDTH)


@dataclass(frozen=True, slots=True)
class TurnedWidth:
    """One width of one picture.

    Attributes
    ----------
    mm : float
        As the service gives it.
    factor : float
        What its turn was taken to multiply it by: mm times this is the width without the correction.
    turn_sd : float
        What of its SD is the turn's, as a fraction.
    points_sd : float
        What of its SD is the depth's and the points' own, as a fraction.
    """

    mm: float
    factor: float
    turn_sd: float
    points_sd: float

    @property
    def uncorrected_mm(self) -> float:
        """Without the correction for the turn."""
        return self.mm * self.factor


@dataclass(frozen=True, slots=True)
class TurnedView:
    """One picture: how the head is seen to be turned away from the line of sight, and its widths by key."""

    yaw_deg: float
    pitch_deg: float
    widths: dict[str, TurnedWidth]


def lifted(photo: MeasuredPhoto) -> list[Head]:
    """Make heads of a measured photo, one for each of `LIFTS`; none where it has no scale."""
    landmarks = photo.landmarks
    if photo.face is None or landmarks is None or photo.face["scale"] is None:
        return []
    pixels = decode_photo(photo.path.read_bytes(), LIMITS).pixels
    return [lift(pixels, landmarks, photo.face["scale"]["mm_per_px"], depth, gain) for depth, gain in LIFTS]


def view(head: Head, distance_mm: float, pose_deg: tuple[float, float], finder: FaceFinder) -> TurnedView | None:
    """Photograph a head at a yaw and a pitch, find it and measure it by the true scale; None where it is not found."""
    picture = render(head, distance_mm, (*pose_deg, 0.0))
    faces = finder.detect(picture.pixels)
    if not faces:
        return None
    landmarks = faces[0].landmarks
    pose = estimate_pose(landmarks, picture.camera)
    face = place_in_space(landmarks, picture.camera, pose, picture.mm_per_px, 0.0)
    widths = {definition.key: _measured(definition, face) for definition in WIDTHS}
    return TurnedView(face.turned.yaw_deg, face.turned.pitch_deg, widths)


def deviation_sd(turned: TurnedWidth, straight: TurnedWidth) -> float:
    """Tell how far a turned width may be from the straight one by what `mm_sd` holds, as a fraction.

    What both views share cancels: the scale, the definition, the perspective at that distance.
    """
    return hypot(turned.turn_sd, turned.points_sd, straight.turn_sd, straight.points_sd)


def _measured(definition: MeasurementDefinition, face: FaceInSpace) -> TurnedWidth:
    first, second = face.points_mm[definition.landmarks, :]
    across = first - second
    length_mm = float(np.linalg.norm(across))
    pose, turn = face.turned, definition.turn
    return TurnedWidth(
        mm=measure_mm(definition, face).mm,
        factor=definition.turn_factor(pose.yaw_deg, pose.pitch_deg),
        turn_sd=turn.remaining_sd(pose.yaw_deg, pose.pitch_deg) if turn else 0.0,
        points_sd=hypot(definition.repeatability.high, depth_term_mm(length_mm, across[2]) / length_mm),
    )
