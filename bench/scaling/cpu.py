"""What the processes of a stack have had of the processors, part by part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stack.stack import Stack

PARTS = {
    "api": "api",
    "worker-interactive": "worker",
    "worker-bulk": "worker",
    "delivery": "sender",
    "upkeep": "upkeep",
    "redis": "redis",
    "store": "store",
}
"""The part that each process of the stack counts as."""
MS_PER_TICK = 1000 / os.sysconf("SC_CLK_TCK")
_GROUP, _OWN, _OF_CHILDREN = 2, slice(11, 13), slice(13, 15)
"""Where these are in /proc/PID/stat, behind the name."""


def cpu_ms(stack: Stack) -> dict[str, float]:
    """Return what each part has used so far, ended children included."""
    spent = dict.fromkeys(PARTS.values(), 0.0)
    groups = {stack.supervisor.pid(name): part for name, part in PARTS.items()}
    for pid, fields in _processes():
        part = groups.get(int(fields[_GROUP]))
        if part is not None:
            ticks = sum(map(int, fields[_OWN])) + (sum(map(int, fields[_OF_CHILDREN])) if pid in groups else 0)
            spent[part] += ticks * MS_PER_TICK
    return spent


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):  # it has just ended
                yield int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()
