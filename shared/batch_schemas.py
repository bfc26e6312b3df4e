"""What travels over HTTP about batches."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.schema_base import Schema
from shared.schemas import BatchStatus, Job


class BatchCounts(Schema):
    """How many items are in each state."""

    awaiting_upload: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    rejected: int = 0
    failed: int = 0
    cancelled: int = 0


class Batch(Schema):
    """Many photos on their way to results."""

    id: str
    object: Literal["batch"] = "batch"
    status: BatchStatus
    """`completed` when every item has ended; a cancelled batch may have items that are just being measured."""
    total: int
    """Items, but for those that were deleted one by one."""
    counts: BatchCounts
    progress: float = Field(ge=0, le=1)
    """The share of the items that has ended."""
    images_per_second: float | None
    """How many items end in a second, over the last 15 to 30 s; null when none did."""
    eta_s: float | None
    """In how many seconds the last one will have ended, going on like this; null if nobody can say."""
    created_at: datetime
    upload_deadline: datetime | None
    """By when photos must have come that did not come with the request; null if all did."""
    started_at: datetime | None
    """When the client said that photos are on their way; null for batches that need no such word."""
    completed_at: datetime | None
    """When the last item ended; null while one is open."""
    cancelled_at: datetime | None
    expires_at: datetime
    """When the batch and its results are deleted."""


class BatchList(Schema):
    """A page of batches, newest first."""

    object: Literal["list"] = "list"
    data: list[Batch]
    next_cursor: str | None
    """Pass as `cursor` for the next page; null on the last one."""


class UploadForm(Schema):
    """How one photo is uploaded straight to storage: a `multipart/form-data` POST."""

    url: str
    fields: dict[str, str]
    """To be sent first, as they are; then the bytes as a file field named `file`."""
    expires_at: datetime


class BatchItem(Job):
    """One photo of a batch: a job without its result."""

    item_index: int
    """Its place in the batch, from 0."""
    upload: UploadForm | None
    """Only while its photo is awaited by an upload form."""


class BatchItemList(Schema):
    """A page of a batch's items, in item order."""

    object: Literal["list"] = "list"
    data: list[BatchItem]
    next_cursor: str | None
    """Pass as `cursor` for the next page; null on the last one."""


class NewBatch(Batch):
    """A batch whose photos are awaited, with every item and its upload form, in the order of the request."""

    items: list[BatchItem]
