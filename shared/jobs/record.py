"""A job's record, the moves it may make, and the form it is written down in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from shared.clock import to_ms
from shared.fetches.tickets import FetchFrom
from shared.names import QueueName, job_id_time
from shared.schemas import JobError, JobOptions, JobStatus, WebhookEvent

_AWAITED, _QUEUED, _RUNNING = JobStatus.AWAITING_UPLOAD, JobStatus.QUEUED, JobStatus.RUNNING
_ENDS = frozenset(status for status in JobStatus if status.is_terminal)

LEGAL_MOVES: Final[dict[JobStatus, frozenset[JobStatus]]] = {
    # Missing, cancelled, or ended before a loss after which its record was made anew from its batch.
    _AWAITED: frozenset({_QUEUED}) | _ENDS,
    # A queued job may end without running: cancelled, or another worker's outcome is adopted after a rebuild.
    JobStatus.QUEUED: frozenset({_RUNNING}) | _ENDS,
    # Back to queued when a dependency was away; to running again when a lease ran out.
    JobStatus.RUNNING: frozenset({_QUEUED, _RUNNING}) | _ENDS,
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.REJECTED: frozenset(),
    JobStatus.FAILED: frozenset({_QUEUED}),
    JobStatus.CANCELLED: frozenset(),
}
"""From each status, where a job may go next: what the stores do, and what the tests hold them to."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """The working copy of what is known of a job; storage holds what it can be rebuilt from.

    Times are milliseconds since the epoch. `run` counts from 1 and rises with every retry; `attempts` counts the
    claims within the run. A job that is an item of a batch has its place there, which counts from 0. One that awaits a
    photo from a URL knows where that is written down. `request_id` is that of the request that brought it, for log
    lines alone.
    """

    id: str
    tenant: str
    queue: QueueName
    options: JobOptions
    created_ms: int
    expires_ms: int
    status: JobStatus = JobStatus.QUEUED
    run: int = 1
    attempts: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None
    error: JobError | None = None
    batch_id: str | None = None
    item_index: int | None = None
    fetch: FetchFrom | None = None
    request_id: str | None = None

    @property
    def needs_upload(self) -> bool:
        """Whether the photo is still there for something: to be measured, retried, or drawn on as was asked for."""
        if self.status is JobStatus.SUCCEEDED:
            return self.options.keep_image
        if self.status is JobStatus.FAILED:
            return not self.options.measure_and_delete
        return not self.status.is_terminal

    @property
    def announced_event(self) -> WebhookEvent | None:
        """What a receiver is to be told of how the job ended; None if nothing."""
        if not self.status.is_terminal:
            return None
        event = WebhookEvent(f"job.{self.status}")
        return event if self.options.hears_of(event) else None

    @property
    def log_context(self) -> dict[str, str | None]:
        """What log lines about this job are about."""
        return {"request_id": self.request_id, "tenant": self.tenant, "job": self.id, "batch": self.batch_id}

    def awaiting(self, fetch: FetchFrom) -> JobRecord:
        """Return this record as it is while its photo is to be fetched."""
        return replace(self, status=JobStatus.AWAITING_UPLOAD, fetch=fetch)

    def queued(self) -> JobRecord:
        """Return this record as it is once its photo is here."""
        return replace(self, status=JobStatus.QUEUED, fetch=None)

    def ended(self, status: JobStatus, *, at_ms: int, error: JobError | None = None) -> JobRecord:
        """Return this record as it is once the job has ended in `status`."""
        return replace(self, status=status, finished_ms=at_ms, error=error)

    def ending_soon(self, expires_ms: int) -> JobRecord:
        """Return this record as it is when it is to be deleted at a time, unless that is later than it was."""
        return replace(self, expires_ms=min(self.expires_ms, expires_ms))

    def reopened(self, run: int) -> JobRecord:
        """Return this record as it is at the start of another run."""
        return replace(
            self,
            status=JobStatus.QUEUED,
            run=run,
            attempts=0,
            started_ms=None,
            finished_ms=None,
            error=None,
        )


def new_record(
    job_id: str,
    tenant: str,
    options: JobOptions,
    *,
    retention_s: float,
    queue: QueueName = QueueName.INTERACTIVE,
    request_id: str | None = None,
) -> JobRecord:
    """Return the record of a job that was just accepted; its time of creation is that of its id."""
    created_ms = to_ms(job_id_time(job_id).timestamp())
    return JobRecord(
        id=job_id,
        tenant=tenant,
        queue=queue,
        options=options,
        created_ms=created_ms,
        expires_ms=created_ms + to_ms(retention_s),
        request_id=request_id,
    )


def encode_record(record: JobRecord) -> bytes:
    """Write a record as one line of JSON, without its line end."""
    return orjson.dumps(
        {
            "id": record.id,
            "tenant": record.tenant,
            "queue": record.queue,
            "options": record.options.model_dump(exclude_defaults=True),
            "created_ms": record.created_ms,
            "expires_ms": record.expires_ms,
            "status": record.status,
            "run": record.run,
            "attempts": record.attempts,
            "started_ms": record.started_ms,
            "finished_ms": record.finished_ms,
            "error": record.error.model_dump() if record.error else None,
            "batch_id": record.batch_id,
            "item_index": record.item_index,
            "request_id": record.request_id,
        }
    )


def decode_record(line: bytes) -> JobRecord:
    """Read what `encode_record` wrote."""
    fields: dict[str, Any] = orjson.loads(line)
    return JobRecord(
        **{
            **fields,
            "queue": QueueName(fields["queue"]),
            "status": JobStatus(fields["status"]),
            "options": JobOptions.model_validate(fields["options"]),
            "error": JobError.model_validate(fields["error"]) if fields["error"] else None,
        }
    )
