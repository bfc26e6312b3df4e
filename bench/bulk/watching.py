"""What a run costs in memory: the resident pages of each process of the stack, and what Redis holds."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path
from typing import Any, Self

import redis

from stack.stack import Stack

NAMES = ("api", "worker-interactive", "worker-bulk", "delivery", "upkeep", "redis", "store")
PAUSE_S = 1.0
KIB = 1024
MB = 1_000_000


def group_rss_mb(leader: int) -> float:
    """Return what all processes of a group have in memory, in MB."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == leader:
                    status = (entry / "status").read_text()
                    total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            except (OSError, IndexError, ValueError):
                continue  # it has just ended
    return total * KIB / MB


class Watch:
    """Samples the stack while a block runs.

    Attributes
    ----------
    rss_mb : dict of str to list of float
        Samples by the name of the process.
    redis_mb : list of float
        Samples of what Redis says it uses.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.rss_mb: dict[str, list[float]] = defaultdict(list)
        self.redis_mb: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with redis.Redis.from_url(self._stack.settings_env["FACEFIT_REDIS_URL"]) as client:
            while not self._stop.is_set():
                for name in NAMES:
                    leader = self._stack.supervisor.pid(name)
                    if leader is not None:
                        self.rss_mb[name].append(group_rss_mb(leader))
                self.redis_mb.append(client.info("memory")["used_memory"] / MB)
                self._stop.wait(PAUSE_S)

    def table(self) -> dict[str, Any]:
        """Return first, median, last and largest sample of each."""
        return {name: _summary(samples) for name, samples in {**self.rss_mb, "redis, its data": self.redis_mb}.items()}


def _summary(samples: list[float]) -> dict[str, float]:
    if not samples:
        return {}
    ordered = sorted(samples)
    found = {"first": samples[0], "median": ordered[len(ordered) // 2], "last": samples[-1], "largest": ordered[-1]}
    return {name: round(value, 1) for name, value in found.items()}
