"""The one definition of what travels over HTTP: options in, jobs and results out.

Pixels are those of the full upright photo (EXIF orientation applied, and turned back when it was sent as `mirrored`),
x to the right, y down, the origin at the top left corner. Times are RFC 3339 in UTC. Left and right are the subject's.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.measurements import DEFINITIONS
from shared.reference_objects import check_reference_object

MAX_REFERENCE_LENGTH = 128
MAX_FACES = 10
KNOWN_PD_MM = (40, 80)
"""Pupillary distances of grown and growing people; what lies outside is a slip of the keyboard."""


class JobStatus(StrEnum):
    """Where a job is in its life."""

    AWAITING_UPLOAD = "awaiting_upload"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended; only a retry of a failed one opens it again."""
        return self not in {JobStatus.AWAITING_UPLOAD, JobStatus.QUEUED, JobStatus.RUNNING}


class BatchStatus(StrEnum):
    """Where a batch is in its life."""

    AWAITING_UPLOAD = "awaiting_upload"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Schema(BaseModel):
    """Base of every model: closed, so that a name nobody declared is an error and not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def _printable(text: str) -> str:
    if not text.isprintable():
        message = "must be printable characters"
        raise ValueError(message)
    return text


Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE_LENGTH), AfterValidator(_printable)]


class KnownPdKind(StrEnum):
    """How a known pupillary distance was measured."""

    DISTANCE = "distance"
    """For far gaze, the pupils parallel: what an optician writes down."""
    NEAR = "near"
    """For reading at 40 cm."""
    AS_PHOTOGRAPHED = "as_photographed"
    """Between the pupils as they stand in this photo."""


class ReferencePlacement(StrEnum):
    """Where on the face a reference object is held."""

    FOREHEAD = "forehead"
    UPPER_LIP = "upper_lip"


def _keys(value: object) -> object:
    """Take the comma-separated text of a form field for a list."""
    return [key.strip() for key in value.split(",") if key.strip()] if isinstance(value, str) else value


def _known_keys(keys: list[str]) -> list[str]:
    known = [definition.key for definition in DEFINITIONS]
    if unknown := [key for key in keys if key not in known]:
        message = f"no such measurement: {', '.join(unknown)}; there are {', '.join(known)}"
        raise ValueError(message)
    return list(dict.fromkeys(keys))


class JobOptions(Schema):
    """What a client may ask for with a photo."""

    reference: Reference | None = None
    """The caller's own id for the photo, echoed everywhere: printable characters."""
    max_faces: int = Field(1, ge=1, le=MAX_FACES)
    """How many faces to measure, the largest first."""
    known_pd_mm: float | None = Field(None, ge=KNOWN_PD_MM[0], le=KNOWN_PD_MM[1])
    """The pupillary distance of the person, in millimetres; it becomes the scale of the largest face."""
    known_pd_kind: KnownPdKind = KnownPdKind.DISTANCE
    """How that distance was measured."""
    reference_object: Annotated[str, AfterValidator(check_reference_object)] | None = None
    """What is held in the photo for scale: `id1_card`, or `aruco:<dictionary>:<side in mm>` such as
    `aruco:4x4_50:40`. Not found, the job is rejected with `reference_not_found`."""
    reference_object_placement: ReferencePlacement | None = None
    """Where the object is held: flat on the forehead, or on the upper lip. Without it the scale is unreliable."""
    mirrored: bool = False
    """Whether the photo is saved as seen in a mirror: it is turned back before anything is measured."""
    require: Annotated[list[str], BeforeValidator(_keys), AfterValidator(_known_keys)] = []
    """Measurements (separated by commas in forms and queries) that must come out `ok` on the largest face, else the job
    is rejected with `requirement_not_met`."""
    max_mm_sd: float | None = Field(None, gt=0)
    """The largest standard deviation, in millimetres, that the required measurements may have."""
    landmarks: bool = True
    """Whether the result holds the 478 points."""
    keep_image: bool = False
    """Whether the photo is kept until the job expires, to draw overlays on; else it is deleted once measured."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.max_mm_sd is not None and not self.require:
            message = "max_mm_sd says how sure the measurements named in `require` must be; name them"
            raise ValueError(message)
        if "known_pd_kind" in self.model_fields_set and self.known_pd_mm is None:
            message = "known_pd_kind says how the distance in `known_pd_mm` was measured; give it"
            raise ValueError(message)
        if self.reference_object_placement is not None and self.reference_object is None:
            message = "reference_object_placement says where the object named in `reference_object` is held; name it"
            raise ValueError(message)
        return self


class RetakeHint(Schema):
    """What a person can do about a photo that could not be measured."""

    code: str
    message: str


class JobError(Schema):
    """Why a job was rejected or failed."""

    code: str
    """A stable name; docs/errors.md lists them all."""
    message: str
    retake: list[RetakeHint] = []
    """What would help; empty when the photo is not at fault."""


class ImageFacts(Schema):
    """The photo that was measured."""

    width: int
    """Pixels, upright."""
    height: int
    """Pixels, upright."""
    format: str
    """By its bytes: jpeg, png, webp, heic or avif."""
    exif_orientation: int = Field(ge=1, le=8)
    """The orientation tag that was applied; 1 when there was none."""
    mirrored: bool = False
    """Whether it was turned left to right because the job said `mirrored`."""
    sha256: str
    """Of the bytes that were measured, in hexadecimal."""


class ModelFacts(Schema):
    """What measured it."""

    engine: str
    version: str
    definitions: str
    """The version of the measurement definitions, as served at /v1/measurements."""


class BoundingBox(Schema):
    """The smallest upright rectangle around the mesh of a face, in pixels; it may reach beyond the photo."""

    x: float
    y: float
    width: float
    height: float


class MeasurementStatus(StrEnum):
    """Whether a measurement can be built on."""

    OK = "ok"
    UNRELIABLE = "unreliable"
    NOT_MEASURABLE = "not_measurable"


class MeasurementValue(Schema):
    """One named quantity of one face."""

    px: float | None
    """The distance in the upright image plane, in pixels, never corrected; null for quantities that are not one."""
    mm: float | None
    """In millimetres on the face, corrected for perspective and for the known bias; null without a scale, or when not
    measurable."""
    mm_sd: float | None
    """One standard deviation of `mm`, everything that is known to be uncertain taken together."""
    status: MeasurementStatus
    reasons: list[str]
    """Why it is not `ok`, by the names in docs/measurements.md."""


class Pose(Schema):
    """How the head is turned away from the camera that looks at it; all 0: the face looks into the lens.

    A point of the upright face (x to the subject's left, y down, z backwards into the head) is turned by `rotation`
    into the frame of a camera at the same place with the face on its axis (x to the right, y down, z away from it):
    R = Rz(roll) Ry(-yaw) Rx(-pitch).
    """

    yaw_deg: float
    """Positive: turned towards the subject's left."""
    pitch_deg: float
    """Positive: looking up."""
    roll_deg: float
    """Positive: tilted clockwise in the image."""
    rotation: list[list[float]]


class ScaleAgreement(Schema):
    """What the next best ruler in the same photo says."""

    source: str
    mm_per_px: float
    sd: float
    difference_sd: float
    """How far the two are apart, in standard deviations of their difference; over 2 the rulers disagree."""
    agrees: bool


class Scale(Schema):
    """The ruler: how many millimetres a pixel is, at the plane of the eyes."""

    mm_per_px: float
    sd: float
    """One standard deviation of `mm_per_px`."""
    source: Literal["reference_object", "known_pd", "iris"]
    status: MeasurementStatus
    reasons: list[str]
    distance_mm: float
    """From the camera to the eyes; it follows from the focal length, and is as uncertain as that."""
    distance_sd_mm: float
    agreement: ScaleAgreement | None
    """Null when the photo has one ruler only."""


class Quality(Schema):
    """How well the photo shows this face; 100 is as good as it gets."""

    score: int = Field(ge=0, le=100)
    components: dict[str, int | None]
    """By the names of ISO/IEC 29794-5, 0 to 100 each; null for what could not be assessed."""
    retake: list[RetakeHint]
    """What a person could do better with the next photo; empty when nothing is amiss."""


class CameraFacts(Schema):
    """The lens, as far as the photo tells."""

    focal_px: float
    """In pixels of the full photo."""
    focal_sd_px: float
    source: Literal["exif", "assumed"]


class Landmark(Schema):
    """One point of the mesh, rounded to a hundredth of a pixel."""

    id: int = Field(ge=0, lt=478)
    x: float
    y: float
    z: float
    """Depth relative to the head's centre, in pixels of the same scale as x; smaller is nearer to the camera."""


class Face(Schema):
    """One face."""

    bounding_box: BoundingBox
    confidence: float = Field(ge=0, le=1)
    """The face detector's score."""
    pose: Pose
    scale: Scale | None
    """Null when nothing in the photo gives one; the measurements then have no millimetres."""
    quality: Quality
    measurements: dict[str, MeasurementValue]
    """By the keys of /v1/measurements."""
    landmarks: list[Landmark] | None = None
    """478 points; left out when the job asked for `landmarks=false`."""


class JobResult(Schema):
    """What was found in the photo."""

    image: ImageFacts
    model: ModelFacts
    camera: CameraFacts
    timings_ms: dict[str, float]
    """How long each stage took on the worker, in milliseconds."""
    faces: list[Face]
    """The largest first."""


class Job(Schema):
    """One photo on its way to a result."""

    id: str
    object: Literal["job"] = "job"
    status: JobStatus
    reference: str | None
    batch_id: str | None = None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    """When the job and its result are deleted."""
    attempts: int
    queue_position: int | None
    """1 is the next to be measured; null unless queued."""
    error: JobError | None
    result: JobResult | None
    """Null until the job has succeeded, and in lists."""


class JobList(Schema):
    """A page of jobs, newest first, without their results."""

    object: Literal["list"] = "list"
    data: list[Job]
    next_cursor: str | None
    """Pass as `cursor` for the next page; null on the last one."""


class MeasurementInfo(Schema):
    """What a measurement means."""

    key: str
    term: str
    landmarks: list[int]
    formula: str
    source: str
    stands_for: str
    known_error: str
    repeatability: str
    bias: float
    """What `mm` is divided by; `px` is never corrected."""
    definition_sd: float
    """The part of `mm_sd` that comes from the points themselves, as a fraction of the measurement."""


class MeasurementCatalogue(Schema):
    """Every measurement there is, and the version of their definitions."""

    object: Literal["measurement_definitions"] = "measurement_definitions"
    version: str
    data: list[MeasurementInfo]


class LegacyLandmark(Schema):
    """One point of the mesh in whole pixels."""

    id: int
    x: int
    y: int


class LegacyMeasurements(Schema):
    """The three widths of the original service, in whole pixels."""

    forehead_width_px: int
    eye_gap_px: int
    chin_width_px: int


class FaceCoordinates(Schema):
    """The answer of the original service: the largest face."""

    landmarks: list[LegacyLandmark]
    measurements: LegacyMeasurements


class FieldError(Schema):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(Schema):
    """An error, as RFC 9457 has it."""

    type: str
    """`urn:facefit:problem:` and the code."""
    title: str
    status: int
    code: str
    """A stable name; docs/errors.md lists them all."""
    detail: str
    """What happened and what to do about it."""
    request_id: str
    errors: list[FieldError] | None = None
    """Each field that is wrong, for `invalid_request`."""
    retake: list[RetakeHint] | None = None
    """What would help, where the photo is at fault."""


class Health(Schema):
    """The process answers."""

    status: Literal["ok"] = "ok"


class DependencyState(Schema):
    """Whether one part answers."""

    ok: bool
    latency_ms: float
    detail: str | None = None


class Readiness(Schema):
    """Whether the service can take a photo and measure it."""

    status: Literal["ready", "not_ready"]
    redis: DependencyState
    storage: DependencyState
    worker: DependencyState
