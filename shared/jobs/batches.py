"""The life of a batch: what a client may do to it. All of its items, with their results, `batch_reader.py` reads.

A batch has no life of its own beside that of its items: it is begun by its manifest, its items end one by one like any
job, and the step that ends the last one completes it (`lua/common.lua`). Marker objects are written before records, so
that what was asked for outlives the records; whoever died in the middle is followed by `batch_upkeep.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any, Final, TypeVar

from shared.clock import to_ms
from shared.errors import (
    AlreadyFinished,
    BatchNotFound,
    JobNotFound,
    NotFinished,
    RecordsRebuilding,
    Transient,
    UploadGone,
)
from shared.jobs.batch_archive import made_ms
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batch_store import BatchQuery, ItemQuery
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.manifest import BatchHead
from shared.jobs.record import JobRecord
from shared.names import QueueName, is_batch_id, new_batch_id
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.storage import layout

_T = TypeVar("_T")

AT_ONCE: Final = 500
"""Items that are ended, read or dropped in one go."""
_UPLOAD_GRACE_S: Final = 60.0
"""How long after its form's last second an upload may still be on its way."""
_ITEMS_AT_ONCE: Final = 8
"""Items that are ended or opened at the same time."""
_OPEN: Final = tuple(status for status in JobStatus if not status.is_terminal)


