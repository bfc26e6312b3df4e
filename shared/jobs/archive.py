"""What storage knows of jobs: the durable copy, and how a record is made from it again."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from shared.errors import ObjectMissing, StorageUnavailable, UnreadableObject
from shared.fetches.archive import TicketArchive
from shared.jobs.batch_archive import BatchArchive
from shared.jobs.idempotency import KeyMark
from shared.jobs.record import JobRecord, decode_record, encode_record, new_record
from shared.names import QueueName
from shared.schemas import JobOptions
from shared.storage import layout
from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

_OF_JOBS: Final = (
    layout.UPLOADS,
    layout.TICKETS,
    layout.OUTCOMES,
    layout.RERUNS,
    layout.OPTIONS,
    layout.PREVIEWS,
    layout.DELETED,
)
_EMPTY_UPLOAD: Final = "uploads/empty"
"""Stands for the prefix of an upload without bytes, which no client sent: the API refuses those."""
_HEAD_BYTES: Final = 4096
"""Nearly every record is shorter; one with a long URL or many reasons is read with all that is behind it."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What the keys in storage say of one job. Runs count from 1; 0 means there is none.

    Attributes
    ----------
    uploaded : bool
        The photo is there.
    last_outcome, last_rerun : int
        The last run that ended, and the last that was asked for.
    accompanied : bool
        There are options, a preview or an empty upload, which mean nothing by themselves.
    deleted : bool
        There is a tombstone.
    batch_id : str or None
        The batch that the photo names, if it is there and an item's.
    ticketed : bool
        There is a URL that the photo is to be fetched from.
    """

    tenant: str
    job_id: str
    uploaded: bool
    last_outcome: int
    last_rerun: int
    accompanied: bool
    deleted: bool
    batch_id: str | None = None
    ticketed: bool = False

    @property
    def has_objects(self) -> bool:
        """Whether anything but a tombstone is there."""
        return self.uploaded or self.ticketed or self.accompanied or self.last_outcome > 0 or self.last_rerun > 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is written down of a request beside its photo, where that is not what is done anyway."""

    options: JobOptions = field(default_factory=JobOptions)
    queue: QueueName = QueueName.INTERACTIVE
    mark: KeyMark | None = None
    request_id: str | None = None


