"""Job records in memory, for tests and trials; they keep the same contract as those in Redis."""

from __future__ import annotations

import queue as stdlib_queue
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from shared.clock import Clock, system_clock, to_ms
from shared.errors import RecordsUnavailable
from shared.jobs.record import JobRecord
from shared.jobs.store import Claim, ClaimRefusal, Cleanup, CleanupKind, JobQuery, Settlement
from shared.names import QueueName
from shared.schemas import JobStatus

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(slots=True)
class _Entry:
    record: JobRecord
    queued_ms: int = 0
    doorbell_due_ms: int = 0
    token: str | None = None
    lease_until_ms: int = 0
    lease_look_ms: int = 0


@dataclass(slots=True)
class _State:
    jobs: dict[str, _Entry] = field(default_factory=dict)
    cleanups: dict[Cleanup, int] = field(default_factory=dict)
    beats: dict[tuple[QueueName, str, int], int] = field(default_factory=dict)
    rebuilding: set[str] = field(default_factory=set)
    rebuilt: bool = False


class MemoryFinishedFeed:
    """The ids of jobs as they end, from the store in memory."""

    def __init__(self, feeds: list[stdlib_queue.SimpleQueue[str]]) -> None:
        self._feeds = feeds
        self._queue: stdlib_queue.SimpleQueue[str] = stdlib_queue.SimpleQueue()
        feeds.append(self._queue)

    def next(self, timeout_s: float) -> str | None:
        """Return the next id, or None when none came in time."""
        try:
            return self._queue.get(timeout=timeout_s)
        except stdlib_queue.Empty:
            return None

    def close(self) -> None:
        """Stop listening."""
        if self._queue in self._feeds:
            self._feeds.remove(self._queue)


