"""A batch in the making: photos are stored as they come, and mean nothing until the manifest is written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Final, Self

from shared.errors import BatchTooLarge, DuplicateReference, KeyTaken, NotTakenBack, StorageUnavailable, Transient
from shared.jobs.batch_archive import made_ms
from shared.jobs.batch_record import MAKING_LIMIT_S, BatchRecord
from shared.jobs.idempotency import KeyMark, confirm_key, leave_key
from shared.jobs.lifecycle import JobLifecycle, Upload
from shared.jobs.manifest import BatchHead, Item, ManifestFile, item_record
from shared.jobs.record import JobRecord
from shared.names import QueueName, new_job_id
from shared.schemas import JobError, JobOptions, WebhookEvent
from shared.storage import layout

logger = logging.getLogger(__name__)

RECORDS_AT_ONCE: Final = 500
"""Records written together: a few tens of milliseconds of Redis' time."""


_OF_ITEMS: Final = frozenset(WebhookEvent) - {WebhookEvent.BATCH_COMPLETED}


def in_parts(records: Iterator[JobRecord]) -> Iterator[list[JobRecord]]:
    """Yield records a bounded number at a time."""
    while part := list(islice(records, RECORDS_AT_ONCE)):
        yield part


class BatchWriter:
    """Takes the items of one batch, in order, then `commit`s; left without that, it takes back what it stored.

    Every method raises `StorageUnavailable` when the store does not answer, and `BatchTooLarge` or `DuplicateReference`
    when an item cannot be one. Its memory does not grow with the photos.
    """

    def __init__(self, jobs: JobLifecycle, head: BatchHead) -> None:
        self._jobs = jobs
        self._manifest = ManifestFile(head)
        self._references: set[bytes] = set()
        self._is_over = False
        self._mark: KeyMark | None = None
        self._may_land = False

    @property
    def batch_id(self) -> str:
        """The id the batch will have."""
        return self._manifest.head.batch_id

    def add_upload(self, upload: Upload, options: JobOptions) -> str:
        """Store a photo as the next item; return its id."""
        job_id, put = self.add_place(options)
        put(upload)
        return job_id

    def add_place(self, options: JobOptions) -> tuple[str, Callable[[Upload], None]]:
        """Note a photo as the next item; return its id, and what stores it, to be called before `commit` by any thread.

        That raises `StorageUnavailable` when the photo could not be stored.
        """
        head = self._manifest.head
        self._check(options)
        item = Item(new_job_id(), self._own(options))
        # Noted first, so that what is stored is always known to `_take_back`.
        self._add(item)
        key = layout.upload_key(head.tenant, item.job_id, head.batch_id)
        objects = self._jobs.objects
        return item.job_id, lambda upload: objects.put(key, upload.body, content_type=upload.content_type)

    def add_awaited(
        self,
        options: JobOptions,
        *,
        size_bytes: int | None = None,
        content_type: str | None = None,
        url: str | None = None,
    ) -> str:
        """Note a photo that comes later, by a form that fixes its size and type or from an address; return its id."""
        self._check(options)
        item_options = self._own(options)
        return self._add(Item(new_job_id(), item_options, size_bytes=size_bytes, content_type=content_type, url=url))

    def add_rejected(self, options: JobOptions, error: JobError) -> str:
        """Note an item that is no photo and why; return its id."""
        self._check(options)
        return self._add(Item(new_job_id(), self._own(options), error=error))

    def _own(self, options: JobOptions) -> JobOptions:
        """Return the options of an item that has those of its batch: their target hears of items only if it asks to."""
        batch = self._manifest.head.options
        inherited = (options.webhook_url, options.webhook_events) == (batch.webhook_url, batch.webhook_events)
        if options.webhook_url is None or not inherited or set(batch.webhook_events) & _OF_ITEMS:
            return options
        return options.model_copy(update={"webhook_url": None, "webhook_events": []})

    def _check(self, options: JobOptions) -> None:
        head, limit = self._manifest.head, self._jobs.settings.max_batch_items
        if head.total >= limit:
            raise BatchTooLarge(f"a batch may have at most {limit} items")
        self._check_time()
        if options.reference is not None:
            mark = hashlib.blake2b(options.reference.encode(), digest_size=16).digest()
            if mark in self._references:
                raise DuplicateReference(f"{options.reference!r} is given twice")
            self._references.add(mark)

    def _check_time(self) -> None:
        if self._jobs.clock() - made_ms(self.batch_id) > MAKING_LIMIT_S * 1000:
            raise StorageUnavailable("the photos of a batch took too long to be stored")

    def _add(self, item: Item) -> str:
        self._manifest.add(item)
        return item.job_id

    def record(self) -> BatchRecord:
        """Return the record that the batch would have if it were accepted now, without any item counted."""
        return self._manifest.head.record()

    def items(self) -> Iterator[tuple[JobRecord, Item]]:
        """Yield what was added, in order, with the record it begins with; nothing may be added meanwhile."""
        head = self._manifest.head
        for index, item in enumerate(self._manifest.items()):
            yield item_record(head, item, index), item

    def commit(self, mark: KeyMark | None = None) -> BatchRecord:
        """Write the manifest: when this returns, the batch survives whatever dies next.

        Records that cannot be written now are written by the upkeep.

        Parameters
        ----------
        mark : KeyMark or None
            The idempotency key that the caller holds for the batch.

        Raises
        ------
        StorageUnavailable, KeyTaken
            If the batch was not accepted. Where its manifest may have been left behind, leaving the writer raises
            `NotTakenBack`, and the key knows of it: its next request buries it.
        """
        self._check_time()  # the sweep may have deleted its photos by now
        self._mark = mark
        if mark is not None:
            self._manifest.head = self._manifest.head.marked(mark)
        head = self._manifest.head
        try:
            self._jobs.archive.batches.keep(head, self._manifest.finished())
        except Transient:
            if not self._has_record():  # else the sweep has come by meanwhile
                self._may_land = True
                raise
        self._is_over = True
        try:
            if mark is not None:
                # Before the records: a manifest without them is found by the sweep, which then notes the key too.
                confirm_key(self._jobs.store.idempotency, mark, head.record())
            self._write_records(head)
        except KeyTaken:
            self._is_over = False
            raise
        except Transient as error:
            logger.warning("the records of %s are put off: %s", head.batch_id, error)
        return head.record()

    def _has_record(self) -> bool:
        with suppress(Transient):
            return self._jobs.store.batches.get(self.batch_id) is not None
        return False

    def _write_records(self, head: BatchHead) -> None:
        batches = self._jobs.store.batches
        batches.create(head.record())
        for part in in_parts(item_record(head, item, n) for n, item in enumerate(self._manifest.items())):
            batches.create_items(part)
        batches.seal(head.batch_id)
        self._jobs.call_workers(QueueName.BULK)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take back what was stored unless it was committed."""
        try:
            if not self._is_over:
                self._take_back()
        finally:
            self._manifest.__exit__(kind, error, at)

    def _take_back(self) -> None:
        head = self._manifest.head
        is_promised = True
        try:
            if self._may_land:  # a store that stood still may write what was given up after it has deleted
                self._jobs.archive.batches.mark_deleted(head.tenant, head.batch_id, self._jobs.clock())
            # First, in case the store wrote it and its answer was lost: no manifest may promise photos that are gone.
            self._jobs.objects.delete(layout.manifest_key(head.tenant, head.batch_id))
            is_promised = False
            for item in self._manifest.items():
                if not item.is_awaited and item.error is None:
                    self._jobs.objects.delete(layout.upload_key(head.tenant, item.job_id, head.batch_id))
        except Transient as error:
            logger.warning("could not take back %s; its photos are swept when they are an hour old", head.batch_id)
            if self._mark is not None and is_promised:
                leave_key(self._jobs.store.idempotency, self._mark, head.record())
                raise NotTakenBack(head.batch_id) from error
