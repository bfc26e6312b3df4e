"""The one definition of what travels over HTTP: options in, jobs out; results are in `shared/results.py`.

Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.measurements import DEFINITIONS
from shared.reference_objects import check_reference_object
from shared.results import JobResult, RetakeHint
from shared.schema_base import Schema
from shared.targets import MAX_URL_LENGTH

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

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more is measured; only a retry of its failed items opens a complete one again."""
        return self in {BatchStatus.COMPLETED, BatchStatus.CANCELLED}


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


class WebhookEvent(StrEnum):
    """What a receiver can be told of."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_REJECTED = "job.rejected"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    BATCH_COMPLETED = "batch.completed"


class ReferencePlacement(StrEnum):
    """Where on the face a reference object is held."""

    FOREHEAD = "forehead"
    UPPER_LIP = "upper_lip"


def _keys(value: object) -> object:
    """Take the comma-separated text of a form field for a list."""
    return [key.strip() for key in value.split(",") if key.strip()] if isinstance(value, str) else value


def _each_once(events: list[WebhookEvent]) -> list[WebhookEvent]:
    return list(dict.fromkeys(events))


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
    require: Annotated[list[str], BeforeValidator(_keys), AfterValidator(_known_keys)] = Field([])
    """Measurements (separated by commas in forms and queries) that must come out `ok` on the largest face, else the job
    is rejected with `requirement_not_met`."""
    max_mm_sd: float | None = Field(None, gt=0)
    """The largest standard deviation, in millimetres, that the required measurements may have."""
    landmarks: bool = True
    """Whether the result holds the 478 points."""
    measure_and_delete: bool = False
    """Whether the job is deleted as soon as its result has been read once, or 10 minutes after its end, whichever comes
    first. Its photo is deleted at the end, whatever that is, so it cannot be retried."""
    keep_image: bool = False
    """Whether the photo is kept until the job expires, to draw overlays on; else it is deleted once measured."""

    webhook_url: str | None = Field(None, min_length=1, max_length=MAX_URL_LENGTH)
    """Where to call back. A photo of its own is told of when it ends; a batch when it is complete."""
    webhook_events: Annotated[list[WebhookEvent], BeforeValidator(_keys), AfterValidator(_each_once)] = Field([])
    """What to call back about (separated by commas in forms and queries), if not that. Given for a batch, `job.*`
    events are sent of each of its photos."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.measure_and_delete and self.keep_image:
            message = "measure_and_delete leaves nothing and keep_image keeps the photo; ask for one of them"
            raise ValueError(message)
        if self.max_mm_sd is not None and not self.require:
            message = "max_mm_sd says how sure the measurements named in `require` must be; name them"
            raise ValueError(message)
        if "known_pd_kind" in self.model_fields_set and self.known_pd_mm is None:
            message = "known_pd_kind says how the distance in `known_pd_mm` was measured; give it"
            raise ValueError(message)
        if self.reference_object_placement is not None and self.reference_object is None:
            message = "reference_object_placement says where the object named in `reference_object` is held; name it"
            raise ValueError(message)
        if self.webhook_events and self.webhook_url is None:
            message = "webhook_events says what the target in `webhook_url` hears; name it"
            raise ValueError(message)
        return self

    def hears_of(self, event: WebhookEvent) -> bool:
        """Tell whether the target is told of an event that `webhook_events` does or does not name.

        Without names it hears of whatever these options belong to: a photo of its own, or a batch.
        """
        return self.webhook_url is not None and (not self.webhook_events or event in self.webhook_events)


class JobError(Schema):
    """Why a job was rejected or failed."""

    code: str
    """A stable name; docs/errors.md lists them all."""
    message: str
    retake: list[RetakeHint] = Field([])
    """What would help; empty when the photo is not at fault."""


class Job(Schema):
    """One photo on its way to a result."""

    id: str
    object: Literal["job"] = "job"
    status: JobStatus
    reference: str | None
    batch_id: str | None
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


class TurnInfo(Schema):
    """What `mm` is divided by when the head is turned: 1 + yaw sin²Y + pitch sin P + yaw_and_pitch sin²Y sin P.

    Y and P are the yaw and the pitch of the result, taken for at most `max_yaw_deg` and `max_pitch_deg` to either side.
    Set on renders of turned heads, the mean over people.
    """

    yaw: float
    pitch: float
    yaw_and_pitch: float
    yaw_sd: float
    """Single people differ from that by √((yaw_sd sin Y)² + (pitch_sd sin P)²), one standard deviation, as a fraction;
    it is in `mm_sd`."""
    pitch_sd: float
    max_yaw_deg: float
    max_pitch_deg: float


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
    """What `mm` is divided by, beside `turn`; `px` is never corrected."""
    definition_sd: float
    """The part of `mm_sd` that comes from the points themselves, as a fraction of the measurement."""
    turn: TurnInfo | None
    """How `mm` is corrected for the turn of the head; null where it is not."""


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


class WorkerState(DependencyState):
    """Whether the workers of a queue measure photos, by what was seen of them lately."""

    seen: Literal["canary", "photo"] | None = None
    """What says so, the later of the two: a known portrait that was measured as it should be, or a result of a job."""
    seen_age_s: float | None = None
    """How long ago that was."""
    canary_s: float | None = None
    """How long the last canary took that was measured as it should be."""


class Readiness(Schema):
    """Whether the service can take a photo and measure it."""

    status: Literal["ready", "not_ready"]
    redis: DependencyState
    storage: DependencyState
    worker: WorkerState
    """Of single photos."""
    worker_bulk: WorkerState
    """Of batches; the service is ready without."""