def _atomic(
    method: Callable[Concatenate[MemoryJobStore, _P], _R],
) -> Callable[Concatenate[MemoryJobStore, _P], _R]:
    @wraps(method)
    def locked(self: MemoryJobStore, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        self.check()
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


class MemoryJobStore:
    """The records of jobs in this process; see `JobStore` for what each method does.

    Attributes
    ----------
    away : bool
        Set to make every call raise `RecordsUnavailable`, as a stopped Redis would.
    """

    def __init__(self, clock: Clock = system_clock, *, grace_s: float = 10.0) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._state = _State()
        self._feeds: list[stdlib_queue.SimpleQueue[str]] = []
        self._lock = threading.RLock()
        self.away = False

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def _wake(self, job_id: str) -> None:
        for feed in self._feeds:
            feed.put(job_id)

    def _enqueue(self, entry: _Entry, *, due_ms: int) -> None:
        entry.queued_ms = self._clock()
        entry.doorbell_due_ms = due_ms

    def _waiting(self, queue: QueueName) -> list[_Entry]:
        return [
            entry
            for entry in self._state.jobs.values()
            if entry.record.queue is queue and entry.record.status is JobStatus.QUEUED
        ]

    @_atomic
    def create(self, record: JobRecord) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        if record.id in self._state.jobs:
            return False
        entry = self._state.jobs[record.id] = _Entry(record)
        if record.status is JobStatus.QUEUED:
            self._enqueue(entry, due_ms=self._in(self._grace_s))
        else:
            self._wake(record.id)
        return True

    @_atomic
    def get(self, job_id: str) -> JobRecord | None:
        """Return a record, or None."""
        entry = self._state.jobs.get(job_id)
        return entry.record if entry else None

    @_atomic
    def claim(self, job_id: str, *, lease_s: float, max_attempts: int) -> Claim | ClaimRefusal:
        """Give a queued job, or one whose lease ran out, to the caller."""
        entry = self._state.jobs.get(job_id)
        if entry is None:
            return ClaimRefusal.ABSENT
        record, now = entry.record, self._clock()
        ran_out = record.status is JobStatus.RUNNING and entry.lease_until_ms <= now
        if record.status is not JobStatus.QUEUED and not ran_out:
            return ClaimRefusal.BUSY
        if record.attempts >= max_attempts:
            return ClaimRefusal.EXHAUSTED
        started_ms = now if record.started_ms is None else record.started_ms
        entry.record = replace(record, status=JobStatus.RUNNING, attempts=record.attempts + 1, started_ms=started_ms)
        entry.token = secrets.token_hex(16)
        entry.lease_until_ms = entry.lease_look_ms = self._in(lease_s)
        return Claim(entry.record, entry.token)

    @_atomic
    def release(self, claim: Claim, *, retry_after_s: float, charge: bool) -> bool:
        """Take a claim back; the job is due again after a pause."""
        entry = self._state.jobs.get(claim.record.id)
        if entry is None or entry.record.status is not JobStatus.RUNNING or entry.token != claim.token:
            return False
        attempts = entry.record.attempts - (0 if charge else 1)
        entry.record = replace(entry.record, status=JobStatus.QUEUED, attempts=attempts)
        self._enqueue(entry, due_ms=self._in(retry_after_s))
        return True

    @_atomic
    def exhausted(self, job_id: str, *, max_attempts: int) -> JobRecord | None:
        """Return the record if nobody holds the job and no attempt is left."""
        entry = self._state.jobs.get(job_id)
        if entry is None or entry.record.status.is_terminal or entry.record.attempts < max_attempts:
            return None
        held = entry.record.status is JobStatus.RUNNING and entry.lease_until_ms > self._clock()
        return None if held else entry.record

    @_atomic
    def settle(self, ended: JobRecord) -> Settlement:
        """End the job as the first outcome of this run says."""
        entry = self._state.jobs.get(ended.id)
        if entry is None:
            return Settlement.ABSENT
        if entry.record.run > ended.run:
            return Settlement.SUPERSEDED
        if entry.record.run == ended.run and entry.record.status.is_terminal:
            return Settlement.ALREADY
        entry.record = replace(
            entry.record,
            status=ended.status,
            run=ended.run,
            attempts=ended.attempts,
            started_ms=entry.record.started_ms if ended.started_ms is None else ended.started_ms,
            finished_ms=ended.finished_ms,
            error=ended.error,
        )
        if not ended.needs_upload:
            self._state.cleanups[Cleanup(CleanupKind.UPLOAD, entry.record.tenant, ended.id)] = self._clock()
        self._wake(ended.id)
        return Settlement.SETTLED

    @_atomic
    def reopen(self, job_id: str, *, run: int) -> bool:
        """Queue a failed job again as `run`."""
        entry = self._state.jobs.get(job_id)
        if entry is None or entry.record.status is not JobStatus.FAILED or entry.record.run >= run:
            return False
        entry.record = entry.record.reopened(run)
        self._enqueue(entry, due_ms=self._in(self._grace_s))
        return True

    @_atomic
    def drop(self, job_id: str, tenant: str) -> None:
        """Forget a record and note that its objects are to go."""
        self._state.cleanups[Cleanup(CleanupKind.EVERYTHING, tenant, job_id)] = self._clock()
        self._state.jobs.pop(job_id, None)
        self._wake(job_id)

    @_atomic
    def missing(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that have no record."""
        return [job_id for job_id in job_ids if job_id not in self._state.jobs]

    @_atomic
    def list_jobs(self, query: JobQuery) -> list[JobRecord]:
        """Return up to `query.limit` jobs, newest first."""
        records = sorted((entry.record for entry in self._state.jobs.values()), key=lambda r: r.id, reverse=True)
        return [
            record
            for record in records
            if record.tenant == query.tenant
            and query.status in {None, record.status}
            and query.reference in {None, record.options.reference}
            and (query.before_id is None or record.id < query.before_id)
        ][: query.limit]

    @_atomic
    def queue_position(self, record: JobRecord) -> int | None:
        """Return how far from being measured a queued job is, 1 being next."""
        waiting = sorted(self._waiting(record.queue), key=lambda entry: (entry.queued_ms, entry.record.id))
        return next((n for n, entry in enumerate(waiting, start=1) if entry.record.id == record.id), None)

    def finished_feed(self) -> MemoryFinishedFeed:
        """Start to listen for jobs that end."""
        self.check()
        return MemoryFinishedFeed(self._feeds)

    @_atomic
    def queued_count(self, queue: QueueName) -> int:
        """Return how many jobs wait in a queue."""
        return len(self._waiting(queue))

    @_atomic
    def due_doorbells(self, queue: QueueName, limit: int) -> list[str]:
        """Return queued jobs whose doorbell should be rung now."""
        due = [entry for entry in self._waiting(queue) if entry.doorbell_due_ms <= self._clock()]
        due.sort(key=lambda entry: (entry.doorbell_due_ms, entry.record.id))
        return [entry.record.id for entry in due[:limit]]

    @_atomic
    def rung(self, queue: QueueName, job_ids: Sequence[str], *, grace_s: float) -> None:
        """Note that doorbells were rung."""
        for entry in self._waiting(queue):
            if entry.record.id in job_ids:
                entry.doorbell_due_ms = self._in(grace_s)

    @_atomic
    def expired_leases(self, limit: int, *, grace_s: float) -> list[str]:
        """Return running jobs whose lease ran out, each once in `grace_s`."""
        entries = [e for e in self._state.jobs.values() if e.record.status is JobStatus.RUNNING]
        found = sorted(
            (e for e in entries if e.lease_look_ms <= self._clock()),
            key=lambda e: (e.lease_look_ms, e.record.id),
        )[:limit]
        for entry in found:
            entry.lease_look_ms = self._in(grace_s)
        return [entry.record.id for entry in found]

    @_atomic
    def expired_jobs(self, limit: int) -> list[str]:
        """Return jobs past their time of being kept."""
        due = [e.record for e in self._state.jobs.values() if e.record.expires_ms <= self._clock()]
        return [record.id for record in sorted(due, key=lambda r: (r.expires_ms, r.id))[:limit]]

    @_atomic
    def due_cleanups(self, limit: int, *, grace_s: float) -> list[Cleanup]:
        """Return debts to storage that are older than `grace_s`."""
        until = self._in(-grace_s)
        return [cleanup for cleanup, made_ms in self._state.cleanups.items() if made_ms <= until][:limit]

    @_atomic
    def cleaned(self, cleanup: Cleanup) -> None:
        """Note that a debt to storage is paid."""
        self._state.cleanups.pop(cleanup, None)

    @_atomic
    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete."""
        return self._state.rebuilt

    @_atomic
    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        token = secrets.token_hex(8)
        self._state.rebuilding.add(token)
        return token

    @_atomic
    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete, unless they were lost since `token` was given."""
        if token not in self._state.rebuilding:
            return False
        self._state.rebuilding.remove(token)
        self._state.rebuilt = True
        return True

    @_atomic
    def beat(self, host: str, process_id: int, queues: Sequence[QueueName], *, valid_s: float) -> None:
        """Note that a worker process is ready to measure what comes in some queues."""
        for queue in queues:
            self._state.beats[queue, host, process_id] = self._in(valid_s)

    @_atomic
    def live_workers(self, queue: QueueName, *, host: str | None = None) -> int:
        """Return how many worker processes, of all hosts or of one, said lately that they watch a queue."""
        alive = [(watched, where) for (watched, where, _), until in self._state.beats.items() if until >= self._clock()]
        return sum(watched is queue and host in {None, where} for watched, where in alive)

    def forget_everything(self) -> None:
        """Lose all records, as a flushed Redis does."""
        with self._lock:
            self._state = _State()

    def check(self) -> None:
        """Return if the store is not set to be away."""
        if self.away:
            message = "the store in memory is set to be away"
            raise RecordsUnavailable(message)
