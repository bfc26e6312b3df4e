"""What the core asks of the store of job records.

Every change is one atomic step; none of them trusts its caller to have looked first. Every method raises
`RecordsUnavailable` when the store does not answer in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.admission.store import AdmissionStore
from shared.clock import to_ms
from shared.fetches.store import FetchStore
from shared.jobs.announcements import Announcement
from shared.jobs.batch_record import MAKING_LIMIT_S
from shared.jobs.batch_store import BatchStore
from shared.jobs.idempotency import IdempotencyIndex
from shared.jobs.record import JobRecord
from shared.names import QueueName, batch_id_time, first_job_id_at
from shared.schemas import JobStatus
from shared.telemetry.store import MetricStore


class ClaimRefusal(StrEnum):
    """Why a job was not given to the worker that asked for it."""

    ABSENT = "absent"
    """There is no such record."""
    BUSY = "busy"
    """It has ended, or another worker holds it."""
    EXHAUSTED = "exhausted"
    """Its last lease ran out and no attempt is left."""


class Settlement(StrEnum):
    """What became of an outcome that was brought to a record."""

    SETTLED = "settled"
    """The record has ended with it."""
    LAST = "last"
    """The same, and it was the last of a batch whose completion is to be announced."""
    ALREADY = "already"
    """The record had ended before."""
    SUPERSEDED = "superseded"
    """A later run is open; this outcome belongs to an earlier one."""
    ABSENT = "absent"
    """There is no record: deleted, or lost and not rebuilt yet."""


class CleanupKind(StrEnum):
    """What is owed to storage after a record changed."""

    UPLOAD = "upload"
    """The photo of a finished job that did not ask to keep it."""
    EVERYTHING = "everything"
    """All objects of a deleted job, but its tombstone."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to measure one photo until the lease ends; `token` proves it."""

    record: JobRecord
    token: str


