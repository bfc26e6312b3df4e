"""One face, from its mesh to what the client reads: pose, scale, millimetres, quality, verdicts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS
from shared.results import MeasurementStatus
from shared.schemas import KnownPdKind, ReferencePlacement
from worker.measure.expression import Expression, read_expression
from worker.measure.geometry import bounding_box, distance_px, outer_eye_distance_px, points_outside
from worker.measure.iris import iris_ruler
from worker.measure.landmarks import LEFT_EYE_INNER, LEFT_EYE_OUTER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER
from worker.measure.limbus import limbus_diameters_px
from worker.measure.metric import measure_mm
from worker.measure.occlusion import COVERED, Occlusion, find_occlusion
from worker.measure.pose import Pose
from worker.measure.quality import FullFacts, assess, edge_slope, overall
from worker.measure.retake import retake_hints
from worker.measure.rulers import FaceFacts as RulerFacts
from worker.measure.rulers import Refusal, Ruler, known_pd_ruler, reference_ruler, with_lens
from worker.measure.scale import Scale, choose_scale
from worker.measure.space import MeshInSpace, at_scale, mesh_in_space, with_longer_lens
from worker.measure.verdicts import FaceFacts, Judge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.measure.camera import Camera
    from worker.vision.decode import Photo
    from worker.vision.faces import MeshFace
    from worker.vision.reference_object import ReferenceReading

_COORDINATE_DECIMALS: Final = 2
_ANGLE_DECIMALS: Final = 2
_ROTATION_DECIMALS: Final = 5
_LENGTH_DECIMALS: Final = 2
_SCALE_DECIMALS: Final = 6
_CONFIDENCE_DECIMALS: Final = 4
_IRIS_RINGS: Final = ((469, 471), (474, 476))
_PUPILS: Final = frozenset((468, 473))
_WIDTHS: Final = {definition.key: definition.landmarks for definition in DEFINITIONS if definition.kind is Kind.WIDTH}
_WIDTH_ENDS: Final = np.array(list(_WIDTHS.values())).T
EYES: Final = frozenset((RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER, *range(468, 478)))
"""Corners of the eyes, pupils and rings: what every ruler in the eyes is read from."""


@dataclass(frozen=True, slots=True)
class KnownRulers:
    """What the client gave for scale, of this face.

    Attributes
    ----------
    pd_mm : float, optional
        The pupillary distance of the person [mm].
    pd_kind : KnownPdKind
        How it was measured.
    reference : ReferenceReading, optional
        The object of known size that was found in the photo.
    placement : ReferencePlacement, optional
        Where it is held.
    """

    pd_mm: float | None = None
    pd_kind: KnownPdKind = KnownPdKind.DISTANCE
    reference: ReferenceReading | None = None
    placement: ReferencePlacement | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    """What is read off the photo once and used by everything that follows; places are px of the full photo."""

    photo: Photo
    camera: Camera
    landmarks: NDArray[np.float64]
    in_pixels: NDArray[np.float64]
    in_space: MeshInSpace
    with_longer_lens: MeshInSpace
    expression: Expression
    occlusion: Occlusion
    outside: frozenset[int]

    @property
    def turned(self) -> Pose:
        """How far the head is turned away from the camera."""
        return self.in_space.turned


def measure_face(
    found: MeshFace, photo: Photo, camera: Camera, known: KnownRulers, *, with_landmarks: bool
) -> dict[str, Any]:
    """Measure one face of a photo.

    Parameters
    ----------
    found : MeshFace
        Its mesh [px of `photo.pixels`].
    photo : Photo
        The photo, perhaps at reduced scale.
    camera : Camera
        Of the full photo.
    known : KnownRulers
        What the client gave for scale.
    with_landmarks : bool
        Whether the 478 points go into the result.

    Returns
    -------
    dict
        As `shared.results.Face`, ready for JSON.
    """
    landmarks = photo.to_full_px(found.landmarks)
    face = _Face(
        photo,
        camera,
        landmarks,
        found.landmarks,
        mesh_in_space(landmarks, camera),
        with_longer_lens(landmarks, camera),
        read_expression(landmarks),
        find_occlusion(photo.pixels, found.landmarks),
        points_outside(landmarks[:, :2], photo.width_px, photo.height_px),
    )
    scale, scale_reasons = _scale(face, known)
    facts = _facts(face, scale, scale_reasons)
    measurements = _measurements(face, scale, facts, known.pd_kind)
    box = bounding_box(landmarks)
    result: dict[str, Any] = {
        "bounding_box": {name: round(float(value), _COORDINATE_DECIMALS) for name, value in box._asdict().items()},
        "confidence": round(found.confidence, _CONFIDENCE_DECIMALS),
        "pose": _pose_json(face.turned),
        "scale": _scale_json(scale),
        "quality": _quality(face, facts, [reason for one in measurements.values() for reason in one["reasons"]]),
        "measurements": measurements,
    }
    if with_landmarks:
        columns = landmarks.T.round(_COORDINATE_DECIMALS).tolist()
        result["landmarks"] = [
            {"id": i, "x": x, "y": y, "z": z} for i, (x, y, z) in enumerate(zip(*columns, strict=True))
        ]
    return result


def _scale(face: _Face, known: KnownRulers) -> tuple[Scale | None, tuple[str, ...]]:
    """Gather every ruler there is and choose; the reasons tell why there is none."""
    hidden = _eyes_hidden(face)
    facts, longer = (
        RulerFacts(
            face.landmarks,
            mesh.points_px[:, 2],
            mesh.camera,
            face.turned.yaw_deg,
            eyes_closed=not face.expression.eyes_open and not hidden,
            glasses=face.occlusion.eyewear.glasses >= COVERED,
        )
        for mesh in (face.in_space, face.with_longer_lens)
    )
    rulers: list[Ruler | Refusal] = []
    if (reading := known.reference) is not None:
        held = partial(
            reference_ruler,
            mm_per_px=reading.mm_per_px,
            sd=reading.sd,
            placement=known.placement,
            focal_slope=reading.focal_slope,
            read_with=face.camera,
        )
        rulers.append(with_lens(held, facts, longer))
    if known.pd_mm is not None:
        known_pd = partial(known_pd_ruler, pd_mm=known.pd_mm, kind=known.pd_kind)
        rulers.append(Refusal("known_pd", hidden) if hidden else with_lens(known_pd, facts, longer))
    if hidden:
        rulers.append(Refusal("iris", hidden))
    else:
        seen_px = limbus_diameters_px(face.photo.pixels, face.in_pixels)
        right_px, left_px = (None if px is None else px * face.photo.reduction for px in seen_px)
        rulers.append(with_lens(partial(iris_ruler, limbus_px=(right_px, left_px)), facts, longer))
    return choose_scale(rulers, face.camera, facts.eyes_beside)


def _eyes_hidden(face: _Face) -> tuple[str, ...]:
    """Tell why the eyes cannot be read; the mesh invents pupils behind dark lenses and beyond the edge of the photo."""
    return (
        *(("cropped",) if face.outside.intersection(EYES) else ()),
        *(("glasses",) if face.occlusion.eyewear.sunglasses else ()),
    )


def _facts(face: _Face, scale: Scale | None, scale_reasons: tuple[str, ...]) -> FaceFacts:
    occlusion, expression = face.occlusion, face.expression
    return FaceFacts(
        yaw_deg=face.turned.yaw_deg,
        pitch_deg=face.turned.pitch_deg,
        distance_mm=scale.distance_mm if scale else None,
        scale_status=scale.status if scale else None,
        scale_reasons=scale.reasons if scale else scale_reasons,
        eyes_open=expression.eyes_open,
        mouth_open=expression.mouth_open,
        smiling=expression.smiling,
        forehead_covered=occlusion.forehead,
        nose_covered=occlusion.nose,
        mouth_covered=occlusion.mouth,
        chin_covered=occlusion.chin,
        glasses=occlusion.eyewear.glasses,
        sunglasses=occlusion.eyewear.sunglasses,
        edge_slope=edge_slope(face.photo.pixels, face.in_pixels),
        outer_eye_distance_px=outer_eye_distance_px(face.landmarks),
        outside=face.outside,
    )


def _measurements(
    face: _Face, scale: Scale | None, facts: FaceFacts, pd_kind: KnownPdKind
) -> dict[str, dict[str, Any]]:
    meshes = face.in_space, face.with_longer_lens
    space = at_scale(meshes, scale.mm_per_px, scale.sd, scale.focal_slope) if scale else None
    widths_px = _widths_px(face.landmarks)
    judge = Judge(facts)
    measured = {}
    for definition in DEFINITIONS:
        status, reasons = judge.of(definition)
        mm = mm_sd = None
        if space is not None and status is not MeasurementStatus.NOT_MEASURABLE:
            length = measure_mm(definition, space, given=pd_kind if _is_given(definition, scale) else None)
            mm, mm_sd = round(length.mm, _LENGTH_DECIMALS), round(length.sd_mm, _LENGTH_DECIMALS)
        measured[definition.key] = {
            "px": widths_px.get(definition.key),
            "mm": mm,
            "mm_sd": mm_sd,
            "status": status.value,
            "reasons": reasons,
        }
    return measured


def _is_given(definition: MeasurementDefinition, scale: Scale | None) -> bool:
    return scale is not None and scale.source == "known_pd" and frozenset(definition.landmarks) == _PUPILS


def _widths_px(landmarks: NDArray[np.float64]) -> dict[str, float]:
    """Measure what the picture shows; what exists in space alone has no px."""
    first, second = landmarks[_WIDTH_ENDS, :2]
    lengths = np.hypot(*(first - second).T)
    return {key: round(length, _COORDINATE_DECIMALS) for key, length in zip(_WIDTHS, lengths.tolist(), strict=True)}


def _quality(face: _Face, facts: FaceFacts, reasons: list[str]) -> dict[str, Any]:
    full_facts = FullFacts(
        facts.yaw_deg,
        facts.pitch_deg,
        facts.outer_eye_distance_px,
        min(distance_px(face.landmarks, *ring) for ring in _IRIS_RINGS),
        edge_slope=facts.edge_slope,
    )
    components = assess(face.photo.pixels, face.in_pixels, full_facts, face.expression, face.occlusion)
    if face.outside.intersection(EYES):
        components |= {"eyes_open": None, "iris_size": None}
    hints = retake_hints(reasons, components)
    return {
        "score": overall(components),
        "components": components,
        "retake": [hint.model_dump() for hint in hints],
    }


def _pose_json(pose: Pose) -> dict[str, Any]:
    return {
        "yaw_deg": round(pose.yaw_deg, _ANGLE_DECIMALS),
        "pitch_deg": round(pose.pitch_deg, _ANGLE_DECIMALS),
        "roll_deg": round(pose.roll_deg, _ANGLE_DECIMALS),
        "rotation": pose.rotation.round(_ROTATION_DECIMALS).tolist(),
    }


def _scale_json(scale: Scale | None) -> dict[str, Any] | None:
    if scale is None:
        return None
    agreement = scale.agreement
    return {
        "mm_per_px": round(scale.mm_per_px, _SCALE_DECIMALS),
        "sd": round(scale.sd, _SCALE_DECIMALS),
        "source": scale.source,
        "status": scale.status.value,
        "reasons": list(scale.reasons),
        "distance_mm": round(scale.distance_mm, 1),
        "distance_sd_mm": round(scale.distance_sd_mm, 1),
        "agreement": None
        if agreement is None
        else {
            name: round(value, _SCALE_DECIMALS) if isinstance(value, float) else value
            for name, value in asdict(agreement).items()
        },
    }
