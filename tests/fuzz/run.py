"""Runs a door in processes of its own, under the worker's memory limit and a limit on CPU for each file.

A process that dies, hangs or runs out of memory, and whatever a door raises, is a finding: its file is kept, and the
run goes on behind it. Every file follows from the seed, the door and its number.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from shared.config import Settings
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import Target
from worker.memory_limit import MemoryLimit

CPU_LIMIT_S = 5.0
"""Many times what a damaged file of a megapixel takes."""
ROUND = 2000
"""Files to one process: few enough that what is left over from one file to the next cannot hide much."""


@dataclass
class Report:
    """What came of a door's files.

    Attributes
    ----------
    executions : int
        How many there were.
    outcomes : Counter
        How many ended how.
    findings : list of (int, str)
        Number of a file and what it did.
    """

    executions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str]] = field(default_factory=list)


def damaged(name: str, target: Target, seed: int, number: int) -> bytes:
    """Return a door's file by its number."""
    rng = random.Random(f"{seed} {name} {number}")
    return mutated(rng.choice(target.seeds), rng.choice(target.seeds), rng)


def run(name: str, target: Target, seed: int, seconds: float, most: int = 10**9, keep: Path | None = None) -> Report:
    """Damage and enter until the time is over or `most` files are done."""
    report = Report()
    until = time.monotonic() + seconds
    while time.monotonic() < until and report.executions < most:
        first = report.executions
        done, outcomes, end = _round(name, target, seed, range(first, min(first + ROUND, most)), until)
        report.executions += done
        report.outcomes.update(outcomes)
        if end is not None:
            number = report.executions
            report.executions += 1
            report.findings.append((number, end))
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name}-{seed}-{number}").write_bytes(damaged(name, target, seed, number))
    return report


def _round(name: str, target: Target, seed: int, numbers: range, until: float) -> tuple[int, Counter[str], str | None]:
    """Enter some files in a process of its own; return how many came through, as what, and what stopped it."""
    with mmap.mmap(-1, mmap.PAGESIZE * 4) as told:  # shared with the process, so that its last word outlives it
        process_id = os.fork()
        if process_id == 0:
            try:
                _enter_all(name, target, seed, numbers, until, told)
            finally:
                os._exit(0)
        _, status = os.waitpid(process_id, 0)
        state = json.loads(told[:].rstrip(b"\0") or b"{}")
    end = state.get("error")
    if os.WIFSIGNALED(status):
        end = f"process ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return state.get("done", 0), Counter(state.get("outcomes", {})), end


def _enter_all(name: str, target: Target, seed: int, numbers: range, until: float, told: mmap.mmap) -> None:
    MemoryLimit(Settings().photo_memory_bytes)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries' complaints
    outcomes: Counter[str] = Counter()
    error = None
    for done, number in enumerate(numbers):
        _tell(told, {"done": done, "outcomes": outcomes, "error": error})
        if time.monotonic() > until:
            return
        data = damaged(name, target, seed, number)
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
        try:
            outcomes[target.enter(data)] += 1
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is a finding
            error = f"{type(raised).__name__}: {raised}"[:200]
            _tell(told, {"done": done, "outcomes": outcomes, "error": error})
            return
    _tell(told, {"done": len(numbers), "outcomes": outcomes, "error": None})


def _tell(told: mmap.mmap, state: dict[str, object]) -> None:
    line = json.dumps(state).encode()
    told[:] = line + bytes(len(told) - len(line))