class JobArchive:
    """Reads and writes the objects of jobs; see `shared/storage/layout.py` for what lies where."""

    def __init__(self, objects: ObjectStore, *, retention_s: float) -> None:
        self.objects = objects
        self.batches = BatchArchive(objects)
        self.tickets = TicketArchive(objects)
        self._retention_s = retention_s

    def keep_options(self, record: JobRecord, mark: KeyMark | None = None) -> None:
        """Write down what was asked for, when it is not what is done anyway, and under which idempotency key."""
        if mark is None and record.options == JobOptions() and record.queue is QueueName.INTERACTIVE:
            return
        kept: dict[str, Any] = {
            "queue": record.queue,
            "options": record.options.model_dump(exclude_defaults=True),
        }
        if record.request_id is not None:
            kept["request_id"] = record.request_id
        if mark is not None:
            kept["idempotency"] = mark.as_kept()
        key = layout.options_key(record.tenant, record.id)
        self.objects.put(key, orjson.dumps(kept), content_type="application/json")

    def kept_mark(self, tenant: str, job_id: str) -> KeyMark | None:
        """Return the idempotency key that a job was made under, or None if there was none."""
        return self._kept(tenant, job_id).mark

    def write_outcome(self, ended: JobRecord, result_json: bytes) -> JobRecord:
        """Write how a run ended unless that is written already; return what stands.

        The object is the terminal record as one line, then the result as the worker serialised it.

        Raises
        ------
        StorageUnavailable
            If it is not known to be written.
        """
        key = layout.outcome_key(ended.tenant, ended.id, ended.run)
        if self.objects.put_if_absent(key, encode_record(ended) + b"\n" + result_json):
            return ended
        standing = self.outcome(ended.tenant, ended.id, ended.run)
        if standing is None:
            raise StorageUnavailable(f"the store refused {key} as written before, and does not have it")
        return standing

    def outcome(self, tenant: str, job_id: str, run: int) -> JobRecord | None:
        """Return the terminal record that a run ended with, or None if it has not.

        Raises
        ------
        UnreadableObject
            If the object is not what this service writes.
        """
        key = layout.outcome_key(tenant, job_id, run)
        try:
            line, end, _ = self.objects.get(key, first_bytes=_HEAD_BYTES).partition(b"\n")
            return decode_record(line if end else self.objects.get(key).partition(b"\n")[0])
        except ObjectMissing:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error

    def ends(self, tenant: str, job_id: str) -> Iterator[tuple[JobRecord, bytes]]:
        """Yield the terminal record of every run that ended, with its result as the worker serialised it.

        Raises
        ------
        UnreadableObject
            If an object is not what this service writes.
        """
        for found in list(self.objects.list(layout.outcomes_prefix(tenant, job_id))):
            with suppress(ObjectMissing):  # deleted this very moment
                line, _, result_json = self.objects.get(found.key).partition(b"\n")
                try:
                    yield decode_record(line), result_json
                except (ValueError, KeyError, TypeError) as error:
                    raise UnreadableObject(found.key) from error

    def result_json(self, record: JobRecord) -> bytes:
        """Return the result of a job that succeeded, as the worker serialised it; `ObjectMissing` if it is gone."""
        return self.objects.get(layout.outcome_key(record.tenant, record.id, record.run)).split(b"\n", 1)[1]

    def is_uploaded(self, tenant: str, job_id: str) -> bool:
        """Tell whether the photo is there. An empty one is what a store may keep of a writer that was killed."""
        return self._upload(tenant, job_id) is not None

    def _upload(self, tenant: str, job_id: str) -> str | None:
        for found in self.objects.list(layout.upload_key(tenant, job_id)):
            if layout.owner_of(found.key) == (tenant, job_id) and found.size_bytes > 0:
                return found.key
        return None

    def is_deleted(self, tenant: str, job_id: str, batch_id: str | None = None) -> bool:
        """Tell whether the job, or the batch that it is an item of, must stay forgotten."""
        if self.objects.exists(layout.tombstone_key(tenant, job_id)):
            return True
        return batch_id is not None and self.batches.is_deleted(tenant, batch_id)

    def traces(self, tenant: str, job_id: str) -> Traces:
        """Return what the keys say of one job.

        The order of the reads matters: a worker writes the outcome before it deletes the upload, so whoever looks for
        the upload first and for the outcome then sees at least one of them; and in the same way a photo is written
        before its ticket is deleted. The tombstone is the last word.
        """
        ticketed = self.objects.exists(layout.ticket_key(tenant, job_id))
        upload = self._upload(tenant, job_id)
        return Traces(
            tenant,
            job_id,
            uploaded=upload is not None,
            last_outcome=self._last_run(layout.outcomes_prefix(tenant, job_id)),
            last_rerun=self._last_run(layout.reruns_prefix(tenant, job_id)),
            accompanied=self.objects.exists(layout.options_key(tenant, job_id))
            or self.objects.exists(layout.preview_key(tenant, job_id)),
            deleted=self.is_deleted(tenant, job_id),
            batch_id=layout.batch_of_upload(upload) if upload else None,
            ticketed=ticketed,
        )

    def _last_run(self, prefix: str) -> int:
        return max((layout.run_of(found.key) for found in self.objects.list(prefix)), default=0)

    def survey(self) -> Iterator[Traces]:
        """Yield what the keys say of every job, in constant memory.

        Pages of the several listings are of different moments, so what a group lacks may be there all the same: nothing
        is to be deleted by its word alone.
        """
        for tenant in sorted({name for prefix in _OF_JOBS for name in self.objects.folders(prefix)}):
            yield from self._survey_of(tenant)

    def _survey_of(self, tenant: str) -> Iterator[Traces]:
        """Merge sorted listings by owner. Of one tenant alone: stores differ in which of two tenants comes first."""
        listings = [self._owned(prefix, tenant) for prefix in _OF_JOBS]
        for _, group in itertools.groupby(heapq.merge(*listings), key=lambda entry: entry[0]):
            entries = list(group)
            prefixes = {prefix for _, prefix, _ in entries}
            runs = {layout.OUTCOMES: 0, layout.RERUNS: 0}
            batch_id: str | None = None
            for _, prefix, key in entries:
                batch_id = layout.batch_of_upload(key) or batch_id
                if prefix in runs:
                    runs[prefix] = max(runs[prefix], layout.run_of(key))
            yield Traces(
                tenant,
                entries[0][0].split("/")[1],
                uploaded=layout.UPLOADS in prefixes,
                last_outcome=runs[layout.OUTCOMES],
                last_rerun=runs[layout.RERUNS],
                accompanied=not prefixes.isdisjoint({layout.OPTIONS, layout.PREVIEWS, _EMPTY_UPLOAD}),
                deleted=layout.DELETED in prefixes,
                batch_id=batch_id,
                ticketed=layout.TICKETS in prefixes,
            )

    def _owned(self, prefix: str, tenant: str | None = None) -> Iterator[tuple[str, str, str]]:
        """Yield (owner, prefix, key) of every tenant or of one, whose jobs come in the order of their ids."""
        for found in self.objects.list(prefix if tenant is None else f"{prefix}{tenant}/"):
            owner = layout.owner_of(found.key)
            if owner is None and layout.batch_of(found.key):
                continue
            if owner is None:
                logger.warning("left as it is: %r is no key of this service", found.key)
            elif prefix == layout.UPLOADS and found.size_bytes == 0:
                yield "/".join(owner), _EMPTY_UPLOAD, found.key
            else:
                yield "/".join(owner), prefix, found.key

    def owners(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield (tenant, job id) of every key below `prefix`, but for photos of items."""
        for owner, kind, key in self._owned(prefix):
            if kind != _EMPTY_UPLOAD and layout.batch_of_upload(key) is None:
                tenant, job_id = owner.split("/")
                yield tenant, job_id

    def item_uploads(self) -> Iterator[tuple[str, str, str]]:
        """Yield (tenant, job id, batch id) of every photo of an item."""
        for owner, _, key in self._owned(layout.UPLOADS):
            batch_id = layout.batch_of_upload(key)
            if batch_id is not None:
                tenant, job_id = owner.split("/")
                yield tenant, job_id, batch_id

    def restore(self, traces: Traces) -> JobRecord | None:
        """Return a job's record as storage has it, or None if it was never accepted or is deleted.

        An item that has not ended is known from its batch's manifest alone: see `find`.
        """
        if traces.deleted:
            return None
        tenant, job_id = traces.tenant, traces.job_id
        record: JobRecord | None = None
        if traces.last_outcome:
            record = self.outcome(tenant, job_id, traces.last_outcome)
        elif traces.uploaded and traces.batch_id is None:
            record = self._as_accepted(tenant, job_id)
        elif traces.ticketed:
            record = self._awaiting(tenant, job_id)
        if record and traces.uploaded and traces.last_rerun > traces.last_outcome:
            record = record.reopened(traces.last_rerun)
        if record and record.batch_id and self.batches.is_deleted(tenant, record.batch_id):
            return None
        return record

    def _awaiting(self, tenant: str, job_id: str) -> JobRecord | None:
        """Return the record of a job whose photo is to be fetched; None if its ticket is gone."""
        try:
            fetch = self.tickets.fetch_from(tenant, job_id)
        except ObjectMissing:
            return None
        return self._as_accepted(tenant, job_id).awaiting(fetch)

    def _as_accepted(self, tenant: str, job_id: str) -> JobRecord:
        kept = self._kept(tenant, job_id)
        return new_record(
            job_id,
            tenant,
            kept.options,
            retention_s=self._retention_s,
            queue=kept.queue,
            request_id=kept.request_id,
        )

    def find(self, tenant: str, job_id: str) -> JobRecord | None:
        """Return a job's record as storage has it, be it an item or not; None if there is none."""
        traces = self.traces(tenant, job_id)
        record = self.restore(traces)
        if record is None and not traces.deleted and not traces.last_outcome:
            record = self.batches.find_item(tenant, job_id)
            if record and record.batch_id and self.batches.is_deleted(tenant, record.batch_id):
                return None
        return record

    def _kept(self, tenant: str, job_id: str) -> _Kept:
        key = layout.options_key(tenant, job_id)
        try:
            kept = orjson.loads(self.objects.get(key))
            mark = KeyMark.from_kept(tenant, kept["idempotency"]) if "idempotency" in kept else None
            options = JobOptions.model_validate(kept["options"])
            return _Kept(options, QueueName(kept["queue"]), mark, kept.get("request_id"))
        except ObjectMissing:
            return _Kept()
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error

    def purge(self, tenant: str, job_id: str, batch_id: str | None = None) -> None:
        """Delete every object of a job but its tombstone; the photo of an item is found by its batch."""
        self.objects.delete(
            layout.upload_key(tenant, job_id, batch_id),
            layout.ticket_key(tenant, job_id),
            layout.options_key(tenant, job_id),
            layout.preview_key(tenant, job_id),
        )
        for prefix in (layout.outcomes_prefix(tenant, job_id), layout.reruns_prefix(tenant, job_id)):
            for found in list(self.objects.list(prefix)):
                self.objects.delete(found.key)
