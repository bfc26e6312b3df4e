"""Records for the contract tests of job stores."""

from __future__ import annotations

from shared.jobs.batch_archive import made_ms
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.record import JobRecord, new_record
from shared.jobs.store import Claim, JobStore
from shared.names import LOCAL_TENANT, QueueName, new_batch_id, new_job_id
from shared.schemas import JobError, JobOptions, JobStatus

LEASE_S = 40.0


def make_record(options: JobOptions | None = None, queue: QueueName = QueueName.INTERACTIVE) -> JobRecord:
    return new_record(
        new_job_id(), LOCAL_TENANT, options or JobOptions(), retention_s=3600, queue=queue, request_id="a-request"
    )


def claim(store: JobStore, job_id: str) -> Claim:
    claimed = store.claim(job_id, lease_s=LEASE_S, max_attempts=3)
    assert isinstance(claimed, Claim)
    return claimed


def end(record: JobRecord, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord:
    error = JobError(code="no_face", message="none") if status is JobStatus.REJECTED else None
    return record.ended(status, at_ms=record.created_ms + 5, error=error)


def make_batch(total: int, tenant: str = LOCAL_TENANT, source: BatchSource = BatchSource.UPLOAD) -> BatchRecord:
    batch_id = new_batch_id()
    created_ms = made_ms(batch_id)
    return BatchRecord(batch_id, tenant, source, total, created_ms, created_ms + 3_600_000)


def make_items(batch: BatchRecord, status: JobStatus = JobStatus.QUEUED) -> list[JobRecord]:
    return [
        JobRecord(
            id=new_job_id(),
            tenant=batch.tenant,
            queue=QueueName.BULK,
            options=JobOptions(reference=f"photo {index}"),
            created_ms=batch.created_ms,
            expires_ms=batch.expires_ms,
            status=status,
            batch_id=batch.id,
            item_index=index,
        )
        for index in range(batch.total)
    ]


def fill(store: JobStore, batch: BatchRecord, status: JobStatus = JobStatus.QUEUED) -> list[JobRecord]:
    """Write a batch and all its items, and seal it."""
    items = make_items(batch, status)
    assert store.batches.create(batch)
    assert all(store.batches.create_items(items))
    assert store.batches.seal(batch.id)
    return items


def counted(store: JobStore, batch: BatchRecord) -> dict[JobStatus, int]:
    """Return the counts that are not zero."""
    found = store.batches.get(batch.id)
    assert found is not None
    return {status: count for status, count in found.counts.items() if count}


def is_complete(store: JobStore, batch: BatchRecord) -> bool:
    found = store.batches.get(batch.id)
    assert found is not None
    return found.completed_ms is not None
