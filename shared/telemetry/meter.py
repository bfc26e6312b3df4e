"""What one process counts, until it is sent to where all of them add up."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Final

from shared.errors import (
    KeysUnavailable,
    QueueUnavailable,
    RecordsRebuilding,
    RecordsUnavailable,
    StorageUnavailable,
    Transient,
    UndeclaredMetric,
)
from shared.metrics import DEPENDENCY_ERRORS, Kind, histogram_series, metric, series

if TYPE_CHECKING:
    from shared.telemetry.store import MetricStore

logger = logging.getLogger(__name__)

_INTERVALS_HELD: Final = 3
"""For so many intervals counts what a process held last: it may miss one."""

_SERIES_KEPT: Final = 1024
"""More than there are: labels are few by design."""

_PARTS: Final = (
    (RecordsUnavailable, "redis"),
    (StorageUnavailable, "storage"),
    (KeysUnavailable, "storage"),  # where they are kept
    (QueueUnavailable, "broker"),
)


class Meter:
    """Counts, and remembers what is the case now. Safe to share between threads; costs a lock and a dictionary.

    Every method raises `UndeclaredMetric` for a metric that `shared.metrics` does not list, or lists otherwise.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._amounts: defaultdict[str, float] = defaultdict(float)
        self._held: dict[str, float] = {}

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Count that something happened."""
        kept = _checked(name, Kind.COUNTER, labels)
        with self._lock:
            self._amounts[kept] += by

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Note how long something took."""
        _checked(name, Kind.HISTOGRAM, labels)
        bucket, total = histogram_series(name, labels, seconds)
        with self._lock:
            self._amounts[bucket] += 1
            self._amounts[total] += seconds

    def hold(self, name: str, value: float, *labels: str) -> None:
        """Note what is the case now."""
        kept = _checked(name, Kind.GAUGE, labels)
        with self._lock:
            self._held[kept] = value

    def add_held(self, name: str, by: float, *labels: str) -> None:
        """Change what is the case now by some amount."""
        kept = _checked(name, Kind.GAUGE, labels)
        with self._lock:
            self._held[kept] = self._held.get(kept, 0) + by

    def trouble(self, error: Transient) -> None:
        """Count that a part was away; one that is being rebuilt is not."""
        if isinstance(error, RecordsRebuilding):
            return
        for kind, part in _PARTS:
            if isinstance(error, kind):
                self.count(DEPENDENCY_ERRORS, part)

    @contextmanager
    def timed(self, name: str, *labels: str) -> Iterator[None]:
        """Note how long the block takes, also when it raises."""
        began = perf_counter()
        try:
            yield
        finally:
            self.observe(name, perf_counter() - began, *labels)

    def take(self) -> dict[str, float]:
        """Return what was counted since the last time."""
        with self._lock:
            taken, self._amounts = self._amounts, defaultdict(float)
        return dict(taken)

    def held(self) -> dict[str, float]:
        """Return what is the case now."""
        with self._lock:
            return dict(self._held)


@lru_cache(_SERIES_KEPT)
def _checked(name: str, kind: Kind, labels: tuple[str, ...]) -> str:
    if metric(name).kind is not kind:
        raise UndeclaredMetric(f"{name} is no {kind}")
    return series(name, labels)


class Relay:
    """Sends what a process counts every few seconds, on a thread of its own.

    What was sent without an answer is sent again under the same token, so nothing adds up twice.

    Parameters
    ----------
    meter : Meter
        Whose amounts are sent.
    store : MetricStore
        Where they add up.
    every_s : float
        The pause between two times.
    """

    def __init__(self, meter: Meter, store: MetricStore, *, every_s: float) -> None:
        self._meter = meter
        self._store = store
        self._every_s = every_s
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._unsent: tuple[str, Mapping[str, float]] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, daemon=True, name="relay").start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._every_s):
            try:
                self.send()
            except RecordsUnavailable:
                logger.debug("what was counted waits for Redis")
            except Exception:  # the outer wall of a thread: counting must go on
                logger.exception("what was counted could not be sent")

    def send(self) -> None:
        """Send what was counted since the last time, and what is the case now.

        Raises
        ------
        RecordsUnavailable
            If Redis is away; nothing that was counted is lost by that.
        """
        with self._lock:
            if self._unsent is None and (amounts := self._meter.take()):
                self._unsent = secrets.token_hex(8), amounts
            if self._unsent is not None:
                self._store.add(*self._unsent)
                self._unsent = None
            if held := self._meter.held():
                self._store.hold(self._process, held, valid_s=_INTERVALS_HELD * self._every_s)