@dataclass(frozen=True, slots=True)
class PlacedJob:
    """A job, and how far from being measured it is, 1 being next; None unless it is queued."""

    record: JobRecord
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Cleanup:
    """One debt to storage."""

    kind: CleanupKind
    tenant: str
    job_id: str
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs a list asks for: those of `tenant`, newest first, made before the job `before_id`."""

    tenant: str
    limit: int
    status: JobStatus | None = None
    reference: str | None = None
    before_id: str | None = None
    batch_id: str | None = None

    def admits(self, record: JobRecord) -> bool:
        """Tell whether a job of this tenant is asked for, wherever the list starts."""
        return (
            self.status in {None, record.status}
            and self.reference in {None, record.options.reference}
            and self.batch_id in {None, record.batch_id}
        )

    @property
    def made_between(self) -> tuple[str | None, str | None]:
        """The ids between which all jobs lie: those of a batch were made within an hour of it."""
        if self.batch_id is None:
            return None, None
        made_ms = to_ms(batch_id_time(self.batch_id).timestamp())
        return first_job_id_at(made_ms), first_job_id_at(made_ms + to_ms(MAKING_LIMIT_S) + 1)


class FinishedFeed(Protocol):
    """The ids of jobs as they end, and of batches as they become complete, for whoever waits."""

    def next(self, timeout_s: float) -> str | None:
        """Return the next id, or None when none came in time."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class JobStore(Protocol):
    """The records of jobs, and what is due about them."""

    @property
    def batches(self) -> BatchStore:
        """The records of batches."""
        ...

    @property
    def fetches(self) -> FetchStore:
        """The photos that are to be fetched."""
        ...

    @property
    def idempotency(self) -> IdempotencyIndex:
        """The index of idempotency keys; lost with the records, and complete when they are."""
        ...

    @property
    def admissions(self) -> AdmissionStore:
        """What tenants have taken of their limits; what is open is counted from the records."""
        ...

    @property
    def metrics(self) -> MetricStore:
        """Amounts and signs of life."""
        ...

    # The life of one job

    def create(self, record: JobRecord, *, restored: bool = False) -> bool:
        """Write a record unless there is one; tell whether it was written. An item needs the record of its batch.

        One that is `restored` from storage does not count as accepted.
        """
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """Return a record, or None."""
        ...

    def get_placed(self, job_id: str, tenant: str) -> PlacedJob | None:
        """Return a record with its position, or None: `get` and `queue_position` in one, which costs less.

        Another tenant's comes without a position, and with no step more than one that is not there.
        """
        ...

    def claim(self, job_id: str, *, lease_s: float, max_attempts: int) -> Claim | ClaimRefusal:
        """Give a queued job, or one whose lease ran out, to the caller; counts an attempt."""
        ...

    def release(self, claim: Claim, *, retry_after_s: float, charge: bool) -> bool:
        """Take a claim back; due again after a pause. Unless `charge`, its attempt does not count.

        False if the claim is no longer valid.
        """
        ...

    def exhausted(self, job_id: str, *, max_attempts: int) -> JobRecord | None:
        """Return the record if nobody holds the job and no attempt is left; within its run that stays so."""
        ...

    def settle(self, ended: JobRecord) -> Settlement:
        """End the job as the outcome that was written first for this run says; wakes whoever waits."""
        ...

    def reopen(self, job_id: str, *, run: int) -> bool:
        """Queue a failed job again as `run`; False if it is not failed in an earlier run."""
        ...

    def drop(self, job_id: str, tenant: str, batch_id: str | None = None) -> None:
        """Forget a record and note that its objects are to go; wakes whoever waits."""
        ...

    # Reading many

    def missing(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that have no record."""
        ...

    def list_jobs(self, query: JobQuery) -> list[JobRecord]:
        """Return up to `query.limit` jobs, newest first."""
        ...

    def queue_position(self, record: JobRecord) -> int | None:
        """Return how far from being measured a queued job is, 1 being next; None if it is not queued."""
        ...

    def finished_feed(self) -> FinishedFeed:
        """Start to listen for jobs that end."""
        ...

    # Queues that take turns

    def take(self, queue: QueueName, limit: int, *, grace_s: float) -> list[str]:
        """Hand out the next jobs of a queue that takes turns, one of each tenant in turn.

        Those that nobody has claimed after `grace_s` are handed out again.
        """
        ...

    def waiting_count(self, queue: QueueName) -> int:
        """Return how many jobs of a queue that takes turns could be handed out now."""
        ...

    def offer(self, job_id: str) -> None:
        """Have a job of a queue that takes turns handed out again if its lease ran out."""
        ...

    # What is due

    def queued_count(self, queue: QueueName) -> int:
        """Return how many jobs wait in a queue."""
        ...

    def due_doorbells(self, queue: QueueName, limit: int) -> list[str]:
        """Return queued jobs whose doorbell should be rung now, the longest due first."""
        ...

    def rung(self, queue: QueueName, job_ids: Sequence[str], *, grace_s: float) -> None:
        """Note that doorbells were rung; due again after `grace_s` if still queued."""
        ...

    def expired_leases(self, limit: int, *, grace_s: float) -> list[str]:
        """Return running jobs whose lease ran out, each once in `grace_s`."""
        ...

    def expired_jobs(self, limit: int) -> list[str]:
        """Return jobs past their time of being kept."""
        ...

    def cut_short(self, job_ids: Sequence[str], *, expires_ms: int) -> None:
        """Have jobs expire at a time; one that expires before is left as it is."""
        ...

    def due_cleanups(self, limit: int, *, grace_s: float) -> list[Cleanup]:
        """Return debts to storage that are older than `grace_s`."""
        ...

    def oldest_cleanup_ms(self) -> int | None:
        """Return when the oldest debt to storage was made; None if there is none."""
        ...

    def cleaned(self, *cleanups: Cleanup) -> None:
        """Note that debts to storage are paid."""
        ...

    def due_announcements(self, limit: int, *, grace_s: float) -> list[Announcement]:
        """Return what ended more than `grace_s` ago and was not announced since."""
        ...

    def noted_ms(self, announcement: Announcement) -> int | None:
        """Return when the last end that is to be announced was noted; None if there is nothing to announce."""
        ...

    def announced(self, announcement: Announcement, noted_ms: int) -> None:
        """Note that whoever is to be told will be, of what ended until then; an end noted since stays."""
        ...

    # The store itself

    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete, that is, not lost since they were last rebuilt."""
        ...

    def lineage(self) -> str:
        """Return what names the server's line of changes: another one once a replica or a restarted server goes on.

        Either may lack the last changes that the former one had said yes to.
        """
        ...

    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        ...

    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete; False if they were lost since `token` was given."""
        ...

    def beat(self, host: str, process_id: int, queues: Sequence[QueueName], *, valid_s: float) -> None:
        """Note that a worker process is ready to measure what comes in some queues."""
        ...

    def live_workers(self, queue: QueueName, *, host: str | None = None) -> int:
        """Return how many worker processes, of all hosts or of one, said lately that they watch a queue."""
        ...

    def check(self) -> None:
        """Return if the store answers."""
        ...