class BatchLifecycle:
    """Everything that can happen to a batch, for the API and the upkeep alike."""

    def __init__(self, jobs: JobLifecycle) -> None:
        self.jobs = jobs
        self.store = jobs.store.batches
        self.archive = jobs.archive.batches

    # Accepting

    def begin(
        self,
        tenant: str,
        source: BatchSource,
        options: JobOptions,
        *,
        extra: dict[str, Any] | None = None,
        request_id: str | None = None,
    ) -> BatchWriter:
        """Begin a batch; nothing of it is accepted before the writer is told to commit.

        Parameters
        ----------
        options : JobOptions
            What items get that do not say otherwise; they have no reference.
        extra : dict
            What other parts of the service keep in the manifest, as JSON.
        request_id : str or None
            That of the request, for log lines about its items.

        Raises
        ------
        RecordsUnavailable
            If Redis is away: said before thousands of photos are stored.
        """
        self.jobs.store.check()
        settings, batch_id = self.jobs.settings, new_batch_id()
        created_ms = made_ms(batch_id)
        waits = source is not BatchSource.UPLOAD
        head = BatchHead(
            batch_id=batch_id,
            tenant=tenant,
            source=source,
            options=options.model_copy(update={"reference": None}),
            created_ms=created_ms,
            expires_ms=created_ms + to_ms(settings.retention_s),
            deadline_ms=created_ms + to_ms(settings.upload_deadline_s) if waits else None,
            extra=extra or {},
            request_id=request_id,
        )
        return BatchWriter(self.jobs, head)

    # Reading

    def find(self, tenant: str, batch_id: str) -> BatchRecord:
        """Return a batch with its counts.

        Raises
        ------
        BatchNotFound
            If there is none, it was deleted, or it is another tenant's.
        RecordsRebuilding
            If its items are being counted anew after a loss.
        """
        if not is_batch_id(batch_id):
            raise BatchNotFound(batch_id)
        batch = self._own(tenant, batch_id)
        if batch is None or not batch.sealed:
            self._check_rebuilt_or_absent(tenant, batch_id)
        if batch is None or batch.expires_ms <= self.jobs.clock():
            raise BatchNotFound(batch_id)
        return batch

    def _own(self, tenant: str, batch_id: str) -> BatchRecord | None:
        batch = self.store.get(batch_id)  # another's is as none: the steps that follow, and their time, are the same
        return batch if batch and batch.tenant == tenant else None

    def _check_rebuilt_or_absent(self, tenant: str, batch_id: str) -> None:
        """Raise `RecordsRebuilding` if storage has a batch whose records are not complete yet."""
        if self.jobs.store.is_rebuilt() and self._own(tenant, batch_id) is not None:
            return  # it is just being written
        if self.archive.exists(tenant, batch_id) and not self.archive.is_deleted(tenant, batch_id):
            raise RecordsRebuilding("the records of this batch are being rebuilt from storage")

    def list_batches(self, query: BatchQuery) -> list[BatchRecord]:
        """Return a page of batches, newest first; raise `RecordsRebuilding` while some may be lacking."""
        if not self.jobs.store.is_rebuilt():
            raise RecordsRebuilding("the records of batches are being rebuilt from storage")
        now = self.jobs.clock()
        return [batch for batch in self.store.list_batches(query) if batch.expires_ms > now]

    def items(
        self, tenant: str, batch_id: str, *, status: JobStatus | None = None, limit: int, after_index: int = -1
    ) -> list[JobRecord]:
        """Return a page of items in item order, those after the place `after_index`.

        Raises
        ------
        BatchNotFound
            As `find` does.
        RecordsRebuilding
            If the page might lack some, because not every item has a record yet.
        """
        self._check_whole(tenant, batch_id)
        page = self.store.items(ItemQuery(batch_id, limit, status, after_index))
        if len(page) < limit:  # it says that there are no more: records may have been lost this very moment
            self._check_whole(tenant, batch_id)
        return page

    def _check_whole(self, tenant: str, batch_id: str) -> None:
        if self.find(tenant, batch_id).lacks_records:
            raise RecordsRebuilding("the records of this batch are not all written yet")

    def all_items(self, batch_id: str, status: JobStatus | None = None) -> Iterator[JobRecord]:
        """Yield the items that have a record, in item order, a page at a time."""
        after = -1
        while page := self.store.items(ItemQuery(batch_id, AT_ONCE, status, after)):
            yield from page
            after = page[-1].item_index or 0

    # Photos that come by upload forms

    def start(self, tenant: str, batch_id: str) -> BatchRecord:
        """Have photos measured as they come; raises as `find` does, or `AlreadyFinished` if the batch was cancelled.

        Nothing happens to a batch that needs no such word, or has come to its end without it.
        """
        batch = self.find(tenant, batch_id)
        if batch.cancelled_ms is not None:
            raise AlreadyFinished(batch_id)
        if batch.source is not BatchSource.PRESIGNED or batch.completed_ms is not None:
            return batch
        now = self.jobs.clock()
        self.archive.mark_started(tenant, batch_id, now)
        self.store.start(batch_id, at_ms=now)
        self.find_arrived(batch)
        return self.find(tenant, batch_id)

    def find_arrived(self, batch: BatchRecord) -> int:
        """Queue the items of a started batch whose photo has come; return how many had."""
        arrived = self.arrived(batch.tenant, [record.id for record in self._awaited(batch)])
        count = self.store.arrive(sorted(arrived))
        if count:
            self.jobs.call_workers(QueueName.BULK)
        return count

    def _awaited(self, batch: BatchRecord) -> Iterator[JobRecord]:
        return self.all_items(batch.id, JobStatus.AWAITING_UPLOAD)

    def arrived(self, tenant: str, job_ids: list[str]) -> set[str]:
        """Return which of some items have a photo in storage. Their ids begin alike, so that little else is listed."""
        awaited = set(job_ids)
        prefix = layout.upload_key(tenant, layout.common_start(job_ids)) if job_ids else None
        listed = self.jobs.objects.list(prefix) if prefix else ()
        photos = (layout.owner_of(found.key) for found in listed if found.size_bytes > 0)
        return {owner[1] for owner in photos if owner and owner[1] in awaited}

    def is_past_deadline(self, batch: BatchRecord) -> bool:
        """Tell whether no photo of the batch can come any more."""
        return batch.deadline_ms is not None and self.jobs.clock() > batch.deadline_ms + to_ms(_UPLOAD_GRACE_S)

    def end_awaited(self, batch: BatchRecord) -> int:
        """End some items whose photo did not come in time, or whose client never said to start; return how many."""
        is_started = batch.started_ms is not None or batch.source is BatchSource.URL
        if is_started:
            self.find_arrived(batch)
        awaited = list(islice(self._awaited(batch), AT_ONCE))
        arrived = self.arrived(batch.tenant, [record.id for record in awaited])
        _of_each(self.jobs.end_as_missing, [record for record in awaited if record.id not in arrived])
        if not is_started:
            _of_each(self._cancel_item, [record for record in awaited if record.id in arrived])
        return len(awaited)

    # What a client may do to a batch

    def cancel(self, tenant: str, batch_id: str) -> BatchRecord:
        """End what has not ended: no further photo is begun, and the upkeep ends what this call does not come to.

        Raises
        ------
        BatchNotFound, RecordsRebuilding, AlreadyFinished
        """
        batch = self.find(tenant, batch_id)
        if batch.status is BatchStatus.COMPLETED:
            raise AlreadyFinished(batch_id)
        now = self.jobs.clock()
        self.archive.mark_cancelled(tenant, batch_id, now)
        self.store.cancel(batch_id, at_ms=now)
        self.cancel_open(batch_id)
        return self.find(tenant, batch_id)

    def cancel_open(self, batch_id: str) -> int:
        """End some open items of a cancelled batch; return how many."""
        ended = 0
        for status in _OPEN:
            ended += len(_of_each(self._cancel_item, self.store.items(ItemQuery(batch_id, AT_ONCE - ended, status))))
        return ended

    def _cancel_item(self, record: JobRecord) -> None:
        self.jobs.finish(record.ended(JobStatus.CANCELLED, at_ms=self.jobs.clock()))

    def retry(self, tenant: str, batch_id: str) -> int:
        """Open the failed items whose photo is still there for another run; return how many.

        The batch is not complete again before all of them have ended.

        Raises
        ------
        BatchNotFound, RecordsRebuilding, AlreadyFinished
            The last one if the batch was cancelled.
        """
        batch = self.find(tenant, batch_id)
        if batch.cancelled_ms is not None:
            raise AlreadyFinished(batch_id)
        failed = list(self.all_items(batch_id, JobStatus.FAILED))
        if not failed:
            return 0
        self.store.unseal(batch_id)
        try:
            return sum(_of_each(self._retry_item, failed))
        finally:
            # Had this process died before, the upkeep would see to it.
            self.store.seal(batch_id)

    def _retry_item(self, record: JobRecord) -> bool:
        try:
            self.jobs.retry(record.tenant, record.id)
        except (JobNotFound, NotFinished, AlreadyFinished, UploadGone):
            return False
        return True

    def delete(self, tenant: str, batch_id: str) -> None:
        """Forget a batch and its items for good: unreadable when this returns, purged by the upkeep.

        Raises as `find` does.
        """
        self.find(tenant, batch_id)
        self.archive.mark_deleted(tenant, batch_id, self.jobs.clock())
        self.forget(batch_id)
        with suppress(Transient):  # done when it is purged
            self.jobs.debts.forget_told(tenant, batch_id)

    def bury(self, tenant: str, batch_id: str) -> None:
        """Have what was refused and may be stored all the same never be a batch: the upkeep purges what shows of it."""
        self.archive.mark_deleted(tenant, batch_id, self.jobs.clock())
        self.forget(batch_id)
        self.jobs.store.idempotency.forget(batch_id)

    def forget(self, batch_id: str) -> int:
        """Drop the records of a batch and of its items; return of how many items."""
        self.store.drop(batch_id)
        dropped = 0
        while job_ids := self.store.item_ids(batch_id, AT_ONCE):
            self.store.drop_items(job_ids)
            dropped += len(job_ids)
        return dropped


def _of_each(do: Callable[[JobRecord], _T], records: Sequence[JobRecord]) -> list[_T]:
    """Do something to each record, several at once: it takes long, and what it takes is mostly waiting for storage."""
    with ThreadPoolExecutor(_ITEMS_AT_ONCE, thread_name_prefix="items") as hands:
        return list(hands.map(do, records))
