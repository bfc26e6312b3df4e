"""Records of batches in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.jobs.batch_record import BatchRecord
from shared.jobs.batch_store import BatchQuery, ItemQuery
from shared.jobs.memory_state import MemoryState, atomic
from shared.jobs.record import JobRecord
from shared.schemas import JobStatus


class MemoryBatchStore:
    """The records of batches in this process; see `BatchStore` for what each method does."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    @atomic
    def create(self, batch: BatchRecord) -> bool:
        """Write the record of a batch that has no item yet."""
        records = self._state.records
        if batch.id in records.batches or records.items[batch.id]:
            return False
        records.batches[batch.id] = replace(batch, counts=dict.fromkeys(JobStatus, 0))
        records.look_ms[batch.id] = self._state.after(self._state.grace_s)
        return True

    @atomic
    def get(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts, or None."""
        batch = self._state.records.batches.get(batch_id)
        return replace(batch, gone=len(self._state.records.gone[batch_id])) if batch else None

    @atomic
    def list_batches(self, query: BatchQuery) -> list[BatchRecord]:
        """Return up to `query.limit` batches, newest first."""
        ids = sorted(batch.id for batch in self._state.records.batches.values() if batch.tenant == query.tenant)
        older = [batch_id for batch_id in reversed(ids) if query.before_id is None or batch_id < query.before_id]
        return [batch for batch_id in older[: query.limit] if (batch := self.get(batch_id))]

    @atomic
    def create_items(self, records: Sequence[JobRecord], *, restored: bool = False) -> list[bool]:
        """Write records unless they are there; tell of each whether it was."""
        return [self._state.create(record, restored=restored) for record in records]

    @atomic
    def items(self, query: ItemQuery) -> list[JobRecord]:
        """Return up to `query.limit` items in item order."""
        places = self._state.records.items[query.batch_id]
        later = sorted((index, job_id) for job_id, index in places.items() if index > query.after_index)
        found = (self._state.records.jobs[job_id].record for _, job_id in later)
        return [record for record in found if query.status in {None, record.status}][: query.limit]

    @atomic
    def item_ids(self, batch_id: str, limit: int) -> list[str]:
        """Return some items that have a record, also of a batch that has none any more."""
        return list(self._state.records.items[batch_id])[:limit]

    @atomic
    def seal(self, batch_id: str, gone: Sequence[str] = ()) -> bool:
        """Say that every item has a record, but for those that are `gone`."""
        records = self._state.records
        batch = records.batches.get(batch_id)
        if batch is None:
            return False
        records.gone[batch_id].update(job_id for job_id in gone if job_id not in records.items[batch_id])
        if len(records.items[batch_id]) + len(records.gone[batch_id]) < batch.total:
            return False
        records.batches[batch_id] = replace(batch, sealed=True)
        self._state.complete_if_over(batch_id)
        return True

    @atomic
    def unseal(self, batch_id: str) -> bool:
        """Open a batch for another run of some items."""
        records = self._state.records
        if batch_id not in records.batches:
            return False
        self._state.open_batch(batch_id)
        records.batches[batch_id] = replace(records.batches[batch_id], sealed=False)
        return True

    @atomic
    def start(self, batch_id: str, *, at_ms: int) -> bool:
        """Note that photos are measured as they come."""
        batch = self._state.records.batches.get(batch_id)
        if batch is None or batch.started_ms is not None:
            return False
        self._state.records.batches[batch_id] = replace(batch, started_ms=at_ms)
        self.look_again(batch_id)
        return True

    @atomic
    def cancel(self, batch_id: str, *, at_ms: int) -> bool:
        """Note that no further item is to be measured."""
        batch = self._state.records.batches.get(batch_id)
        if batch is None or batch.cancelled_ms is not None:
            return False
        self._state.records.batches[batch_id] = replace(batch, cancelled_ms=at_ms)
        self.look_again(batch_id)
        return True

    @atomic
    def arrive(self, job_ids: Sequence[str]) -> int:
        """Queue those items that await their photo; return how many did."""
        arrived = 0
        for job_id in job_ids:
            entry = self._state.records.jobs.get(job_id)
            if entry is not None and entry.record.status is JobStatus.AWAITING_UPLOAD:
                self._state.move(entry, replace(entry.record, status=JobStatus.QUEUED))
                self._state.line_up(entry)
                arrived += 1
        return arrived

    @atomic
    def due(self, limit: int, *, grace_s: float) -> list[str]:
        """Return batches that are not complete and were not looked at for `grace_s`, each once in that time."""
        look_ms = self._state.records.look_ms
        due = sorted((due_ms, batch_id) for batch_id, due_ms in look_ms.items() if due_ms <= self._state.clock())
        ids = [batch_id for _, batch_id in due[:limit]]
        look_ms.update(dict.fromkeys(ids, self._state.after(grace_s)))
        return ids

    @atomic
    def look_again(self, batch_id: str) -> None:
        """Have a batch that is not complete looked at next."""
        if batch_id in self._state.records.look_ms:
            self._state.records.look_ms[batch_id] = self._state.clock()

    @atomic
    def expired(self, limit: int) -> list[str]:
        """Return batches past their time of being kept."""
        now = self._state.clock()
        due = [batch for batch in self._state.records.batches.values() if batch.expires_ms <= now]
        return [batch.id for batch in sorted(due, key=lambda batch: (batch.expires_ms, batch.id))[:limit]]

    @atomic
    def recount(self, batch_id: str) -> bool:
        """Count the items of a batch anew; tell whether its counts were right."""
        records = self._state.records
        batch = records.batches.get(batch_id)
        if batch is None:
            return True
        counts = dict.fromkeys(JobStatus, 0)
        for job_id in records.items[batch_id]:
            counts[records.jobs[job_id].record.status] += 1
        was_right = counts == batch.counts
        records.batches[batch_id] = replace(batch, counts=counts)
        self._state.complete_if_over(batch_id)
        return was_right

    @atomic
    def drop(self, batch_id: str) -> None:
        """Forget a batch, but for which items have a record; no new ones can be written."""
        records = self._state.records
        for kept in (records.batches, records.gone, records.last_finished_ms, records.look_ms):
            kept.pop(batch_id, None)
        self._state.forget_key(batch_id)
        self._state.wake(batch_id)

    @atomic
    def drop_items(self, job_ids: Sequence[str]) -> None:
        """Forget records of items, without a debt to storage."""
        for job_id in job_ids:
            self._state.forget(job_id)
            self._state.wake(job_id)
