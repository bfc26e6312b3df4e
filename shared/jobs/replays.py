"""What a used idempotency key stands for: the job that was accepted under it, and the index made from storage again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.clock import to_ms
from shared.jobs.idempotency import kept_until_ms
from shared.names import job_id_time

if TYPE_CHECKING:
    from shared.jobs.archive import Traces
    from shared.jobs.lifecycle import JobLifecycle
    from shared.jobs.manifest import BatchHead
    from shared.jobs.record import JobRecord


def accepted_job(jobs: JobLifecycle, tenant: str, job_id: str) -> JobRecord | None:
    """Return a job as it is now, or None if it was never accepted, is deleted or has expired.

    A record alone does not say that a job was accepted: a frozen Redis may write one after its client heard 503 and the
    photo was taken back. A photo without a record does: whoever stored it died before it wrote one,
    which is done here then.
    """
    record = jobs.store.get(job_id)
    if record is None:
        stored = jobs.archive.find(tenant, job_id)
        if stored is not None:
            _write_record(jobs, stored)
            record = jobs.store.get(job_id)
    elif not (record.status.is_terminal or jobs.archive.is_uploaded(tenant, job_id)):
        record = record if jobs.archive.find(tenant, job_id) else None
    return record if record and record.tenant == tenant and record.expires_ms > jobs.clock() else None


def _write_record(jobs: JobLifecycle, stored: JobRecord) -> None:
    jobs.store.create(stored, restored=True)
    # A DELETE writes the tombstone and then drops the record: one of the two sees the other.
    if jobs.archive.is_deleted(stored.tenant, stored.id):
        jobs.forget(stored.tenant, stored.id)
    elif not stored.status.is_terminal:
        jobs.ring(stored)


def restore_key_of_job(jobs: JobLifecycle, traces: Traces) -> None:
    """Note in the index which key a job was made under, as storage says."""
    is_accepted = traces.uploaded or traces.ticketed or traces.last_outcome > 0
    if not (is_accepted and traces.accompanied) or traces.batch_id is not None:
        return
    created_ms = to_ms(job_id_time(traces.job_id).timestamp())
    until_ms = kept_until_ms(created_ms, created_ms + to_ms(jobs.settings.retention_s))
    if until_ms <= jobs.clock():
        return  # most of them, and none of these is read
    mark = jobs.archive.kept_mark(traces.tenant, traces.job_id)
    if mark is not None:
        jobs.store.idempotency.restore(mark, traces.job_id, until_ms=until_ms)
        # A DELETE writes the tombstone and then forgets the key: one of the two sees the other.
        if jobs.archive.is_deleted(traces.tenant, traces.job_id):
            jobs.store.idempotency.forget(traces.job_id)


def restore_key_of_batch(jobs: JobLifecycle, head: BatchHead) -> None:
    """Note in the index which key a batch was made under, as its manifest says."""
    until_ms = kept_until_ms(head.created_ms, head.expires_ms)
    if head.mark is not None and until_ms > jobs.clock():
        jobs.store.idempotency.restore(head.mark, head.batch_id, until_ms=until_ms)
