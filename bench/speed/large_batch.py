"""A large batch: what a photo of it costs, what a worker grows to, and how long a single photo takes meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from bench.speed.accounting import Window, session_rss_mb
from bench.speed.bars import reached
from bench.speed.client import BatchBody, Http, batch_counts, ended_of, read_results
from bench.speed.latency import timed_s
from bench.speed.photos import PORTRAIT_512
from bench.speed.rounds import Figure, percentile
from bench.speed.service import BULK
from bench.speed.setting import Setting

SMALL_BATCH: Final = 100
SINGLES_FROM, SINGLES_UNTIL = 0.2, 0.6
"""While this share of the large batch ends, single photos are sent; what it costs is measured before and after."""
SINGLES_PAUSE_S: Final = 0.2
POLL_S: Final = 0.5
SETTLED_AFTER: Final = 200
GROWN_AFTER: Final = 5000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Photos that ended within a stretch of time, and what that cost."""

    photos: int
    cpu_s: float


class Singles:
    """Single photos, one after the other with pauses, in a thread of its own while a block runs."""

    def __init__(self, setting: Setting) -> None:
        self._url = setting.service.url
        self._photos = iter(lambda: setting.pool(PORTRAIT_512).take(1)[0], b"")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.taken_s: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Http(self._url) as http:
            while not self._stop.wait(SINGLES_PAUSE_S):
                self.taken_s.append(timed_s(http, next(self._photos), PORTRAIT_512))


class Grown:
    """Memory of the one process that measures photos of batches, by how many of them it has measured."""

    def __init__(self, setting: Setting) -> None:
        leader = setting.service.stack.supervisor.pid(BULK) or 0
        self._leader = leader
        self._child = next(iter(session_rss_mb(leader)))
        self.samples: list[tuple[int, float]] = []

    def look(self, measured: int) -> None:
        """Take a sample.

        Raises
        ------
        RuntimeError
            If it is not the process any more that it was.
        """
        found = session_rss_mb(self._leader)
        if set(found) != {self._child}:
            raise RuntimeError("the process whose memory is watched has ended")
        self.samples.append((measured, found[self._child]))

    def after(self, measured: int) -> float | None:
        """Return its memory once it had measured so many [MB]; None if it never did."""
        return next((rss for count, rss in self.samples if count >= measured), None)


def measure_large_batch(setting: Setting) -> dict[str, Any]:
    """Send batches of 100 and a large one to one bulk process, as `make up` starts it, fresh."""
    service, pool = setting.service, setting.pool(PORTRAIT_512)
    setting.have_bulk_workers(1)
    service.stack.supervisor.stop(BULK)
    service.await_bulk_workers(0)
    service.stack.supervisor.start(BULK)
    service.await_bulk_workers(1)
    grown = Grown(setting)
    small = []
    for number in range(setting.sizes.rounds):
        small.append(_cost_of_small_batch(setting))
        grown.look((number + 1) * SMALL_BATCH)
    with Http(service.url) as http:
        idle_s = []
        for photo in pool.take(setting.sizes.latencies):
            time.sleep(SINGLES_PAUSE_S)
            idle_s.append(timed_s(http, photo, PORTRAIT_512))
        with BatchBody(_each(pool.take, setting.sizes.batch), PORTRAIT_512) as body:
            run = _LargeBatch(setting, http, grown, measured_before=SMALL_BATCH * len(small))
            run.send(body)
    costs = [run.cost_ms / cost for cost in small]
    beside = [percentile(run.singles_s, 95) / percentile(idle_s, 95)] if len(run.singles_s) > 1 else []
    bars = {"large_batch_cost": reached(Figure.of(costs))}
    bars |= {"latency_beside_batch": reached(Figure.of(beside))} if beside else {}
    return {
        "bars": bars | _memory_bars(grown),
        "photos": setting.sizes.batch,
        "took_of_batch_s": run.took_s,
        "accepted_after_s": run.accepted_after_s,
        "cpu_ms": {"batch of 100": reached(Figure.of(small)), "large batch": run.cost_ms, "by_kind": run.by_kind_ms},
        "single_ms": {
            name: {"n": len(values), "p50": 1000 * percentile(values, 50), "p95": 1000 * percentile(values, 95)}
            for name, values in (("idle", idle_s), ("beside the batch", run.singles_s))
            if len(values) > 1
        },
        "memory_mb": grown.samples[:: max(1, len(grown.samples) // 50)],
    }


def _each(take: Any, count: int) -> Iterator[bytes]:
    return (take(1)[0] for _ in range(count))


def _memory_bars(grown: Grown) -> dict[str, Any]:
    settled, last = grown.after(SETTLED_AFTER), grown.after(GROWN_AFTER)
    if settled is None or last is None:
        return {}
    return {"memory_growth": reached(Figure.of([last / settled])), "memory": reached(Figure.of([last]))}


def _cost_of_small_batch(setting: Setting) -> float:
    turn = setting.service.run_batch(setting.pool(PORTRAIT_512).take(SMALL_BATCH), PORTRAIT_512)
    return turn.cpu_ms()


class _LargeBatch:
    """One large batch from its first byte to its last result."""

    def __init__(self, setting: Setting, http: Http, grown: Grown, measured_before: int) -> None:
        self._setting = setting
        self._http = http
        self._grown = grown
        self._before = measured_before
        self._spent_s: dict[str, float] = {}
        self.singles_s: list[float] = []
        self.cost_ms = self.took_s = self.accepted_after_s = 0.0
        self.by_kind_ms: dict[str, float] = {}

    def send(self, body: BatchBody) -> None:
        began_s = time.perf_counter()
        with self._setting.service.window() as accepting:
            batch_id = body.send(self._http)
        self.accepted_after_s = time.perf_counter() - began_s
        outside = []
        with self._setting.service.window() as window:
            before = self._until(batch_id, SINGLES_FROM)
        outside.append((before, window))
        with Singles(self._setting) as singles:
            self._until(batch_id, SINGLES_UNTIL)
        self.singles_s = singles.taken_s
        with self._setting.service.window() as window:
            after = self._until(batch_id, 1.0)
        outside.append((after, window))
        self.took_s = time.perf_counter() - began_s
        with self._setting.service.window() as reading:
            read_results(self._http, batch_id)
        self._sum_up(body.photos, (accepting, reading), outside)

    def _until(self, batch_id: str, share: float) -> int:
        """Wait until a share has ended; return how many ended meanwhile."""
        first: int | None = None
        while True:
            counts = batch_counts(self._http, batch_id)
            ended = ended_of(counts)
            first = ended if first is None else first
            self._grown.look(self._before + ended)
            if ended >= share * sum(counts.values()):
                return ended - first
            time.sleep(POLL_S)

    def _sum_up(self, photos: int, for_all: tuple[Window, ...], outside: list[tuple[int, Window]]) -> None:
        """Per photo: what was spent on all of them, and what was spent on those that ended without singles beside."""
        ended = sum(count for count, _ in outside)
        for windows, share in ((for_all, photos), ([window for _, window in outside], ended)):
            for window in windows:
                for kind, used_s in window.cpu_s.items():
                    if kind != "client":
                        self.by_kind_ms[kind] = self.by_kind_ms.get(kind, 0.0) + 1000 * used_s / max(1, share)
        self.cost_ms = sum(self.by_kind_ms.values())
