"""The life of a job, from bytes to outcome: every order of writes that durability rests on is in this file.

Storage is written before Redis, Redis before the doorbell. Each step can be the last one before the power goes; what
follows then is the reconciler's work. An outcome object is written once for each run: whoever writes it first decides,
and everyone else adopts it, so a slow worker, a cancellation and a second worker can meet without a lock.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from shared.clock import Clock, system_clock, to_ms
from shared.errors import (
    PROCESSING_FAILED,
    AlreadyFinished,
    FetchFailed,
    JobNotFound,
    KeyTaken,
    NotFinished,
    NotTakenBack,
    ObjectMissing,
    QueueUnavailable,
    RecordsRebuilding,
    RecordsSilent,
    Rejected,
    StorageUnavailable,
    Transient,
    UploadGone,
    UploadMissing,
)
from shared.fetches.tickets import FetchFrom, PhotoUrl
from shared.jobs.announcements import Announcer, Silence
from shared.jobs.archive import JobArchive
from shared.jobs.debts import Debts
from shared.jobs.idempotency import KeyMark, confirm_key, leave_key
from shared.jobs.record import JobRecord, new_record
from shared.jobs.store import Claim, ClaimRefusal, Cleanup, JobQuery, JobStore, PlacedJob, Settlement
from shared.names import QueueName, is_job_id, new_job_id
from shared.results import RetakeHint
from shared.schemas import JobError, JobOptions, JobStatus
from shared.storage import layout
from shared.targets import receiver_of

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.queue import Doorbell
    from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

CHUNK: Final = 16
"""Photos that one doorbell of a queue that takes turns stands for: few, so that the next tenant's turn comes soon; many
enough that messages cost little beside them."""
_MESSAGES_AT_MOST: Final = 64
"""Doorbells that wait at the broker for such a queue: more than there are workers to answer them. One that finds more
than it can do rings once more."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo as it arrives: an open file, and its type by its first bytes."""

    body: BinaryIO
    content_type: str


