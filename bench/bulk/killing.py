"""Kills a random process of the workers now and then, as a bad host would, and starts what does not come back alone."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from stack.stack import Stack

WHOLE_EVERY = 10
"""Every so many kills, a parent may be hit as well as a process that measures."""
WORKERS = ("worker-bulk", "worker-interactive")


def members(leader: int) -> list[int]:
    """Return the ids of all processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) == leader:
                    found.append(int(entry.name))
    return found


class Killing:
    """SIGKILL to a process of a worker, its parent or one that measures, every `pause_s` while a block runs."""

    def __init__(self, stack: Stack, pause_s: float, seed: int) -> None:
        self._stack = stack
        self._pause_s = pause_s
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills: dict[str, int] = {}

    def __enter__(self) -> Self:
        for name in WORKERS:
            self._stack.supervisor.restart(name, automatically=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for name in WORKERS:
            self._stack.supervisor.start(name)
            self._stack.supervisor.restart(name, automatically=True)

    def _run(self) -> None:
        turn = 0
        while not self._stop.wait(self._pause_s):
            processes = [(name, leader, victim) for name, leader in self._leaders() for victim in members(leader)]
            turn += 1
            if turn % WHOLE_EVERY:
                # A parent takes seconds to come up: killed as often as its children, nothing would ever be measured.
                processes = [found for found in processes if found[1] != found[2]]
            if processes:
                name, leader, victim = self._chance.choice(processes)
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    kind = "parent" if victim == leader else "child"
                    self.kills[f"{name}, {kind}"] = self.kills.get(f"{name}, {kind}", 0) + 1
            for each in WORKERS:
                self._stack.supervisor.start(each)

    def _leaders(self) -> list[tuple[str, int]]:
        found = [(name, self._stack.supervisor.pid(name)) for name in WORKERS]
        return [(name, leader) for name, leader in found if leader is not None]
