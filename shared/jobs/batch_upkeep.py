"""What brings every accepted batch to its end, whatever died or was lost on the way; part of the reconciler.

Every step may be done twice or by several at once: each goes through the same atomic moves as everyone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from shared.clock import to_ms
from shared.errors import UnreadableObject
from shared.jobs.batch_archive import Marks, made_ms
from shared.jobs.batch_purge import BatchPurge
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batch_writer import in_parts
from shared.jobs.batches import AT_ONCE, BatchLifecycle
from shared.jobs.manifest import BatchHead, item_record
from shared.jobs.replays import restore_key_of_batch
from shared.names import QueueName
from shared.schemas import BatchStatus
from shared.storage import layout

logger = logging.getLogger(__name__)

_LOOK_S: Final = 30.0
"""Pause between two looks at a batch that is not complete: how late uploads by forms are seen to have come."""
_BATCHES_AT_ONCE: Final = 50


class BatchUpkeep:
    """Compares batches with what was promised, and mends the difference."""

    def __init__(self, batches: BatchLifecycle) -> None:
        self._batches = batches
        self._jobs = batches.jobs
        self._store = batches.store
        self._archive = batches.archive
        self._purge = BatchPurge(batches.jobs)

    def due(self) -> Counter[str]:
        """Look at batches that are not complete; forget those whose time is over."""
        done: Counter[str] = Counter()
        for batch_id in self._store.due(_BATCHES_AT_ONCE, grace_s=_LOOK_S):
            batch = self._store.get(batch_id)
            if batch is not None:
                self._guarded(batch_id, done, partial(self._look, batch))
        for batch_id in self._store.expired(_BATCHES_AT_ONCE):
            self._expire(batch_id)
            done["batches_expired"] += 1
        return +done

    def _guarded(self, batch_id: str, done: Counter[str], step: Callable[[], Counter[str]]) -> None:
        """Leave a batch as it is whose objects cannot be read, so that one of them does not stop all others."""
        try:
            done.update(step())
        except UnreadableObject:
            logger.exception("left as it is: %s", batch_id)
            done["unreadable"] += 1

    def _look(self, batch: BatchRecord) -> Counter[str]:
        """Do what is due about one batch."""
        done: Counter[str] = Counter()
        if not batch.sealed and self._jobs.store.is_rebuilt():
            done += self.restore(batch.tenant, batch.id)
        if batch.cancelled_ms is not None:
            done["items_cancelled"] = self._batches.cancel_open(batch.id)
        elif self._batches.is_past_deadline(batch):
            done["items_missing"] = self._batches.end_awaited(batch)
        elif batch.source is BatchSource.PRESIGNED and batch.started_ms is not None:
            done["items_arrived"] = self._batches.find_arrived(batch)
        if max(done["items_cancelled"], done["items_missing"]) >= AT_ONCE:
            self._store.look_again(batch.id)
        return +done

    def _expire(self, batch_id: str) -> None:
        """Forget a batch whose time is over. Its items' time is over too; each is forgotten by itself."""
        batch = self._store.get(batch_id)
        self._store.drop(batch_id)
        if batch is not None:
            self._archive.purge(batch.tenant, batch_id)

    # After a loss

    def restore_heads(self) -> Counter[str]:
        """Make the record of every batch that storage knows of, so that records of items can be made."""
        done: Counter[str] = Counter()
        for tenant, batch_id in self._archive.manifests():
            self._guarded(batch_id, done, partial(self._restore_head, tenant, batch_id))
        return +done

    def _restore_head(self, tenant: str, batch_id: str) -> Counter[str]:
        return Counter(batches_restored=self._written_head(tenant, batch_id)[1])

    def _written_head(self, tenant: str, batch_id: str) -> tuple[BatchHead | None, int]:
        """Return what the manifest says, None if the batch is to be forgotten; and whether a record was written."""
        head = self._archive.head(tenant, batch_id)
        if head is None or self._archive.is_deleted(tenant, batch_id):
            return None, 0
        if head.expires_ms <= self._jobs.clock():
            self._archive.purge(tenant, batch_id)  # its records were lost before that
            return None, 0
        restore_key_of_batch(self._jobs, head)
        marks = self._archive.marks(tenant, batch_id)
        record = head.record(started_ms=marks.started_ms, cancelled_ms=marks.cancelled_ms)
        written = self._store.create(record)
        if not written:  # it may be from before they were set: a Redis that went back a second
            self._set_marks(batch_id, marks)
        return head, int(written)

    def _set_marks(self, batch_id: str, marks: Marks) -> None:
        if marks.started_ms is not None:
            self._store.start(batch_id, at_ms=marks.started_ms)
        if marks.cancelled_ms is not None:
            self._store.cancel(batch_id, at_ms=marks.cancelled_ms)

    def restore_items(self) -> Counter[str]:
        """Make the record of every item that has none, and seal the batches."""
        done: Counter[str] = Counter()
        for tenant, batch_id in self._archive.manifests():
            self._guarded(batch_id, done, partial(self.restore, tenant, batch_id))
        return +done

    def restore(self, tenant: str, batch_id: str) -> Counter[str]:
        """Make all records of a batch that are missing, as they were when it was accepted, and seal it.

        Items that have ended are known from their outcomes: those come first after a loss. One that slips through is
        measured again in vain, and adopts what stands.
        """
        head, written = self._written_head(tenant, batch_id)
        done = Counter(batches_restored=written)
        if head is None:
            return done
        missing = self._missing(head)
        gone = self._deleted_among(tenant, missing)
        wanted = missing - gone
        if wanted:
            # What was fetched before the loss is not fetched again.
            fetched = self._batches.arrived(tenant, sorted(wanted)) if head.source is BatchSource.URL else set()
            numbered = (item_record(head, item, n) for n, item in enumerate(self._archive.items(head)))
            records = (record.queued() if record.id in fetched else record for record in numbered)
            for part in in_parts(record for record in records if record.id in wanted):
                done["items_restored"] += sum(self._store.create_items(part, restored=True))
            # A DELETE writes the tombstone and then drops the record: one of the two sees the other.
            for job_id in self._deleted_among(tenant, wanted):
                self._jobs.forget(tenant, job_id, batch_id)
            self._jobs.call_workers(QueueName.BULK)
        self._store.seal(batch_id, sorted(gone))
        self._store.look_again(batch_id)
        if self._archive.is_deleted(tenant, batch_id):
            self._batches.forget(batch_id)
        return +done

    def _missing(self, head: BatchHead) -> set[str]:
        missing: set[str] = set()
        part: list[str] = []
        for item in self._archive.items(head):
            part.append(item.job_id)
            if len(part) == AT_ONCE:
                missing.update(self._jobs.store.missing(part))
                part.clear()
        return missing.union(self._jobs.store.missing(part))

    def _deleted_among(self, tenant: str, job_ids: set[str]) -> set[str]:
        return {job_id for job_id in self._archive.deleted_jobs(tenant) if job_id in job_ids} if job_ids else set()

    # What died in the middle

    def sweep(self) -> Counter[str]:
        """Look for batches without a record, and for deletions that are not finished."""
        done: Counter[str] = Counter()
        if self._jobs.store.is_rebuilt():
            for tenant, batch_id in self._archive.manifests():
                if self._store.get(batch_id) is None:
                    self._guarded(batch_id, done, partial(self.restore, tenant, batch_id))
        for tenant, batch_id in self._archive.tombstones():
            self._guarded(batch_id, done, partial(self._finish_deletion, tenant, batch_id))
        return +done

    def _finish_deletion(self, tenant: str, batch_id: str) -> Counter[str]:
        """Drop what has a record; purge when every lease has run out, so that no worker writes anything after that."""
        done: Counter[str] = Counter()
        settings = self._jobs.settings
        if self._store.get(batch_id) is not None or self._store.item_ids(batch_id, 1):
            done["items_deleted"] = self._batches.forget(batch_id)
        deleted_ms = self._archive.deleted_ms(tenant, batch_id) or 0
        if self._is_past(deleted_ms, settings.lease_s + settings.photo_time_limit_s) and self._archive.has_objects(
            tenant, batch_id
        ):
            self._purge.purge(tenant, batch_id)
            done["batches_purged"] = 1
        return +done

    def delete_late_uploads(self, tenant: str, batch_id: str, job_ids: set[str]) -> int:
        """Delete those of some photos that were sent by their forms once more when they were not wanted any more.

        A form takes a photo until the deadline, whatever became of its item or its batch meanwhile.
        """
        batch = self._store.get(batch_id)
        if batch is None:
            is_purged = self._archive.is_deleted(tenant, batch_id) and not self._archive.has_objects(tenant, batch_id)
            unwanted = sorted(job_ids) if is_purged else []
        elif batch.source is BatchSource.PRESIGNED and batch.status is not BatchStatus.AWAITING_UPLOAD:
            records = (record for record in self._batches.all_items(batch_id) if record.id in job_ids)
            unwanted = [record.id for record in records if record.status.is_terminal and not record.needs_upload]
        else:
            unwanted = []
        if batch is not None:
            # An item that was deleted, or read once, has no record that tells of it, and its batch goes on.
            unwanted += sorted(self._deleted_among(tenant, set(self._jobs.store.missing(sorted(job_ids)))))
        for job_id in unwanted:
            self._jobs.objects.delete(layout.upload_key(tenant, job_id, batch_id))
        return len(unwanted)

    def _is_past(self, since_ms: int, age_s: float) -> bool:
        return self._jobs.clock() > since_ms + to_ms(age_s)

    def audit(self, *, tombstones_for_s: float) -> Counter[str]:
        """Compare every batch with its manifest and its counts with its items; forget tombstones after their time."""
        done: Counter[str] = Counter()
        for tenant, batch_id in self._archive.manifests():
            self._guarded(batch_id, done, partial(self._audit, tenant, batch_id))
        self._forget_tombstones(self._archive.tombstones(), tombstones_for_s, done)
        return +done

    def _audit(self, tenant: str, batch_id: str) -> Counter[str]:
        done = self.restore(tenant, batch_id)
        done["batches_miscounted"] = int(not self._store.recount(batch_id))
        return +done

    def _forget_tombstones(self, owners: Iterable[tuple[str, str]], age_s: float, done: Counter[str]) -> None:
        for tenant, batch_id in owners:
            if self._is_past(made_ms(batch_id), age_s) and not self._archive.has_objects(tenant, batch_id):
                self._jobs.objects.delete(layout.tombstone_key(tenant, batch_id))
                done["tombstones_expired"] += 1
