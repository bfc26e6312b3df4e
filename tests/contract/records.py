"""Records for the contract tests of job stores."""

from __future__ import annotations

from shared.jobs.record import JobRecord, new_record
from shared.jobs.store import Claim, JobStore
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import JobError, JobOptions, JobStatus

LEASE_S = 40.0


def make_record(options: JobOptions | None = None, queue: QueueName = QueueName.INTERACTIVE) -> JobRecord:
    return new_record(new_job_id(), LOCAL_TENANT, options or JobOptions(), retention_s=3600, queue=queue)


def claim(store: JobStore, job_id: str) -> Claim:
    claimed = store.claim(job_id, lease_s=LEASE_S, max_attempts=3)
    assert isinstance(claimed, Claim)
    return claimed


def end(record: JobRecord, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord:
    error = JobError(code="no_face", message="none") if status is JobStatus.REJECTED else None
    return record.ended(status, at_ms=record.created_ms + 5, error=error)
