"""What the stores of records in memory share: everything that one lock guards."""

from __future__ import annotations

import queue as stdlib_queue
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from shared.admission.limits import LimitKind
from shared.admission.store import Take
from shared.clock import Clock, to_ms
from shared.errors import RecordsUnavailable
from shared.jobs.announcements import Announcement
from shared.jobs.batch_record import BatchRecord
from shared.jobs.idempotency import KeySlot, KnownRequest
from shared.jobs.record import JobRecord
from shared.jobs.store import Cleanup
from shared.jobs.turns import Turns
from shared.metrics import ACCEPTED, DROPPED_OPEN, RESTORED, TERMINAL, series
from shared.names import QueueName
from shared.schemas import JobStatus
from shared.telemetry.store import SignsOfLife

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(slots=True)
class Pending:
    """What is due about a photo that is to be fetched."""

    due_ms: int
    step: int = 0
    lost: int = 0
    is_first: bool = True
    token: str | None = None
    lease_until_ms: int = 0


@dataclass(slots=True)
class Entry:
    """A job's record, and what is due about it."""

    record: JobRecord
    queued_ms: int = 0
    doorbell_due_ms: int = 0
    token: str | None = None
    lease_until_ms: int = 0
    lease_look_ms: int = 0
    pending: Pending | None = None


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """Who holds an idempotency key, or what it was used for."""

    token: str
    until_ms: int
    known: KnownRequest | None = None


@dataclass(slots=True)
class Held:
    """What a request in hand took of its tenant's limits, and has no records of yet."""

    take: Take
    at_ms: int
    until_ms: int