class JobLifecycle:
    """Everything that can happen to a job, for the API, the workers and the upkeep alike."""

    def __init__(
        self,
        store: JobStore,
        objects: ObjectStore,
        doorbell: Doorbell,
        settings: Settings,
        clock: Clock = system_clock,
        announcer: Announcer | None = None,
    ) -> None:
        self.store = store
        self.objects = objects
        self.archive = JobArchive(objects, retention_s=settings.retention_s)
        self.debts = Debts(store, self.archive, announcer or Silence(), settings)
        self.doorbell = doorbell
        self.settings = settings
        self.clock = clock

    # Accepting

    def accept(
        self,
        tenant: str,
        photo: Upload | PhotoUrl,
        options: JobOptions,
        queue: QueueName,
        mark: KeyMark | None = None,
        request_id: str | None = None,
    ) -> JobRecord:
        """Take a photo, or the URL it is to be fetched from. When this returns, the job survives whatever dies next.

        Parameters
        ----------
        mark : KeyMark or None
            The idempotency key that the caller holds for it.
        request_id : str or None
            That of the request, for log lines about the job.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable, KeyTaken
            If the photo was not accepted; nothing of it is left behind that would be measured.
        NotTakenBack
            If the photo was not accepted and may have been left behind: the sweep would find and measure it. The key
            knows of it then, and its next request buries it.
        """
        record = new_record(
            new_job_id(),
            tenant,
            options,
            retention_s=self.settings.retention_s,
            queue=queue,
            request_id=request_id,
        )
        if isinstance(photo, PhotoUrl):
            record = record.awaiting(FetchFrom(receiver_of(photo.url)))
        try:
            self.archive.keep_options(record, mark)
        except Transient:
            self._take_back(record)  # alone they mean nothing, whether that is done or not
            raise
        try:
            self._store(record, photo, mark)
        except (Transient, KeyTaken) as error:
            # The sweep may have come by meanwhile, or Redis have written and not said so: it is accepted then. One that
            # has been silent for seconds is not asked again: whoever sent this is to hear within ten.
            if isinstance(error, KeyTaken | RecordsSilent) or not self._has_record(record.id):
                self._refuse(record, mark, may_land=isinstance(error, StorageUnavailable))
                raise
        self.ring(record)
        return record

    def _store(self, record: JobRecord, photo: Upload | PhotoUrl, mark: KeyMark | None) -> None:
        if isinstance(photo, PhotoUrl):
            self.archive.tickets.keep(record.tenant, record.id, photo)
        else:
            key = layout.upload_key(record.tenant, record.id)
            self.objects.put(key, photo.body, content_type=photo.content_type)
        if mark is not None:
            # Before the record: a photo without one is found by the sweep, which then notes the key too.
            confirm_key(self.store.idempotency, mark, record)
        self.store.create(record)

    def _refuse(self, record: JobRecord, mark: KeyMark | None, *, may_land: bool) -> None:
        """Take back what may be stored, or have the key know of it; raises `NotTakenBack` then."""
        if self._take_back(record, may_land=may_land):
            return
        if mark is not None:
            leave_key(self.store.idempotency, mark, record)
        raise NotTakenBack(record.id)

    def _has_record(self, job_id: str) -> bool:
        with suppress(Transient):
            return self.store.get(job_id) is not None
        return False

    def _take_back(self, record: JobRecord, *, may_land: bool = False) -> bool:
        """Delete what may be stored; tell whether it is known to be gone.

        Parameters
        ----------
        may_land : bool
            Whether a write was given up: a store that stood still may do it after the deletion, though that came later.
        """
        try:
            if may_land:
                self.archive.batches.mark_deleted(record.tenant, record.id, self.clock())
            self.objects.delete(layout.upload_key(record.tenant, record.id))
            self.archive.tickets.delete(record.tenant, record.id)
            self.objects.delete(layout.options_key(record.tenant, record.id))
        except Transient:
            logger.warning("could not take back the upload of %s", record.id)
            return False
        return True

    def ring(self, record: JobRecord) -> None:
        """Ring the doorbell; when that fails the reconciler will. Nothing rings for a photo that is not here yet."""
        if record.status is JobStatus.AWAITING_UPLOAD:
            return
        try:
            if record.queue.takes_turns:
                self.store.offer(record.id)
                self.call_workers(record.queue)
            else:
                self.doorbell.ring(record.queue, record.id)
        except QueueUnavailable:
            logger.warning("the doorbell of %s did not ring; it will be rung again", record.id)

    def call_workers(self, queue: QueueName) -> int:
        """Ring as often as it takes to have everything handed out that waits for its turn; return how often."""
        chunks = math.ceil(self.store.waiting_count(queue) / CHUNK)
        lacking = min(chunks, _MESSAGES_AT_MOST) - self.doorbell.depth(queue) if chunks else 0
        if lacking > 0:
            self.doorbell.call(queue, lacking)
        return max(0, lacking)

    # Reading

    def find(self, tenant: str, job_id: str) -> JobRecord:
        """Return a job, from storage if its record was lost; raise `JobNotFound` if there is none."""
        return self._found(tenant, job_id, self.store.get(job_id) if is_job_id(job_id) else None)

    def find_placed(self, tenant: str, job_id: str) -> PlacedJob:
        """Return a job as `find` does, with its position in the queue."""
        placed = self.store.get_placed(job_id, tenant) if is_job_id(job_id) else None
        record = self._found(tenant, job_id, placed.record if placed else None)
        return placed if placed and record is placed.record else PlacedJob(record)

    def _found(self, tenant: str, job_id: str, record: JobRecord | None) -> JobRecord:
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        if record is not None and record.tenant != tenant:
            record = None  # and the same steps from here on, so that the time they take tells nothing
        if record is None and not self.store.is_rebuilt():
            record = self.archive.find(tenant, job_id)
        if record is None or record.expires_ms <= self.clock():
            raise JobNotFound(job_id)
        return record

    def list_jobs(self, query: JobQuery) -> list[JobRecord]:
        """Return a page of jobs.

        Raises
        ------
        RecordsRebuilding
            While records are being rebuilt, when the list would lack some.
        """
        if not self.store.is_rebuilt():
            message = "the records of jobs are being rebuilt from storage"
            raise RecordsRebuilding(message)
        return self.store.list_jobs(query)

    def result_json(self, record: JobRecord) -> bytes:
        """Return the result of a succeeded job, as the bytes the worker wrote.

        Raises
        ------
        JobNotFound
            If it was deleted meanwhile.
        """
        try:
            return self.archive.result_json(record)
        except ObjectMissing as error:
            raise JobNotFound(record.id) from error

    # Measuring

    def claim(self, job_id: str) -> Claim | None:
        """Take a job to measure it; None when there is nothing to do for this worker."""
        settings = self.settings
        claim = self.store.claim(job_id, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
        if claim is ClaimRefusal.EXHAUSTED:
            self.give_up_if_exhausted(job_id)
        return claim if isinstance(claim, Claim) else None

    def read_upload(self, record: JobRecord) -> bytes | None:
        """Return the photo, or None when there is nothing to measure any more (and the record is set right)."""
        with suppress(ObjectMissing):
            if data := self.objects.get(layout.upload_key(record.tenant, record.id, record.batch_id)):
                return data
        if self.adopt(record):
            return None
        if record.batch_id is not None:
            # Its manifest promised it, so somebody may wait for it.
            self.end_as_missing(record)
        else:
            # Refused with a 503 after a frozen Redis had taken the record, or deleted: nobody waits for it.
            logger.warning("dropping %s: it has a record but no photo", record.id)
            self.store.drop(record.id, record.tenant)
        return None

    def peek_upload(self, job_id: str) -> bytes | None:
        """Return the photo of a job that is not claimed yet, so that it is at hand then; None if it is not there.

        Nothing follows from it: what is true of the job, and whether it may be measured, its claim tells.
        """
        record = self.store.get(job_id)
        if record is None or record.status is not JobStatus.QUEUED:
            return None
        with suppress(ObjectMissing):
            return self.objects.get(layout.upload_key(record.tenant, record.id, record.batch_id))
        return None

    def end_as_missing(self, record: JobRecord) -> None:
        """End an item whose photo is not there as the photo's fault."""
        if record.fetch is None:
            self.reject(record, UploadMissing("The photo of this item did not come."))
        else:
            self.reject(
                record, FetchFailed("The photo of this item could not be fetched in the time there was for it.")
            )

    def reject(self, record: JobRecord, rejection: Rejected) -> JobRecord:
        """End a job as its photo's fault before anything was measured; returns and raises as `finish` does."""
        hint = RetakeHint(code=rejection.code, message=rejection.retake)
        error = JobError(code=rejection.code, message=rejection.message, retake=[hint])
        return self.finish(record.ended(JobStatus.REJECTED, at_ms=self.clock(), error=error))

    def finish(self, ended: JobRecord, result_json: bytes = b"") -> JobRecord:
        """Write how a run ended, once for all, and end the record so. Returns what was written first.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If it is not known to be written; the lease brings the job back.
        """
        ended = self.decide(ended, result_json)
        self.settle(ended)
        return ended

    def decide(self, ended: JobRecord, result_json: bytes = b"") -> JobRecord:
        """Take the first of the two steps of `finish`: write how a run ended. Returns what was written first.

        From then on it cannot end otherwise, whatever becomes of who wrote it; `settle` is to follow.

        Raises
        ------
        StorageUnavailable
            If it is not known to be written; the lease brings the job back.
        """
        if ended.options.measure_and_delete:
            ended = ended.ending_soon(self.clock() + to_ms(self.settings.measure_and_delete_after_s))
        return self.archive.write_outcome(ended, result_json)

    def adopt(self, record: JobRecord) -> bool:
        """End a record by the outcome that storage holds of its run; False if there is none."""
        ended = self.archive.outcome(record.tenant, record.id, record.run)
        if ended is None:
            return False
        self.settle(ended)
        return True

    def settle(self, ended: JobRecord, put_off: list[Cleanup] | None = None) -> None:
        """Take the second step of `finish`: end the record as storage says, and pay what that brings about.

        Parameters
        ----------
        ended : JobRecord
            As `decide` returned it.
        put_off : list of Cleanup or None
            Where the deletion of its photo is put; see `Debts.pay`.

        Raises
        ------
        RecordsUnavailable
            If it is not known to be ended; the lease brings the job back.
        """
        settlement = self.store.settle(ended)
        if settlement in {Settlement.SETTLED, Settlement.LAST}:
            self.debts.pay(ended, settlement, put_off)
        elif settlement is Settlement.ABSENT and self.archive.is_deleted(ended.tenant, ended.id, ended.batch_id):
            self.debts.purge(ended.tenant, ended.id, ended.batch_id)

    def give_up_if_exhausted(self, job_id: str) -> bool:
        """End a job as failed that nobody holds and that has no attempt left; tell whether it was so.

        An outcome that was written for this run meanwhile stands.
        """
        record = self.store.exhausted(job_id, max_attempts=self.settings.max_attempts)
        if record is None:
            return False
        if not self.adopt(record):
            message = f"The service could not finish this photo in {record.attempts} attempts; it can be retried."
            error = JobError(code=PROCESSING_FAILED, message=message)
            self.finish(record.ended(JobStatus.FAILED, at_ms=self.clock(), error=error))
        return True

    def give_back(self, claim: Claim, *, retry_after_s: float, charge: bool) -> None:
        """Queue a job again that could not be measured; `charge` it the attempt unless a dependency was at fault.

        Nothing happens when the claim is no longer valid: the job is somebody else's then, or in another run.
        """
        if self.store.release(claim, retry_after_s=retry_after_s, charge=charge):
            self.give_up_if_exhausted(claim.record.id)

    # What a client may do to a job

    def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """End a job that has not ended; raise `AlreadyFinished` if it has, or `JobNotFound`."""
        record = self.find(tenant, job_id)
        if not record.status.is_terminal:
            ended = self.finish(record.ended(JobStatus.CANCELLED, at_ms=self.clock()))
            if ended.status is JobStatus.CANCELLED:
                return self.find(tenant, job_id)
        raise AlreadyFinished(job_id)

    def retry(self, tenant: str, job_id: str) -> JobRecord:
        """Open a failed job for another run, with its attempts anew.

        Raises
        ------
        JobNotFound, NotFinished, AlreadyFinished, UploadGone
        """
        record = self.find(tenant, job_id)
        if not record.status.is_terminal:
            raise NotFinished(job_id)
        if record.status is not JobStatus.FAILED:
            raise AlreadyFinished(job_id)
        if not (record.needs_upload and self.archive.is_uploaded(tenant, job_id)):  # it may be about to be deleted
            raise UploadGone(job_id)
        run = record.run + 1
        self.objects.put_if_absent(layout.rerun_key(tenant, job_id, run), b"")
        self.store.create(record, restored=True)  # one that was lost and not rebuilt yet
        self.store.reopen(job_id, run=run)
        # A DELETE writes the tombstone and then drops the record: one of the two sees the other.
        if self.archive.is_deleted(tenant, job_id, record.batch_id):
            self.forget(tenant, job_id, record.batch_id)
        reopened = self.find(tenant, job_id)
        self.ring(reopened)
        return reopened

    def delete(self, tenant: str, job_id: str) -> None:
        """Forget a job for good: unreadable when this returns. Raises `JobNotFound`."""
        record = self.find(tenant, job_id)
        self.archive.batches.mark_deleted(tenant, job_id, self.clock())
        self.forget(tenant, job_id, record.batch_id)

    def bury(self, tenant: str, job_id: str) -> None:
        """Have what was refused and may be stored all the same never be a job: it is deleted whenever it shows."""
        self.archive.batches.mark_deleted(tenant, job_id, self.clock())
        self.forget(tenant, job_id)

    def expire(self, record: JobRecord) -> None:
        """Forget a job whose time is over; one that nobody was to keep as if its client had deleted it."""
        if record.options.measure_and_delete:
            self.archive.batches.mark_deleted(record.tenant, record.id, self.clock())
        self.forget(record.tenant, record.id, record.batch_id)

    def was_read(self, records: Sequence[JobRecord]) -> None:
        """Delete those of some jobs, soon, whose result was to be read once; nobody finds them from now on."""
        read = [record.id for record in records if record.options.measure_and_delete]
        self.store.cut_short(read, expires_ms=self.clock())

    def forget(self, tenant: str, job_id: str, batch_id: str | None = None) -> None:
        """Drop the record of a job and delete its objects.

        The debt is not noted as paid: the upkeep pays it once more when every lease has run out, in case a worker
        wrote its outcome after this and was killed before it saw that nobody wants it.
        """
        self.store.drop(job_id, tenant, batch_id)
        try:
            self.debts.purge(tenant, job_id, batch_id)
        except Transient as error:
            logger.warning("purging %s is put off: %s", job_id, error)
