"""What a process does every so often, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import Transient

logger = logging.getLogger(__name__)

_AFTER_A_BUG_S: Final = 30.0


@dataclass(slots=True)
class Duty:
    """Something to be done every so often."""

    name: str
    run: Callable[[], Counter[str]]
    every_s: float
    due_s: float = 0.0

    def run_if_due(self) -> None:
        """Do it if it is time; what goes wrong is logged, and done again later."""
        if time.monotonic() < self.due_s:
            return
        try:
            done = self.run()
        except Transient as error:
            logger.warning("%s is put off: %s", self.name, error)
            return
        except Exception:  # the outer wall of this process: one bad object must not stop the rest of the upkeep
            logger.exception("%s went wrong", self.name)
            self.due_s = time.monotonic() + _AFTER_A_BUG_S
            return
        if done:
            logger.info("%s: %s", self.name, ", ".join(f"{kind} {count}" for kind, count in sorted(done.items())))
        self.due_s = time.monotonic() + self.every_s


def do_all(duties: Sequence[Duty], pause_s: float, stop: threading.Event) -> None:
    """Do each duty when it is due, one after the other, until `stop` is set."""
    while not stop.is_set():
        for duty in duties:
            duty.run_if_due()
        stop.wait(pause_s)


def until_told_to_stop() -> threading.Event:
    """Return what SIGTERM and SIGINT set."""
    stop = threading.Event()

    def set_stop(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, set_stop)
    signal.signal(signal.SIGINT, set_stop)
    return stop