@dataclass(slots=True)
class Records:
    """All that is lost when records are lost."""

    jobs: dict[str, Entry] = field(default_factory=dict)
    turns: defaultdict[QueueName, Turns] = field(default_factory=lambda: defaultdict(Turns))
    batches: dict[str, BatchRecord] = field(default_factory=dict)
    items: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    gone: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    last_finished_ms: dict[str, int] = field(default_factory=dict)
    look_ms: dict[str, int] = field(default_factory=dict)
    announcements: dict[Announcement, int] = field(default_factory=dict)
    cleanups: dict[Cleanup, int] = field(default_factory=dict)
    beats: dict[tuple[QueueName, str, int], int] = field(default_factory=dict)
    fetch_turn: int = 0
    fetch_turns: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    keys: dict[KeySlot, KeyEntry] = field(default_factory=dict)
    held: defaultdict[str, dict[str, Held]] = field(default_factory=lambda: defaultdict(dict))
    accepted: defaultdict[tuple[str, LimitKind], dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    counts: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    tokens: set[str] = field(default_factory=set)
    held_amounts: dict[str, tuple[int, dict[str, float]]] = field(default_factory=dict)
    canaries: dict[QueueName, tuple[int, SignsOfLife]] = field(default_factory=dict)
    measured_ms: dict[QueueName, int] = field(default_factory=dict)
    rebuilding: set[str] = field(default_factory=set)
    rebuilt: bool = False


class MemoryState:
    """Records, and the moves that both stores make.

    Attributes
    ----------
    away : bool
        Set to make every call raise `RecordsUnavailable`, as a stopped Redis would.
    """

    def __init__(self, clock: Clock, *, grace_s: float) -> None:
        self.clock = clock
        self.grace_s = grace_s
        self.records = Records()
        self.feeds: list[stdlib_queue.SimpleQueue[str]] = []
        self.lock = threading.RLock()
        self.away = False

    def after(self, seconds: float) -> int:
        """Return the time in some seconds."""
        return self.clock() + to_ms(seconds)

    def wake(self, ended_id: str) -> None:
        """Tell whoever waits that something ended."""
        for feed in self.feeds:
            feed.put(ended_id)

    def check(self) -> None:
        """Return if the store is not set to be away."""
        if self.away:
            message = "the store in memory is set to be away"
            raise RecordsUnavailable(message)

    def line_up(self, entry: Entry) -> None:
        """Let a job wait from now on."""
        if entry.record.queue.takes_turns:
            entry.queued_ms = self.clock()
            self.records.turns[entry.record.queue].enter(entry.record.id, entry.record.tenant)
        else:
            self.put_off(entry, self.grace_s)

    def put_off(self, entry: Entry, seconds: float) -> None:
        """Let a job wait, and nobody come for it before its time."""
        entry.queued_ms, entry.doorbell_due_ms = self.clock(), self.after(seconds)
        if entry.record.queue.takes_turns:
            self.records.turns[entry.record.queue].lines_up_ms[entry.record.id] = entry.doorbell_due_ms

    def tally(self, name: str, *labels: str) -> None:
        """Count that something happened."""
        self.records.counts[series(name, labels)] += 1

    def tally_end(self, record: JobRecord) -> None:
        """Count that a job has ended as its record says."""
        self.tally(TERMINAL, record.queue, record.status, record.error.code if record.error else "")

    def _tally_new(self, record: JobRecord, *, restored: bool) -> None:
        if restored:
            if not record.status.is_terminal:
                self.tally(RESTORED, record.queue)
            return
        awaited = "presigned" if record.status is JobStatus.AWAITING_UPLOAD else "upload"
        self.tally(ACCEPTED, record.queue, "url" if record.fetch else awaited)
        if record.status.is_terminal:
            self.tally_end(record)

    def create(self, record: JobRecord, *, restored: bool = False) -> bool:
        """Write a record unless there is one."""
        batch_id = record.batch_id
        if record.id in self.records.jobs or (batch_id is not None and batch_id not in self.records.batches):
            return False
        entry = self.records.jobs[record.id] = Entry(record)
        self._tally_new(record, restored=restored)
        if batch_id is not None:
            self.records.items[batch_id][record.id] = record.item_index or 0
            self.records.gone[batch_id].discard(record.id)
            self._count(batch_id, record.status, 1)
        if record.status is JobStatus.QUEUED:
            self.line_up(entry)
        if record.fetch is not None:
            entry.pending = Pending(self.clock())
        if record.status.is_terminal:
            self.announce(record)
            self.wake(record.id)
            self.note_end(record)
        return True

    def announce(self, record: JobRecord) -> None:
        """Note that the end of a job is to be told, if its client wants to hear of it."""
        if record.announced_event is not None:
            self.records.announcements[Announcement(record.tenant, record.id)] = self.clock()

    def move(self, entry: Entry, record: JobRecord) -> None:
        """Give a job another record: the one place where a status changes."""
        before, entry.record, entry.pending = entry.record, replace(record, fetch=None), None
        if record.queue.takes_turns:
            self.records.turns[record.queue].leave(record.id, record.tenant)
        batch = self.records.batches.get(record.batch_id or "")
        if batch is None:
            return
        self._count(batch.id, before.status, -1)
        self._count(batch.id, record.status, 1)
        if record.status.is_terminal:
            counted = self.records.batches[batch.id]
            seen = counted.ends_seen.with_one_more(self.clock())
            self.records.batches[batch.id] = replace(counted, ends_seen=seen)
        elif before.status.is_terminal:
            self.open_batch(batch.id)

    def forget(self, job_id: str) -> None:
        """Forget a record: the one place where that happens."""
        entry = self.records.jobs.pop(job_id, None)
        if entry is None:
            return
        record = entry.record
        self.records.turns[record.queue].leave(job_id, record.tenant)
        if not record.status.is_terminal:
            self.tally(DROPPED_OPEN, record.queue)
        if record.batch_id is None:
            return
        self.records.items[record.batch_id].pop(job_id, None)
        if record.batch_id in self.records.batches:
            self._count(record.batch_id, record.status, -1)
            self.records.gone[record.batch_id].add(job_id)
            self.complete_if_over(record.batch_id)

    def forget_key(self, object_id: str) -> None:
        """Forget the idempotency key that a job or batch was made under."""
        for slot, entry in list(self.records.keys.items()):
            if entry.known and entry.known.object_id == object_id:
                del self.records.keys[slot]

    def _count(self, batch_id: str, status: JobStatus, by: int) -> None:
        batch = self.records.batches[batch_id]
        counts = {**batch.counts, status: batch.counts.get(status, 0) + by}
        self.records.batches[batch_id] = replace(batch, counts=counts)

    def note_end(self, record: JobRecord) -> bool:
        """Note of an item's batch that the item has ended; tell whether that is to be announced of the batch."""
        if record.batch_id not in self.records.batches:
            return False
        last_ms = self.records.last_finished_ms.get(record.batch_id, 0)
        self.records.last_finished_ms[record.batch_id] = max(last_ms, record.finished_ms or 0)
        return self.complete_if_over(record.batch_id)

    def open_batch(self, batch_id: str) -> None:
        """Begin another run of a batch if it is complete."""
        batch = self.records.batches[batch_id]
        if batch.completed_ms is not None:
            self.records.batches[batch_id] = replace(batch, completed_ms=None, run=batch.run + 1)
            self.records.look_ms[batch_id] = self.clock()

    def complete_if_over(self, batch_id: str) -> bool:
        """Complete a sealed batch that has no open item: the one place where that happens.

        Returns whether it is to be announced.
        """
        batch = self.records.batches[batch_id]
        if not batch.sealed or batch.completed_ms is not None:
            return False
        if any(count for status, count in batch.counts.items() if not status.is_terminal):
            return False
        at_ms = self.records.last_finished_ms.get(batch_id) or self.clock()
        self.records.look_ms.pop(batch_id, None)
        self.records.batches[batch_id] = replace(batch, completed_ms=at_ms, completions=batch.completions + 1)
        self.wake(batch_id)
        if batch.announces:
            self.records.announcements[Announcement(batch.tenant, batch_id)] = self.clock()
        return batch.announces


class HasState(Protocol):
    """A store over a `MemoryState`."""

    _state: MemoryState


_S = TypeVar("_S", bound=HasState)


def atomic(method: Callable[Concatenate[_S, _P], _R]) -> Callable[Concatenate[_S, _P], _R]:
    """Make a method one step that no other can come between."""

    @wraps(method)
    def locked(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        self._state.check()
        with self._state.lock:
            return method(self, *args, **kwargs)

    return locked
