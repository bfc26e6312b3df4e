"""Clients that wait for a result: one subscription for all of a process, a thread each, and no polling.

A waiting client keeps a thread of the server. So only some of the threads may be kept at a time; the client that finds
no place gets its answer at once and polls.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final, Protocol, TypeVar

from api.places import Places
from shared.errors import RecordsUnavailable
from shared.jobs.store import FinishedFeed, JobStore
from shared.metrics import WAITERS
from shared.telemetry.meter import Meter

_LISTEN_S: Final = 5.0
_RECONNECT_PAUSE_S: Final = 0.5
_LOOK_AGAIN_S: Final = 5.0
"""A wake-up can be lost with its connection; a waiter looks for itself this often."""


class _Status(Protocol):
    @property
    def is_terminal(self) -> bool: ...


class Awaitable(Protocol):
    """What can be waited for: a job or a batch."""

    @property
    def id(self) -> str:
        """What its end is announced by."""
        ...

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def status(self) -> _Status:
        """Whether it has ended."""
        ...


Record = TypeVar("Record", bound=Awaitable)


class Waiters:
    """Holds requests until the job or batch they wait for has ended.

    Parameters
    ----------
    store : JobStore
        Whose finished jobs are listened for.
    places : int
        How many may wait at once in this process; one tenant, one fewer.
    meter : Meter or None
        Where it is noted how many do.
    """

    def __init__(self, store: JobStore, *, places: int, meter: Meter | None = None) -> None:
        self._store = store
        self._places = Places(places)
        self._meter = meter or Meter()
        self._events: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listening = threading.Event()
        self._closing = threading.Event()
        self._listener: threading.Thread | None = None

    def wait(self, record: Record, timeout_s: float, read: Callable[[], Record]) -> Record:
        """Return the record once it has ended, or as it is when time is up or the house is full.

        Parameters
        ----------
        record : JobRecord or BatchRecord
            As it is known now.
        timeout_s : float
            How long to wait at most.
        read : callable
            Reads it anew.

        Raises
        ------
        JobNotFound, BatchNotFound
            If it is deleted meanwhile.
        RecordsUnavailable
            If the records do not answer.
        """
        if record.status.is_terminal or timeout_s <= 0 or self._closing.is_set():
            return record
        with self._places.place(record.tenant) as is_given:
            if not is_given:
                return record
            self._meter.add_held(WAITERS, 1)
            try:
                return self._wait(record.id, time.monotonic() + timeout_s, read)
            finally:
                self._meter.add_held(WAITERS, -1)

    def close(self) -> None:
        """Let everyone who waits have an answer now, since the process is about to stop."""
        self._closing.set()
        self._wake_all()

    def _wait(self, record_id: str, until_s: float, read: Callable[[], Record]) -> Record:
        with self._registered(record_id) as ended:
            self._listen(until_s)
            # Registered first and read then, so that an end between the two is not missed.
            record = read()
            while not (record.status.is_terminal or self._closing.is_set()):
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    break
                ended.wait(min(left_s, _LOOK_AGAIN_S))
                ended.clear()
                record = read()
        return record

    @contextmanager
    def _registered(self, record_id: str) -> Iterator[threading.Event]:
        event = threading.Event()
        with self._lock:
            self._events[record_id].add(event)
        try:
            yield event
        finally:
            with self._lock:
                self._events[record_id].discard(event)
                if not self._events[record_id]:
                    del self._events[record_id]

    def _listen(self, until_s: float) -> None:
        """Start the one listener of this process; lazily, since threads do not survive the server's fork."""
        with self._lock:
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._run, daemon=True, name="finished-jobs")
                self._listener.start()
        self._listening.wait(min(_RECONNECT_PAUSE_S, max(0.0, until_s - time.monotonic())))

    def _run(self) -> None:
        while True:
            with suppress(RecordsUnavailable), closing(self._store.finished_feed()) as feed:
                self._listening.set()
                self._pass_on(feed)
            self._listening.clear()
            self._wake_all()
            time.sleep(_RECONNECT_PAUSE_S)

    def _pass_on(self, feed: FinishedFeed) -> None:
        self._wake_all()
        while True:
            ended_id = feed.next(_LISTEN_S)
            if ended_id is not None:
                with self._lock:
                    for event in self._events.get(ended_id, ()):
                        event.set()

    def _wake_all(self) -> None:
        """Let each waiter see for itself what was missed."""
        with self._lock:
            for events in self._events.values():
                for event in events:
                    event.set()
