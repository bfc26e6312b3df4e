"""Records as clients see them: what the API answers, and what webhooks tell."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from shared.batch_schemas import Batch, BatchCounts
from shared.clock import from_ms
from shared.jobs.batch_record import BatchRecord
from shared.jobs.record import JobRecord
from shared.schemas import Job

_PROGRESS_DECIMALS: Final = 4
"""Of 10,000 items one is seen."""
_RATE_DECIMALS: Final = 2


def job_view(record: JobRecord, *, queue_position: int | None = None) -> Job:
    """Return a job as clients see it, without its result."""
    return Job(
        id=record.id,
        status=record.status,
        reference=record.options.reference,
        batch_id=record.batch_id,
        created_at=from_ms(record.created_ms),
        started_at=optional_time(record.started_ms),
        finished_at=optional_time(record.finished_ms),
        expires_at=from_ms(record.expires_ms),
        attempts=record.attempts,
        queue_position=queue_position,
        error=record.error,
        result=None,
    )


def batch_view(batch: BatchRecord, now_ms: int) -> Batch:
    """Return a batch as clients see it at a time."""
    return Batch(
        id=batch.id,
        status=batch.status,
        total=batch.total - batch.gone,
        counts=BatchCounts(**{status.value: count for status, count in batch.counts.items()}),
        progress=round(batch.progress, _PROGRESS_DECIMALS),
        images_per_second=_rounded(batch.images_per_second(now_ms)),
        eta_s=_rounded(batch.eta_s(now_ms)),
        created_at=from_ms(batch.created_ms),
        upload_deadline=optional_time(batch.deadline_ms),
        started_at=optional_time(batch.started_ms),
        completed_at=optional_time(batch.completed_ms),
        cancelled_at=optional_time(batch.cancelled_ms),
        expires_at=from_ms(batch.expires_ms),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _RATE_DECIMALS)


def optional_time(time_ms: int | None) -> datetime | None:
    """Return a time as clients see it; None where there is none."""
    return None if time_ms is None else from_ms(time_ms)
