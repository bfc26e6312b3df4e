"""Job records in memory, for tests and trials; they keep the same contract as those in Redis."""

from __future__ import annotations

import queue as stdlib_queue
import secrets
from collections.abc import Sequence
from dataclasses import replace

from shared.admission.memory_store import MemoryAdmissionStore
from shared.clock import Clock, system_clock
from shared.fetches.memory_store import MemoryFetchStore
from shared.jobs.announcements import Announcement
from shared.jobs.memory_batches import MemoryBatchStore
from shared.jobs.memory_idempotency import MemoryIdempotencyIndex
from shared.jobs.memory_state import Entry, MemoryState, Records, atomic
from shared.jobs.record import JobRecord
from shared.jobs.store import Claim, ClaimRefusal, Cleanup, CleanupKind, JobQuery, PlacedJob, Settlement
from shared.metrics import ATTEMPTS, LEASES_LOST, PUT_OFF, REOPENED
from shared.names import QueueName
from shared.schemas import JobStatus
from shared.telemetry.memory_store import MemoryMetricStore


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


class MemoryJobStore:
    """The records of jobs in this process; see `JobStore` for what each method does.

    Attributes
    ----------
    away : bool
        Set to make every call raise `RecordsUnavailable`, as a stopped Redis would.
    """

    def __init__(self, clock: Clock = system_clock, *, grace_s: float = 10.0) -> None:
        self._state = MemoryState(clock, grace_s=grace_s)
        self._lineage = secrets.token_hex(8)
        self._batches = MemoryBatchStore(self._state)
        self._fetches = MemoryFetchStore(self._state)
        self._idempotency = MemoryIdempotencyIndex(self._state)
        self._admissions = MemoryAdmissionStore(self._state)
        self._metrics = MemoryMetricStore(self._state)

    @property
    def batches(self) -> MemoryBatchStore:
        """The records of batches."""
        return self._batches

    @property
    def fetches(self) -> MemoryFetchStore:
        """The photos that are to be fetched."""
        return self._fetches

    @property
    def idempotency(self) -> MemoryIdempotencyIndex:
        """The index of idempotency keys."""
        return self._idempotency

    @property
    def admissions(self) -> MemoryAdmissionStore:
        """What tenants have taken of their limits."""
        return self._admissions

    @property
    def metrics(self) -> MemoryMetricStore:
        """Amounts and signs of life."""
        return self._metrics

    @property
    def away(self) -> bool:
        """Whether every call raises `RecordsUnavailable`, as with a stopped Redis."""
        return self._state.away

    @away.setter
    def away(self, away: bool) -> None:
        self._state.away = away

    def _waiting(self, queue: QueueName) -> list[Entry]:
        return [
            entry
            for entry in self._state.records.jobs.values()
            if entry.record.queue is queue and entry.record.status is JobStatus.QUEUED
        ]

    @atomic
    def create(self, record: JobRecord, *, restored: bool = False) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        return self._state.create(record, restored=restored)

    @atomic
    def get(self, job_id: str) -> JobRecord | None:
        """Return a record, or None."""
        entry = self._state.records.jobs.get(job_id)
        return entry.record if entry else None

    @atomic
    def get_placed(self, job_id: str, tenant: str) -> PlacedJob | None:
        """Return a record with its position, or None."""
        record = self.get(job_id)
        if record is None:
            return None
        is_told = record.status is JobStatus.QUEUED and record.tenant == tenant
        return PlacedJob(record, self.queue_position(record) if is_told else None)

    @atomic
    def claim(self, job_id: str, *, lease_s: float, max_attempts: int) -> Claim | ClaimRefusal:
        """Give a queued job, or one whose lease ran out, to the caller."""
        entry = self._state.records.jobs.get(job_id)
        if entry is None:
            return ClaimRefusal.ABSENT
        record, now = entry.record, self._state.clock()
        ran_out = record.status is JobStatus.RUNNING and entry.lease_until_ms <= now
        if record.status is not JobStatus.QUEUED and not ran_out:
            return ClaimRefusal.BUSY
        batch = self._state.records.batches.get(record.batch_id or "")
        if batch is not None and batch.cancelled_ms is not None:
            return ClaimRefusal.BUSY
        if record.attempts >= max_attempts:
            return ClaimRefusal.EXHAUSTED
        started_ms = now if record.started_ms is None else record.started_ms
        attempts = record.attempts + 1
        self._state.move(entry, replace(record, status=JobStatus.RUNNING, attempts=attempts, started_ms=started_ms))
        self._state.tally(ATTEMPTS, record.queue, "first" if attempts == 1 else "again")
        if ran_out:
            self._state.tally(LEASES_LOST, record.queue)
        entry.token = secrets.token_hex(16)
        entry.lease_until_ms = entry.lease_look_ms = self._state.after(lease_s)
        return Claim(entry.record, entry.token)

    @atomic
    def release(self, claim: Claim, *, retry_after_s: float, charge: bool) -> bool:
        """Take a claim back; the job is due again after a pause."""
        entry = self._state.records.jobs.get(claim.record.id)
        if entry is None or entry.record.status is not JobStatus.RUNNING or entry.token != claim.token:
            return False
        attempts = entry.record.attempts - (0 if charge else 1)
        self._state.move(entry, replace(entry.record, status=JobStatus.QUEUED, attempts=attempts))
        self._state.tally(PUT_OFF, entry.record.queue, "fault" if charge else "dependency")
        self._state.put_off(entry, retry_after_s)
        return True

    @atomic
    def exhausted(self, job_id: str, *, max_attempts: int) -> JobRecord | None:
        """Return the record if nobody holds the job and no attempt is left."""
        entry = self._state.records.jobs.get(job_id)
        if entry is None or entry.record.status.is_terminal or entry.record.attempts < max_attempts:
            return None
        held = entry.record.status is JobStatus.RUNNING and entry.lease_until_ms > self._state.clock()
        return None if held else entry.record

    @atomic
    def settle(self, ended: JobRecord) -> Settlement:
        """End the job as the first outcome of this run says."""
        entry = self._state.records.jobs.get(ended.id)
        if entry is None:
            return Settlement.ABSENT
        if entry.record.run > ended.run:
            return Settlement.SUPERSEDED
        if entry.record.run == ended.run and entry.record.status.is_terminal:
            return Settlement.ALREADY
        settled = replace(
            entry.record,
            status=ended.status,
            run=ended.run,
            attempts=ended.attempts,
            started_ms=entry.record.started_ms if ended.started_ms is None else ended.started_ms,
            finished_ms=ended.finished_ms,
            error=ended.error,
            expires_ms=ended.expires_ms,
        )
        self._state.move(entry, settled)
        if not ended.needs_upload:
            debt = Cleanup(CleanupKind.UPLOAD, settled.tenant, settled.id, settled.batch_id)
            self._state.records.cleanups[debt] = self._state.clock()
        self._state.tally_end(settled)
        if settled.status is JobStatus.SUCCEEDED and settled.finished_ms is not None:
            measured_ms = self._state.records.measured_ms
            measured_ms[settled.queue] = max(measured_ms.get(settled.queue, 0), settled.finished_ms)
        self._state.announce(settled)
        self._state.wake(ended.id)
        return Settlement.LAST if self._state.note_end(settled) else Settlement.SETTLED

    @atomic
    def reopen(self, job_id: str, *, run: int) -> bool:
        """Queue a failed job again as `run`."""
        entry = self._state.records.jobs.get(job_id)
        if entry is None or entry.record.status is not JobStatus.FAILED or entry.record.run >= run:
            return False
        self._state.move(entry, entry.record.reopened(run))
        self._state.tally(REOPENED, entry.record.queue)
        self._state.line_up(entry)
        return True

    @atomic
    def drop(self, job_id: str, tenant: str, batch_id: str | None = None) -> None:
        """Forget a record and note that its objects are to go."""
        entry = self._state.records.jobs.get(job_id)
        debt = Cleanup(CleanupKind.EVERYTHING, tenant, job_id, entry.record.batch_id if entry else batch_id)
        self._state.records.cleanups[debt] = self._state.clock()
        self._state.forget(job_id)
        self._state.forget_key(job_id)
        self._state.wake(job_id)

    @atomic
    def missing(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that have no record."""
        return [job_id for job_id in job_ids if job_id not in self._state.records.jobs]

    @atomic
    def list_jobs(self, query: JobQuery) -> list[JobRecord]:
        """Return up to `query.limit` jobs, newest first."""
        first, last = query.made_between
        records = sorted(
            (entry.record for entry in self._state.records.jobs.values()), key=lambda r: r.id, reverse=True
        )
        return [
            record
            for record in records
            if record.tenant == query.tenant
            and query.admits(record)
            and all(bound is None or record.id < bound for bound in (query.before_id, last))
            and (first is None or record.id >= first)
        ][: query.limit]

    @atomic
    def queue_position(self, record: JobRecord) -> int | None:
        """Return how far from being measured a queued job is, 1 being next."""
        if record.queue.takes_turns:
            before = self._state.records.turns[record.queue].before(record.id, record.tenant)
            return None if before is None else before + 1
        waiting = sorted(self._waiting(record.queue), key=lambda entry: (entry.queued_ms, entry.record.id))
        return next((n for n, entry in enumerate(waiting, start=1) if entry.record.id == record.id), None)

    def finished_feed(self) -> MemoryFinishedFeed:
        """Start to listen for jobs that end."""
        self._state.check()
        return MemoryFinishedFeed(self._state.feeds)

    @atomic
    def take(self, queue: QueueName, limit: int, *, grace_s: float) -> list[str]:
        """Hand out the next jobs of a queue that takes turns, one of each tenant in turn."""
        turns = self._state.records.turns[queue]
        return turns.take(limit, self._state.clock(), self._state.after(grace_s), self._tenant_of)

    def _tenant_of(self, job_id: str) -> str | None:
        entry = self._state.records.jobs.get(job_id)
        return entry.record.tenant if entry else None

    @atomic
    def waiting_count(self, queue: QueueName) -> int:
        """Return how many jobs of a queue that takes turns could be handed out now."""
        turns = self._state.records.turns[queue]
        return turns.in_turn() + turns.overdue(self._state.clock())

    @atomic
    def offer(self, job_id: str) -> None:
        """Have a job of a queue that takes turns handed out again if its lease ran out."""
        entry = self._state.records.jobs.get(job_id)
        if entry is None or entry.record.status is not JobStatus.RUNNING:
            return
        turns = self._state.records.turns[entry.record.queue]
        if entry.lease_until_ms <= self._state.clock() and job_id not in turns.lines_up_ms:
            turns.enter(job_id, entry.record.tenant)

    @atomic
    def queued_count(self, queue: QueueName) -> int:
        """Return how many jobs wait in a queue."""
        if queue.takes_turns:
            turns = self._state.records.turns[queue]
            return turns.in_turn() + len(turns.lines_up_ms)
        return len(self._waiting(queue))

    @atomic
    def due_doorbells(self, queue: QueueName, limit: int) -> list[str]:
        """Return queued jobs whose doorbell should be rung now."""
        if queue.takes_turns:
            due_ms = sorted((at_ms, job_id) for job_id, at_ms in self._state.records.turns[queue].lines_up_ms.items())
            return [job_id for at_ms, job_id in due_ms if at_ms <= self._state.clock()][:limit]
        due = [entry for entry in self._waiting(queue) if entry.doorbell_due_ms <= self._state.clock()]
        due.sort(key=lambda entry: (entry.doorbell_due_ms, entry.record.id))
        return [entry.record.id for entry in due[:limit]]

    @atomic
    def rung(self, queue: QueueName, job_ids: Sequence[str], *, grace_s: float) -> None:
        """Note that doorbells were rung."""
        for entry in self._waiting(queue):
            if entry.record.id in job_ids:
                entry.doorbell_due_ms = self._state.after(grace_s)

    @atomic
    def expired_leases(self, limit: int, *, grace_s: float) -> list[str]:
        """Return running jobs whose lease ran out, each once in `grace_s`."""
        entries = [e for e in self._state.records.jobs.values() if e.record.status is JobStatus.RUNNING]
        found = sorted(
            (e for e in entries if e.lease_look_ms <= self._state.clock()),
            key=lambda e: (e.lease_look_ms, e.record.id),
        )[:limit]
        for entry in found:
            entry.lease_look_ms = self._state.after(grace_s)
        return [entry.record.id for entry in found]

    @atomic
    def expired_jobs(self, limit: int) -> list[str]:
        """Return jobs past their time of being kept."""
        due = [e.record for e in self._state.records.jobs.values() if e.record.expires_ms <= self._state.clock()]
        return [record.id for record in sorted(due, key=lambda r: (r.expires_ms, r.id))[:limit]]

    @atomic
    def cut_short(self, job_ids: Sequence[str], *, expires_ms: int) -> None:
        """Have jobs expire at a time."""
        for entry in (self._state.records.jobs[job_id] for job_id in job_ids if job_id in self._state.records.jobs):
            entry.record = entry.record.ending_soon(expires_ms)

    @atomic
    def due_cleanups(self, limit: int, *, grace_s: float) -> list[Cleanup]:
        """Return debts to storage that are older than `grace_s`."""
        until = self._state.after(-grace_s)
        return [cleanup for cleanup, made_ms in self._state.records.cleanups.items() if made_ms <= until][:limit]

    @atomic
    def oldest_cleanup_ms(self) -> int | None:
        """Return when the oldest debt to storage was made."""
        return min(self._state.records.cleanups.values(), default=None)

    @atomic
    def cleaned(self, *cleanups: Cleanup) -> None:
        """Note that debts to storage are paid."""
        for cleanup in cleanups:
            self._state.records.cleanups.pop(cleanup, None)

    @atomic
    def due_announcements(self, limit: int, *, grace_s: float) -> list[Announcement]:
        """Return what ended more than `grace_s` ago and was not announced since."""
        until = self._state.after(-grace_s)
        return [found for found, at_ms in self._state.records.announcements.items() if at_ms <= until][:limit]

    @atomic
    def noted_ms(self, announcement: Announcement) -> int | None:
        """Return when the last end that is to be announced was noted."""
        return self._state.records.announcements.get(announcement)

    @atomic
    def announced(self, announcement: Announcement, noted_ms: int) -> None:
        """Note that whoever is to be told will be, of what ended until then."""
        if self._state.records.announcements.get(announcement) == noted_ms:
            del self._state.records.announcements[announcement]

    @atomic
    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete."""
        return self._state.records.rebuilt

    @atomic
    def lineage(self) -> str:
        """Return what names the line of changes: it ends with this object."""
        return self._lineage

    @atomic
    def fail_over(self, *lost_ids: str) -> None:
        """Go on as a replica that had not heard of some jobs yet, for tests."""
        for job_id in lost_ids:
            del self._state.records.jobs[job_id]
        self._lineage = secrets.token_hex(8)

    @atomic
    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        token = secrets.token_hex(8)
        self._state.records.rebuilding.add(token)
        return token

    @atomic
    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete, unless they were lost since `token` was given."""
        if token not in self._state.records.rebuilding:
            return False
        self._state.records.rebuilding.remove(token)
        self._state.records.rebuilt = True
        return True

    @atomic
    def beat(self, host: str, process_id: int, queues: Sequence[QueueName], *, valid_s: float) -> None:
        """Note that a worker process is ready to measure what comes in some queues."""
        for queue in queues:
            self._state.records.beats[queue, host, process_id] = self._state.after(valid_s)

    @atomic
    def live_workers(self, queue: QueueName, *, host: str | None = None) -> int:
        """Return how many worker processes, of all hosts or of one, said lately that they watch a queue."""
        alive = [
            (watched, where)
            for (watched, where, _), until in self._state.records.beats.items()
            if until >= self._state.clock()
        ]
        return sum(watched is queue and host in {None, where} for watched, where in alive)

    def forget_everything(self) -> None:
        """Lose all records, as a flushed Redis does."""
        with self._state.lock:
            self._state.records = Records()

    def check(self) -> None:
        """Return if the store is not set to be away."""
        self._state.check()
