"""Starts processes, starts them again when they die, and stops every one of them whatever state it is in."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from os import killpg
from pathlib import Path
from typing import Final, Self

from stack import guard
from stack.child import Child, ChildSpec

DEATHS_ALLOWED: Final = 5
DEATHS_WINDOW_S: Final = 60.0
"""So many deaths of one process within this time mean that starting it again is no use."""

BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0)
"""Pauses before a process is started again; the last one repeats."""

POLL_S: Final = 0.05

Echo = Callable[[str], None]


class Supervisor:
    """Keeps named processes running until it is told to stop.

    Parameters
    ----------
    log_dir : Path
        Where each process's output goes, as `NAME.log`.
    echo : callable
        Takes each line meant for a person.
    held : iterable of int
        File descriptors that stay open until no process is left, even when this process is killed.
    """

    def __init__(self, log_dir: Path, echo: Echo, held: Iterable[int] = ()) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._echo = echo
        self._held = tuple(held)
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._guard = _start_guard(self._held)
        self._monitor = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._monitor.start()
        self.gave_up: str | None = None
        """Why nothing is kept running any more; None while all is well."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What is asked for from outside

    def run(self, spec: ChildSpec) -> None:
        """Add a process and start it."""
        with self._lock:
            self._watched[spec.name] = _Watched(Child(spec, self._log_dir))
        self.start(spec.name)

    def start(self, name: str) -> None:
        """Start a process that was stopped; nothing happens to one that runs."""
        with self._lock:
            watched = self._watched[name]
            watched.wanted = True
            self._note_death(watched)
            if watched.child.pid is None and not self._closing.is_set():
                self._spawn(watched)

    def revive(self, name: str) -> None:
        """Start a process that died, at once; nothing happens to one that runs or was stopped."""
        with self._lock:
            if self._watched[name].wanted:
                self.start(name)

    def stop(self, name: str) -> None:
        """Stop a process, by force when it takes longer than its grace, and leave it stopped."""
        with self._lock:
            watched = self._watched[name]
            watched.wanted = False
        self._end([watched.child])
        with self._lock:
            if not watched.wanted:  # unless somebody has started it again meanwhile
                watched.running = False  # this end was no death

    def kill(self, name: str, number: int) -> None:
        """Send a signal to a process and all its children, as somebody else might."""
        pid = self._watched[name].child.pid
        if pid is None:
            message = f"{name} does not run"
            raise ProcessLookupError(message)
        killpg(pid, number)

    def pid(self, name: str) -> int | None:
        """Return the id of a process, None when it does not run."""
        return self._watched[name].child.pid

    def restart(self, name: str, *, automatically: bool) -> None:
        """Set whether a process is started again when it dies."""
        with self._lock:
            self._watched[name].restart = automatically

    def log_tail(self, name: str) -> str:
        """Return the last lines that a process wrote."""
        return self._watched[name].child.log_tail()

    def hurry(self) -> None:
        """Let nothing that is being stopped take its time any longer."""
        self._hurry.set()

    def close(self) -> None:
        """Stop every process in the order of their ranks. Returns when none is left."""
        with self._lock:
            self._closing.set()
        if threading.current_thread() is not self._monitor:
            self._monitor.join()
        self._end_all()
        self._dismiss_guard()

    # What goes on meanwhile

    def _watch(self) -> None:
        while not self._closing.wait(POLL_S):
            with self._lock:
                self._renew_guard()
                for watched in self._watched.values():
                    self._look_at(watched)
            if self.gave_up is not None:
                self._end_all()
                return
        with self._lock:
            for watched in self._watched.values():
                self._note_death(watched)

    def _look_at(self, watched: _Watched) -> None:
        if self._note_death(watched):
            self._after_death(watched)
        elif watched.start_at is not None and watched.wanted and time.monotonic() >= watched.start_at:
            name = watched.child.spec.name
            try:
                self._spawn(watched)
            except OSError as exc:
                self._echo(f"{name} could not be started again: {exc}")
                watched.deaths.append(time.monotonic())
                self._after_death(watched)
            else:
                self._echo(f"{name} was started again")

    def _after_death(self, watched: _Watched) -> None:
        if not watched.restart:
            return
        now = time.monotonic()
        if len(watched.deaths) == DEATHS_ALLOWED and now - watched.deaths[0] < DEATHS_WINDOW_S:
            self.gave_up = f"{watched.child.spec.name} died {DEATHS_ALLOWED} times within {DEATHS_WINDOW_S:.0f} s"
            self._echo(f"{self.gave_up}; stopping everything")
            return
        recent = sum(now - died_at < DEATHS_WINDOW_S for died_at in watched.deaths)
        watched.start_at = now + BACKOFF_S[min(recent, len(BACKOFF_S)) - 1]

    def _note_death(self, watched: _Watched) -> bool:
        child = watched.child
        if not (watched.wanted and watched.running and child.exit_code is not None):
            return False
        watched.running = False
        watched.deaths.append(time.monotonic())
        self._forget(child)
        self._echo(
            f"{child.spec.name} died unexpectedly ({child.describe_end()}); the last lines of {child.log}:\n"
            f"{child.log_tail()}"
        )
        return True

    def _spawn(self, watched: _Watched) -> None:
        watched.start_at = None
        pid = watched.child.spawn()
        watched.running = True
        self._tell_guard(f"+{pid}")

    def _forget(self, child: Child) -> None:
        group = child.group
        child.sweep()
        if group is not None:
            self._tell_guard(f"-{group}")

    # Stopping

    def _end_all(self) -> None:
        with self._lock:
            for watched in self._watched.values():
                watched.wanted = False
            children = sorted((each.child for each in self._watched.values()), key=_rank)
        for _, together in groupby(children, key=_rank):
            self._end(list(together))

    def _end(self, children: list[Child]) -> None:
        for child in children:
            child.ask_to_end()
        asked_at = time.monotonic()
        for child in children:
            while not child.wait(POLL_S):
                if self._hurry.is_set():
                    break
                if time.monotonic() - asked_at > child.spec.grace_s:
                    break
            if child.pid is not None and not child.spec.expect_kill and not self._hurry.is_set():
                self._echo(f"{child.spec.name} did not end within {child.spec.grace_s:g} s and was killed")
            with self._lock:
                self._forget(child)

    # The guard

    def _tell_guard(self, line: str) -> None:
        if self._guard.stdin is not None:
            with suppress(BrokenPipeError):  # the next look renews it and tells it everything
                self._guard.stdin.write(f"{line}\n")
                self._guard.stdin.flush()

    def _renew_guard(self) -> None:
        if self._guard.poll() is None:
            return
        self._dismiss_guard()
        self._guard = _start_guard(self._held)
        for watched in self._watched.values():
            if watched.child.pid is not None:
                self._tell_guard(f"+{watched.child.pid}")

    def _dismiss_guard(self) -> None:
        if self._guard.stdin is not None:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
        self._guard.wait()


class _Watched:
    """A process and what is wanted of it."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.wanted = True
        self.restart = True
        self.running = False
        self.start_at: float | None = None
        self.deaths: deque[float] = deque(maxlen=DEATHS_ALLOWED)


def _rank(child: Child) -> int:
    return child.spec.stop_rank


def _start_guard(held: tuple[int, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        pass_fds=held,
        start_new_session=True,
    )
