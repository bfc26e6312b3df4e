"""Records as clients see them: what the API answers, and what webhooks tell."""

from __future__ import annotations

from datetime import datetime

from shared.clock import from_ms
from shared.jobs.record import JobRecord
from shared.schemas import Job


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


def optional_time(time_ms: int | None) -> datetime | None:
    """Return a time as clients see it; None where there is none."""
    return None if time_ms is None else from_ms(time_ms)
