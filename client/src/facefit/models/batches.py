"""Many photos: the batch, its items, and what it came to."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from facefit.models.base import Model
from facefit.models.jobs import OPEN_STATUSES, Job, JobResult
from facefit.models.problems import RetakeHint


class BatchCounts(Model):
    """How many items are in each state."""

    awaiting_upload: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    rejected: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.succeeded + self.rejected + self.failed + self.cancelled


class Batch(Model):
    """Many photos on their way to results."""

    id: str
    status: str
    total: int
    counts: BatchCounts
    progress: float = 0.0
    """The share of the items that has ended."""
    images_per_second: float | None = None
    eta_s: float | None = None
    created_at: datetime
    upload_deadline: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more is measured."""
        return self.status not in OPEN_STATUSES


class UploadForm(Model):
    """How one photo is uploaded straight to storage."""

    url: str
    fields: dict[str, str]
    expires_at: datetime


class BatchItem(Job):
    """One photo of a batch: a job without its result."""

    item_index: int
    upload: UploadForm | None = None
    """Only while its photo is awaited."""


class NewBatch(Batch):
    """A batch whose photos are awaited, with every item in the order of the request."""

    items: list[BatchItem] = Field(default_factory=list)


class BatchResult(Model):
    """One line of a batch's results."""

    reference: str | None = None
    job_id: str
    item_index: int
    status: str
    error_code: str | None = None
    result: JobResult | None = None


class BatchItemError(Model):
    """One line of a batch's errors."""

    reference: str | None = None
    job_id: str
    item_index: int
    status: str
    error_code: str | None = None
    error_message: str | None = None
    retake: list[RetakeHint] = Field(default_factory=list)


class MeasurementSummary(Model):
    """One measurement over all photos in which it is `ok`, in millimetres."""

    n_ok: int
    mean: float | None = None
    sd_observed: float | None = None
    sd_true_estimate: float | None = None
    mm_sd_rms: float | None = None
    percentiles: dict[str, float] | None = None
    statuses: dict[str, int] = Field(default_factory=dict)
    reasons: dict[str, int] = Field(default_factory=dict)


class BatchSummary(Model):
    """What came out of a batch, of each photo the largest face."""

    batch_id: str
    status: str
    counts: dict[str, int]
    rejections: dict[str, int] = Field(default_factory=dict)
    definitions: list[str] = Field(default_factory=list)
    scale_sources: dict[str, int] = Field(default_factory=dict)
    measurements: dict[str, MeasurementSummary]
