"""The upkeep process: `python -m worker.upkeep`. Runs the reconciler until it is told to stop."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.config import Settings
from shared.errors import Transient
from shared.jobs.reconciler import Reconciler
from shared.observability import configure_logging
from shared.services import connect

logger = logging.getLogger("worker.upkeep")  # also when it is run as a program

_AFTER_A_BUG_S: Final = 30.0


@dataclass(slots=True)
class _Duty:
    """Something to be done every so often."""

    name: str
    run: Callable[[], Counter[str]]
    every_s: float
    due_s: float = 0.0

    def run_if_due(self) -> None:
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


def keep_up(settings: Settings, stop: threading.Event) -> None:
    """Do every duty when it is due, until `stop` is set. What takes long has a thread of its own."""
    reconciler = Reconciler(connect(settings).jobs, settings.rebuild_threads)
    pause_s = settings.reconcile_interval_s
    rebuild = (_Duty("rebuild", reconciler.rebuild_if_lost, pause_s),)
    searches = (
        _Duty("sweep", reconciler.sweep, settings.sweep_interval_s),
        _Duty("audit", reconciler.audit, settings.audit_interval_s),
    )
    batches = (_Duty("batches", reconciler.batches.due, pause_s),)
    for duties in (rebuild, searches, batches):
        threading.Thread(target=_do, args=(duties, pause_s, stop), daemon=True).start()
    _do((_Duty("due", reconciler.due, pause_s),), pause_s, stop)


def _do(duties: Sequence[_Duty], pause_s: float, stop: threading.Event) -> None:
    while not stop.is_set():
        for duty in duties:
            duty.run_if_due()
        stop.wait(pause_s)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings)
    stop = threading.Event()

    def set_stop(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, set_stop)
    signal.signal(signal.SIGINT, set_stop)
    logger.info("upkeep is running")
    keep_up(settings, stop)


if __name__ == "__main__":
    main()
