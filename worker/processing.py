"""One job from claim to outcome."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import zip_longest
from typing import Final

import orjson

from shared.clock import MS_PER_S, Clock, system_clock, to_ms
from shared.config import Settings
from shared.errors import Rejected, RequirementNotMet, Transient, UnreadableObject
from shared.jobs.lifecycle import CHUNK, JobLifecycle
from shared.jobs.record import JobRecord
from shared.jobs.store import Claim, Cleanup
from shared.metrics import STAGE_S
from shared.names import QueueName
from shared.observability import about
from shared.results import RetakeHint
from shared.schemas import JobError, JobStatus
from shared.storage import layout
from shared.telemetry.meter import Meter
from worker.beside import Beside
from worker.memory_limit import MemoryLimit
from worker.photo_limits import limits_of
from worker.pipeline import FaceFinder, Measured, Timings, measure_photo
from worker.time_limit import process_ends_after
from worker.vision.preview import encode_preview

logger = logging.getLogger(__name__)

_DEPENDENCY_PAUSE_S: Final = 5.0
"""How long a job waits after a dependency was away."""
_BUG_PAUSE_S: Final = 1.0
"""How long a job waits after an attempt at it went wrong."""


class PhotoProcessor:
    """What a worker process does with a doorbell's id."""

    def __init__(
        self,
        jobs: JobLifecycle,
        finder: FaceFinder,
        settings: Settings,
        clock: Clock = system_clock,
        memory: MemoryLimit | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._jobs = jobs
        self._finder = finder
        self._clock = clock
        self._memory = memory or MemoryLimit(0)
        self._meter = meter or Meter()
        self._grace_s = settings.doorbell_grace_s
        self._time_limit_s = settings.photo_time_limit_s
        self._limits = limits_of(settings)

    def process_next(self, queue: QueueName) -> None:
        """Measure the next photos of a queue that takes turns, one after the other, then ring if any are left.

        Each is claimed just before it is measured, so that a process that dies is charged with one, though its bytes
        may have been read before. How it ended is in storage before the next is begun, so that none pays for what its
        successor does to the process. Those that are not begun when they are handed out again are somebody else's.

        Raises
        ------
        Transient
            If Redis is away; the reconciler rings again.
        """
        until_ms = self._clock() + to_ms(self._grace_s)
        job_ids = self._jobs.store.take(queue, CHUNK, grace_s=self._grace_s)
        with Beside(self._jobs) as beside:
            for job_id, following in zip_longest(job_ids, job_ids[1:]):
                if self._clock() >= until_ms or not self._memory.has_room():
                    break
                try:
                    self.process(job_id, beside, following)
                except UnreadableObject:
                    logger.exception("left to the upkeep: %s", job_id)  # and its neighbours do not pay for it
        if self._jobs.store.waiting_count(queue):
            self._jobs.doorbell.call(queue, 1)

    def process(self, job_id: str, beside: Beside | None = None, following: str | None = None) -> None:
        """Measure one job, if it is there to be measured.

        Parameters
        ----------
        job_id : str
            The job.
        beside : Beside or None
            Where the next photo is read and this one's record ended meanwhile; None does all in turn.
        following : str or None
            The job that is next.

        Raises
        ------
        Transient
            If the job could not even be claimed; the reconciler rings again.
        UnreadableObject
            If its record or its outcome cannot be read.
        """
        claim = self._jobs.claim(job_id)
        if claim is None:
            return
        record = claim.record
        with about(**record.log_context, attempt=record.attempts):
            self._attempt(claim, beside, following)

    def _attempt(self, claim: Claim, beside: Beside | None, following: str | None) -> None:
        with self._walls(claim):
            data = self._photo(claim.record, beside)
            if beside and following:
                beside.fetch(following)
            if data is None:
                return
            ended = self._measure(claim.record, data)
            if beside:
                beside.end(partial(self._end, claim, ended, beside.put_off))
            else:
                self._end(claim, ended)

    @contextmanager
    def _walls(self, claim: Claim) -> Iterator[None]:
        """Give a job back when an attempt at it goes wrong; nothing that it raises gets past."""
        job_id = claim.record.id
        try:
            yield
        except Transient as error:
            logger.warning("%s is put off: %s", job_id, error)
            self._meter.trouble(error)
            self._give_back(claim, _DEPENDENCY_PAUSE_S, charge=False)
        except MemoryError:
            logger.exception("attempt %d at %s ran out of memory", claim.record.attempts, job_id)
            self._memory.note_shortage()
            self._give_back(claim, _BUG_PAUSE_S, charge=True)
        except Exception:  # the task is one of the two outer walls
            logger.exception("attempt %d at %s went wrong", claim.record.attempts, job_id)
            self._give_back(claim, _BUG_PAUSE_S, charge=True)

    def _give_back(self, claim: Claim, retry_after_s: float, *, charge: bool) -> None:
        try:
            self._jobs.give_back(claim, retry_after_s=retry_after_s, charge=charge)
        except (Transient, UnreadableObject) as error:
            logger.warning("the lease must bring %s back: %s", claim.record.id, error)

    def _photo(self, record: JobRecord, beside: Beside | None) -> bytes | None:
        with self._stage(record, "fetch"):
            return (beside and beside.fetched(record.id)) or self._jobs.read_upload(record)

    def _measure(self, record: JobRecord, data: bytes) -> JobRecord:
        """Measure a photo and write how it ended; its record is still to be told."""
        timings = Timings()
        try:
            with process_ends_after(self._time_limit_s):
                measured = measure_photo(data, record.options, self._finder, self._limits, timings)
                preview = encode_preview(measured.photo) if record.options.keep_image else None
        except Rejected as rejection:
            with self._stage(record, "store"):
                return self._jobs.decide(self._rejected(record, rejection))
        else:
            with self._stage(record, "store"):
                return self._succeed(record, measured, preview)
        finally:
            for stage, took_ms in timings.ms.items():
                self._meter.observe(STAGE_S, took_ms / MS_PER_S, record.queue, stage)

    def _end(self, claim: Claim, ended: JobRecord, put_off: list[Cleanup] | None = None) -> None:
        with self._walls(claim):
            with self._stage(claim.record, "settle"):
                self._jobs.settle(ended, put_off)
            logger.info("%s ended: %s", ended.id, ended.error.code if ended.error else ended.status)

    def _stage(self, record: JobRecord, name: str) -> AbstractContextManager[None]:
        return self._meter.timed(STAGE_S, record.queue, name)

    def _succeed(self, record: JobRecord, measured: Measured, preview: bytes | None) -> JobRecord:
        key = layout.preview_key(record.tenant, record.id)
        if preview is not None:
            self._jobs.objects.put(key, preview, content_type="image/jpeg")
        succeeded = record.ended(JobStatus.SUCCEEDED, at_ms=self._clock())
        ended = self._jobs.decide(succeeded, orjson.dumps(measured.result))
        if preview is not None and ended.status is not JobStatus.SUCCEEDED and not self._is_run_again(record):
            self._jobs.objects.delete(key)  # cancelled meanwhile
        return ended

    def _is_run_again(self, record: JobRecord) -> bool:
        """Tell whether a job is in a later run, to which the small copy belongs by now: it is of the same photo."""
        current = self._jobs.store.get(record.id)
        return current is not None and current.run > record.run

    def _rejected(self, record: JobRecord, rejection: Rejected) -> JobRecord:
        hints = [RetakeHint(code=rejection.code, message=rejection.retake)]
        if isinstance(rejection, RequirementNotMet) and rejection.hints:
            hints = [RetakeHint(code=code, message=message) for code, message in rejection.hints]
        error = JobError(code=rejection.code, message=rejection.message, retake=hints)
        return record.ended(JobStatus.REJECTED, at_ms=self._clock(), error=error)
