"""What a long run costs in memory: resident pages of every process, and whether they grow."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from stack.object_store import MEMORY_TARGET
from tests.faults.broken_stack import ALL, REDIS, STORE, BrokenStack

SAMPLE_EVERY_S: Final = 10.0
WARM_UP_S: Final = 120.0
"""What a process takes in its first minutes, models and caches, is not counted as growth."""
MAY_GROW_MB: Final = 5.0
MAY_GROW_SHARE: Final = 0.05
"""Either of them may be what a process grows by in the second half of the time and still be called flat."""
KEPT_KB_PER_JOB: Final = 3.0
"""What Redis may grow by for each job, whose record it keeps for seven days: docs/performance.md says 1.1 to 1.4."""
KEEPS: Final = frozenset({REDIS, STORE})
"""What grows with what it keeps, and is judged by that."""
_KIB: Final = 1024
_MB: Final = 1_000_000
MAY_FILL_MB: Final = {STORE: float(MEMORY_TARGET.removesuffix("MiB")) * _KIB**2 / _MB}
"""What a process is given to fill: a Go program's collector lets the heap grow to its target, and only then works in
earnest, so that a slope on the way there says nothing."""
_H: Final = 3600.0
_LEADER: Final = 2
"""The process group, among the fields of /proc/PID/stat that follow the name."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident memory of one process at one time."""

    name: str
    pid: int
    at_s: float
    mb: float


@dataclass(frozen=True, slots=True)
class Growth:
    """How the processes of one name grew.

    Attributes
    ----------
    series : int
        Processes that lived long enough to be judged: one that is killed and started again is another one.
    mb_per_h : float
        The slope that all of them share, each about a mean of its own.
    """

    name: str
    series: int
    samples: int
    mean_mb: float
    largest_mb: float
    mb_per_h: float
    is_flat: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Memory:
    """Samples a stack while a block runs."""

    def __init__(self, broken: BrokenStack, every_s: float = SAMPLE_EVERY_S) -> None:
        self._broken = broken
        self._every_s = every_s
        self._stop = threading.Event()
        self.samples: list[Sample] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            leaders = {self._broken.supervisor.pid(name): name for name in ALL}
            now_s = time.monotonic()
            for pid, leader, mb in _processes():
                if leader in leaders:
                    self.samples.append(Sample(leaders[leader], pid, now_s, mb))

    def growth(self, jobs: int) -> list[Growth]:
        """Judge every name; `jobs` is how many are kept."""
        names = sorted({sample.name for sample in self.samples})
        return [growth_of(name, [each for each in self.samples if each.name == name], jobs) for name in names]


def growth_of(name: str, samples: Sequence[Sample], jobs: int) -> Growth:
    """Judge the processes of one name over the second half of the time, each from its own warm-up on.

    They may grow by so much within the longest time that one of them was seen: a slope over three minutes of one that
    is killed every ten says nothing of half an hour.
    """
    series: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        series[sample.pid].append(sample)
    half_s = (samples[0].at_s + samples[-1].at_s) / 2
    judged = []
    for of_pid in series.values():
        warm = [each for each in of_pid if each.at_s >= max(half_s, of_pid[0].at_s + WARM_UP_S)]
        if len(warm) > 2:
            judged.append(warm)
    mb_per_h = _shared_slope(judged) * _H
    used = [each.mb for warm in judged for each in warm] or [each.mb for each in samples]
    mean_mb = sum(used) / len(used)
    may_grow_mb = max(MAY_GROW_MB, MAY_GROW_SHARE * mean_mb)
    if name in KEEPS:
        may_grow_mb += KEPT_KB_PER_JOB * jobs / 2 * 1000 / _MB
    longest_s = max((warm[-1].at_s - warm[0].at_s for warm in judged), default=0.0)
    largest = max(each.mb for each in samples)
    is_flat = mb_per_h * longest_s / _H <= may_grow_mb or largest <= MAY_FILL_MB.get(name, 0.0)
    return Growth(name, len(judged), len(used), round(mean_mb, 1), round(largest, 1), round(mb_per_h, 2), is_flat)


def _shared_slope(series: Sequence[Sequence[Sample]]) -> float:
    """Return the least-squares slope [MB/s] that all series share, each with an intercept of its own."""
    above = below = 0.0
    for each in series:
        mean_s = sum(sample.at_s for sample in each) / len(each)
        mean_mb = sum(sample.mb for sample in each) / len(each)
        above += sum((sample.at_s - mean_s) * (sample.mb - mean_mb) for sample in each)
        below += sum((sample.at_s - mean_s) ** 2 for sample in each)
    return above / below if below else 0.0


def _processes() -> Iterator[tuple[int, int, float]]:
    """Yield (process, group, resident MB) of everything that runs here."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                group = int((entry / "stat").read_text().rpartition(")")[2].split()[_LEADER])
                status = (entry / "status").read_text()
                kib = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            except (OSError, IndexError, ValueError):
                continue  # it has just ended
            yield int(entry.name), group, kib * _KIB / _MB
