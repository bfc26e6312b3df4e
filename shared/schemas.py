"""The one definition of what travels over HTTP: options in, jobs and results out.

Pixels are those of the full upright photo (EXIF orientation applied), x to the right, y down, the origin at the
top left corner. Times are RFC 3339 in UTC. Left and right are the subject's.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_REFERENCE_LENGTH = 128
MAX_FACES = 10


class JobStatus(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended; only a retry of a failed one opens it again."""
        return self not in {JobStatus.QUEUED, JobStatus.RUNNING}


class Schema(BaseModel):
    """Base of every model: closed, so that a name nobody declared is an error and not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _printable(text: str) -> str:
    if not text.isprintable():
        message = "must be printable characters"
        raise ValueError(message)
    return text


Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE_LENGTH), AfterValidator(_printable)]


class JobOptions(Schema):
    """What a client may ask for with a photo."""

    reference: Reference | None = None
    """The caller's own id for the photo, echoed everywhere: printable characters."""
    max_faces: int = Field(1, ge=1, le=MAX_FACES)
    """How many faces to measure, the largest first."""
    landmarks: bool = True
    """Whether the result holds the 478 points."""
    keep_image: bool = False
    """Whether the photo is kept until the job expires, to draw overlays on; else it is deleted once measured."""


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


class MeasurementValue(Schema):
    """One named quantity of one face."""

    px: float
    """The distance in the upright image plane, in pixels."""


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
    measurements: dict[str, MeasurementValue]
    """By the keys of /v1/measurements."""
    landmarks: list[Landmark] | None = None
    """478 points; left out when the job asked for `landmarks=false`."""


class JobResult(Schema):
    """What was found in the photo."""

    image: ImageFacts
    model: ModelFacts
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
