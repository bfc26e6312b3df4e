"""What a client reads of a batch as a whole, as it travels over HTTP. Lengths are millimetres."""

from __future__ import annotations

from typing import Literal

from shared.results import JobResult, MeasurementStatus, RetakeHint
from shared.schema_base import Schema
from shared.schemas import BatchStatus, JobStatus


class BatchResult(Schema):
    """One line of a batch's results."""

    reference: str | None
    job_id: str
    item_index: int
    """The item's place in the batch, from 0."""
    status: JobStatus
    error_code: str | None
    """Why it was rejected or has failed."""
    result: JobResult | None
    """Null unless the item has succeeded; without `landmarks` unless they are asked for."""


class BatchItemError(Schema):
    """One line of a batch's errors."""

    reference: str | None
    job_id: str
    item_index: int
    status: Literal[JobStatus.REJECTED, JobStatus.FAILED, JobStatus.CANCELLED]
    error_code: str | None
    """A stable name; docs/errors.md lists them all. Null when the item was cancelled."""
    error_message: str | None
    retake: list[RetakeHint]
    """What would help; empty when the photo is not at fault."""


class Percentiles(Schema):
    """Below which value so many percent lie, interpolated between the two nearest."""

    p1: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float


class MeasurementSummary(Schema):
    """One measurement over all photos in which it is `ok`."""

    n_ok: int
    """How many values are in what follows."""
    mean: float | None
    sd_observed: float | None
    """One standard deviation of the values: how much people differ, and what the photos are wrong by."""
    sd_true_estimate: float | None
    """The same without what differs by chance from photo to photo: how much people differ. Null with fewer than 30
    values, and where such error alone explains all that was seen."""
    mm_sd_rms: float | None
    """The root of the mean square of `mm_sd`: how wrong a single value is, typically."""
    percentiles: Percentiles | None
    """Of the values as they are, errors included."""
    statuses: dict[MeasurementStatus, int]
    reasons: dict[str, int]
    """Why it was not `ok`, and how often; a photo can have several reasons."""


class BatchSummary(Schema):
    """What came out of a batch. Of each photo the largest face is counted."""

    object: Literal["batch_summary"] = "batch_summary"
    batch_id: str
    status: BatchStatus
    """While it is not `completed`, what follows is of the items that have ended."""
    unit: Literal["mm"] = "mm"
    counts: dict[JobStatus, int]
    rejections: dict[str, int]
    """How many photos were rejected, by code."""
    definitions: list[str]
    """The versions of the measurement definitions that the results are of."""
    scale_sources: dict[str, int]
    """By which ruler the faces were measured; `none` for those without."""
    measurements: dict[str, MeasurementSummary]
    """By the keys of /v1/measurements."""
