"""One process of the stack: how it is started, what it left behind, how its end is put into words."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LOG_LIMIT_BYTES: Final = 20_000_000
"""A log longer than this when its process starts is put aside; one older one is kept."""

TAIL_READ_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run one process.

    Attributes
    ----------
    name : str
        What it is called, in messages and as the name of its log.
    command : tuple of str
        Program and arguments.
    env : mapping
        Variables it gets, beside those of this process when `inherit_env`.
    cwd : Path or None
        Its working directory; this process's own when None.
    stop_rank : int
        Lower ranks are stopped first; equal ones together.
    grace_s : float
        How long it may take to end after SIGTERM.
    expect_kill : bool
        Whether ending it by force is the usual thing and worth no word.
    leftovers : tuple of Path
        Files that it does not remove itself.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    inherit_env: bool = True
    cwd: Path | None = None
    stop_rank: int = 0
    grace_s: float = 8.0
    expect_kill: bool = False
    leftovers: tuple[Path, ...] = ()


class Child:
    """A process that may be started again and again; it leads a process group of its own.

    A group of its own keeps the terminal's Ctrl-C away, so that the order of stopping is the supervisor's.
    """

    def __init__(self, spec: ChildSpec, log_dir: Path) -> None:
        self.spec = spec
        self.log = log_dir / f"{spec.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._swept = True

    @property
    def group(self) -> int | None:
        """Id of the process group while any of it may be left."""
        return None if self._process is None or self._swept else self._process.pid

    @property
    def pid(self) -> int | None:
        """Process id, which is the id of its group too; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs or when it was never started."""
        return self._process.poll() if self._process is not None else None

    def spawn(self) -> int:
        """Start the process and return its id.

        Raises
        ------
        OSError
            If the program cannot be run.
        """
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command,
                env={**(os.environ if self.spec.inherit_env else {}), **self.spec.env},
                cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._swept = False
        return self._process.pid

    def ask_to_end(self) -> None:
        """Send SIGTERM to the leader alone, and wake it when it is stopped.

        The leader knows how to end its children; the signal would end a Celery child in the middle of a photo.
        """
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the leader to end; tell whether it did."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def sweep(self) -> None:
        """Kill whatever is left of the group, reap the leader and remove the leftovers.

        Once only: afterwards the group's number may be somebody else's.
        """
        if self._process is None or self._swept:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._swept = True
        for path in self.spec.leftovers:
            path.unlink(missing_ok=True)

    def describe_end(self) -> str:
        """Say how the process ended: `exit code 3` or `signal SIGKILL`."""
        code = self.exit_code
        if code is None:
            return "still running"
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return f"signal {-code}"

    def log_tail(self, lines: int = 8) -> str:
        """Return the last lines of the log, indented."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_READ_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return "    (no log)"
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (its log is empty)"
