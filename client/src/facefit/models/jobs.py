"""One photo: the job, and what was measured. Pixels are those of the upright photo, lengths are millimetres."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from facefit.models.base import Model
from facefit.models.problems import RetakeHint

OPEN_STATUSES: Final = frozenset({"awaiting_upload", "queued", "running"})
"""Of jobs and batches; in any other they have ended."""


class ImageFacts(Model):
    """The photo that was measured."""

    width: int
    height: int
    format: str
    exif_orientation: int = 1
    mirrored: bool = False
    sha256: str | None = None
    """Of the bytes that were measured, in hexadecimal."""


class ModelFacts(Model):
    """What measured it."""

    engine: str
    version: str
    definitions: str


class CameraFacts(Model):
    """The lens, as far as the photo tells."""

    focal_px: float
    focal_sd_px: float
    source: str
    """`exif` or `assumed`."""


class BoundingBox(Model):
    """The rectangle around the mesh of a face, in pixels."""

    x: float
    y: float
    width: float
    height: float


class MeasurementValue(Model):
    """One named quantity of one face."""

    px: float | None = None
    mm: float | None = None
    mm_sd: float | None = None
    """One standard deviation of `mm`."""
    status: str
    """`ok`, `unreliable` (do not rest on it) or `not_measurable`."""
    reasons: list[str] = Field(default_factory=list)
    """Why it is not `ok`."""

    @property
    def is_ok(self) -> bool:
        """Whether it can be built on."""
        return self.status == "ok"


class Pose(Model):
    """How the head is turned away from the camera; all 0: it looks into the lens."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    rotation: list[list[float]] | None = None


class ScaleAgreement(Model):
    """What the next best ruler in the same photo says."""

    source: str
    mm_per_px: float
    sd: float
    difference_sd: float
    agrees: bool


class Scale(Model):
    """The ruler: how many millimetres a pixel is, at the plane of the eyes."""

    mm_per_px: float
    sd: float
    source: str
    """`reference_object`, `known_pd` or `iris`."""
    status: str
    reasons: list[str] = Field(default_factory=list)
    distance_mm: float | None = None
    distance_sd_mm: float | None = None
    agreement: ScaleAgreement | None = None


class Quality(Model):
    """How well the photo shows this face; 100 is as good as it gets."""

    score: int
    components: dict[str, int | None] = Field(default_factory=dict)
    retake: list[RetakeHint] = Field(default_factory=list)


class Landmark(Model):
    """One point of the mesh."""

    id: int
    x: float
    y: float
    z: float


class Face(Model):
    """One face."""

    bounding_box: BoundingBox
    confidence: float
    pose: Pose
    scale: Scale | None = None
    """None when nothing in the photo gives one: then there are no millimetres."""
    quality: Quality
    measurements: dict[str, MeasurementValue]
    landmarks: list[Landmark] | None = None


class JobResult(Model):
    """What was found in the photo; faces come largest first."""

    image: ImageFacts
    model: ModelFacts
    camera: CameraFacts | None = None
    timings_ms: dict[str, float] = Field(default_factory=dict)
    faces: list[Face]


class JobError(Model):
    """Why a job was rejected or has failed."""

    code: str
    message: str
    retake: list[RetakeHint] = Field(default_factory=list)


class Job(Model):
    """One photo on its way to a result."""

    id: str
    status: str
    reference: str | None = None
    batch_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    attempts: int = 0
    queue_position: int | None = None
    error: JobError | None = None
    result: JobResult | None = None
    """None until the job has succeeded, and in lists."""

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status not in OPEN_STATUSES

    @property
    def faces(self) -> list[Face]:
        """The faces that were found, the largest first; none while there is no result."""
        return self.result.faces if self.result else []

    @property
    def face(self) -> Face:
        """The largest face.

        Raises
        ------
        LookupError
            If the job has no result (yet).
        """
        if not self.faces:
            message = f"{self.id} is {self.status} and has no face"
            raise LookupError(message)
        return self.faces[0]
