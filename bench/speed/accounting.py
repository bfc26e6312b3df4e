"""CPU of processes and of all that they started, those that have ended included, as Linux counts it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

PROC: Final = Path("/proc")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
KIB: Final = 1024
MB: Final = 1_000_000

_STATE, _PARENT, _SESSION = 0, 1, 3
_OWN: Final = slice(11, 13)
_ENDED: Final = slice(13, 15)
"""Places in /proc/PID/stat behind the name, proc_pid_stat(5): utime and stime, cutime and cstime."""


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """What one process has used.

    Attributes
    ----------
    pid, parent, session : int
        Which process, whose child, and the process that leads its session.
    own_s : float
        CPU of all its threads [s].
    ended_s : float
        CPU of its children that have ended and were waited for, and of theirs [s].
    """

    pid: int
    parent: int
    session: int
    own_s: float
    ended_s: float

    @classmethod
    def parse(cls, stat: str) -> Self:
        """Read a line of /proc/PID/stat, whose second field is a name that may hold anything."""
        head, _, rest = stat.rpartition(")")
        fields = rest.split()
        own, ended = (sum(map(int, fields[place])) / TICKS_PER_S for place in (_OWN, _ENDED))
        return cls(int(head.split(" ", 1)[0]), int(fields[_PARENT]), int(fields[_SESSION]), own, ended)


def processes() -> list[ProcessTimes]:
    """Return what every process of this machine has used."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found.append(ProcessTimes.parse((entry / "stat").read_text()))
            except (OSError, ValueError, IndexError):
                continue  # it has just ended
    return found


def session_cpu_s(leader: int, among: Iterable[ProcessTimes]) -> float:
    """Return what a session has used since it began: each process counts once, as its own or as an ended child."""
    return sum(each.own_s + each.ended_s for each in among if each.session == leader)


def session_rss_mb(leader: int) -> dict[int, float]:
    """Return the resident memory [MB] of each process of a session but its leader."""
    members = [each.pid for each in processes() if each.session == leader and each.pid != leader]
    return {pid: rss for pid in members if (rss := rss_mb(pid)) is not None}


def rss_mb(pid: int) -> float | None:
    """Return the resident memory of a process [MB]; None when it has ended."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return None
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * KIB / MB


class LeaderChanged(Exception):
    """Raised when a process died and was started again within a window: what it had used is lost."""


@dataclass(slots=True)
class Window:
    """What a stretch of time has cost.

    Attributes
    ----------
    wall_s : float
        How long it took [s].
    cpu_s : dict of str to float
        By kind of process [s]; the one that measures is `client`.
    """

    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)


@contextmanager
def cpu_window(leaders: Callable[[], Mapping[str, int]]) -> Iterator[Window]:
    """Count what the sessions of `leaders`, kind to process id, use while the block runs.

    Raises
    ------
    LeaderChanged
        If one of them is another process at the end.
    """
    window = Window()
    at_first = leaders()
    used_before, client_before = _used(at_first), time.process_time()
    began_s = time.perf_counter()
    yield window
    window.wall_s = time.perf_counter() - began_s
    client_s = time.process_time() - client_before
    used_after, at_last = _used(at_first), leaders()
    if at_last != at_first:
        raise LeaderChanged(f"{dict(at_first)} became {dict(at_last)}")
    window.cpu_s = {kind: used_after[kind] - used_before[kind] for kind in at_first} | {"client": client_s}


def _used(leaders: Mapping[str, int]) -> dict[str, float]:
    among = processes()
    return {kind: session_cpu_s(leader, among) for kind, leader in leaders.items()}
