"""What stands before parts of the product in processes that tests run, and breaks at marked points.

Each passes everything on that it does not name, so that a part may grow without this knowing.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from shared.jobs.store import Claim
from shared.storage import layout
from tests.faults import points
from tests.faults.photos import GLUTTON, POISON
from tests.faults.points import Points

INTO_THE_INFERENCE_S: Final = 0.003
WAITS_S: Final = 60.0
ROOM_BYTES: Final = 64 * 2**20
_POLL_S: Final = 0.02
_REMEMBERED: Final = 4
"""Photos: the one that is measured, the next, and two more."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Before:
    """Stands before a part and passes on what is asked of it."""

    def __init__(self, real: Any, marked: Points) -> None:
        self._real = real
        self._marked = marked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _die_at(self, point: str) -> None:
        if self._marked.take(point):
            die()

    def _wait_at(self, point: str) -> None:
        """Say that this is the point, and go on when the test takes the note away."""
        if not self._marked.take(point):
            return
        self._marked.note(points.WAITS)
        until = time.monotonic() + WAITS_S
        while self._marked.noted(points.WAITS) and time.monotonic() < until:
            time.sleep(_POLL_S)


class FailingStore(Before):
    """The records of jobs; it tells storage which photo is about to be measured."""

    def __init__(self, real: Any, marked: Points, objects: FailingObjects) -> None:
        super().__init__(real, marked)
        self._objects = objects

    def claim(self, *args: Any, **options: Any) -> Any:
        self._die_at(points.BEFORE_CLAIM)
        claim = self._real.claim(*args, **options)
        if isinstance(claim, Claim):
            record = claim.record
            self._objects.claimed_key = layout.upload_key(record.tenant, record.id, record.batch_id)
        self._die_at(points.AFTER_CLAIM)
        return claim

    def create(self, record: Any, **options: Any) -> Any:
        created = self._real.create(record, **options)
        self._die_at(points.RECORDED)
        return created


class FailingObjects(Before):
    """Storage; it remembers the photos that were read last, also ahead of their claim, for the finder."""

    def __init__(self, real: Any, marked: Points) -> None:
        super().__init__(real, marked)
        self.claimed_key = ""
        self._read: dict[str, bytes] = {}

    @property
    def in_hand(self) -> bytes:
        """The photo that was claimed last."""
        return self._read.get(self.claimed_key, b"")

    def get(self, key: str, **options: Any) -> bytes:
        if not key.startswith(layout.UPLOADS):
            return bytes(self._real.get(key, **options))
        self._wait_at(points.WAIT_BEFORE_READ)
        data = bytes(self._real.get(key, **options))
        self._read[key] = data
        for oldest in list(self._read)[:-_REMEMBERED]:
            del self._read[oldest]
        return data

    def put(self, key: str, *args: Any, **options: Any) -> None:
        self._real.put(key, *args, **options)
        if key.startswith(layout.UPLOADS):
            self._die_at(points.STORED)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        is_outcome = key.startswith(layout.OUTCOMES)
        if is_outcome:
            self._die_at(points.BEFORE_OUTCOME)
            self._wait_at(points.WAIT_BEFORE_OUTCOME)
            if self._marked.take(points.STOP_BEFORE_OUTCOME):
                self._marked.note(points.STOPPED, f"{os.getpgid(0)} {os.getpid()} {key}")
                os.killpg(0, signal.SIGSTOP)
        written = bool(self._real.put_if_absent(key, body))
        if is_outcome:
            if not written:
                self._marked.note(points.FENCED)
            self._die_at(points.AFTER_OUTCOME)
        return written


class FailingFinder(Before):
    """Finds faces, or ends; `objects` knows which photo it is."""

    def __init__(self, real: Any, marked: Points, objects: FailingObjects) -> None:
        super().__init__(real, marked)
        self._objects = objects

    def detect(self, pixels: Any, *args: Any, **options: Any) -> Any:
        if POISON in self._objects.in_hand:
            die()
        if GLUTTON in self._objects.in_hand or self._marked.take(points.EAT_MEMORY):
            return self._eat()
        if self._marked.take(points.HANG):
            self._marked.note(points.STOPPED, str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._marked.take(points.MID_INFERENCE):
            threading.Timer(INTO_THE_INFERENCE_S, die).start()
            while True:
                self._real.detect(pixels, *args, **options)
        return self._real.detect(pixels, *args, **options)

    def _eat(self) -> Any:
        """Run into a limit of this process's memory."""
        used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + ROOM_BYTES, before[1]))
        try:
            return [bytearray(ROOM_BYTES) for _ in range(16)]
        except MemoryError:
            self._marked.note(points.MEMORY_ERROR)
            raise
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


class FailingDoorbell(Before):
    """Rings each bell twice while it is told to."""

    def ring(self, *args: Any) -> None:
        self._twice(lambda: self._real.ring(*args))

    def call(self, *args: Any) -> None:
        self._twice(lambda: self._real.call(*args))

    def _twice(self, send: Any) -> None:
        send()
        if self._marked.is_armed(points.RING_TWICE):
            send()
            self._marked.note(points.RANG_TWICE)


class ChangingNames:
    """A resolver of which one name leads somewhere else at every look-up; all other names lead nowhere."""

    def __init__(self, name: str, addresses: Iterable[str], marked: Points) -> None:
        self._name = name
        self._addresses = list(addresses)
        self._marked = marked

    def __call__(self, name: str, _port: int) -> list[str]:
        if name != self._name:
            raise OSError(name)
        turn = self._marked.noted(name)
        self._marked.note(name)
        return [self._addresses[min(turn, len(self._addresses) - 1)]]


def break_jobs(jobs: Any, marked: Points) -> FailingObjects:
    """Put these before what the life of jobs uses; return its storage."""
    objects = FailingObjects(jobs.objects, marked)
    jobs.objects = jobs.archive.objects = objects
    jobs.store = FailingStore(jobs.store, marked, objects)
    jobs.doorbell = FailingDoorbell(jobs.doorbell, marked)
    return objects
