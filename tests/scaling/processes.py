"""Servers that a trial starts beside the stack: each in a process group of its own, killed and started again by it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stack.data_folder import LOOPBACK

PATIENCE_S: Final = 600.0
POLL_S: Final = 0.2


@dataclass
class Server:
    """A command that is kept, so that it can be run again after it was killed."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env={**os.environ, **self.env}, start_new_session=True
            )

    def kill(self) -> None:
        """Kill it and all it has started, as a host that loses its power would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None


def wait_until(what: str, happened: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """Return how long it took."""
    began_s = time.monotonic()
    while not happened():
        if time.monotonic() - began_s > patience_s:
            raise TimeoutError(f"{what}: not within {patience_s:.0f} s")
        time.sleep(POLL_S)
    return time.monotonic() - began_s


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
