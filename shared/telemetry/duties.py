"""What a process does every so often, counted and guarded: one bad object must not stop the rest."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from shared.errors import Transient
from shared.metrics import DUTIES, RECONCILED
from shared.telemetry.meter import Meter

logger = logging.getLogger(__name__)

_AFTER_A_BUG_S: Final = 30.0


@dataclass(slots=True)
class Duty:
    """Something to be done every so often.

    Attributes
    ----------
    name : str
        As it is called in the log and in metrics.
    run : callable
        Does it; returns how much of each kind was set right.
    every_s : float
        The pause after it was done; what was put off is tried again at the next look.
    """

    name: str
    run: Callable[[], Counter[str]]
    every_s: float
    _due_s: float = 0.0

    def run_if_due(self, meter: Meter) -> None:
        """Do it if its time has come."""
        if monotonic() < self._due_s:
            return
        try:
            done = self.run()
        except Transient as error:
            logger.warning("%s is put off: %s", self.name, error)
            meter.count(DUTIES, self.name, "put_off")
            meter.trouble(error)
            return
        except Exception:  # the outer wall of the upkeep
            logger.exception("%s went wrong", self.name)
            meter.count(DUTIES, self.name, "wrong")
            self._due_s = monotonic() + _AFTER_A_BUG_S
            return
        meter.count(DUTIES, self.name, "done")
        for kind, count in done.items():
            meter.count(RECONCILED, kind, by=count)
        if done:
            logger.info("%s: %s", self.name, ", ".join(f"{kind} {count}" for kind, count in sorted(done.items())))
        self._due_s = monotonic() + self.every_s


def do_duties(duties: Sequence[Duty], meter: Meter, *, pause_s: float, stop: threading.Event) -> None:
    """Do each duty when it is due, one after the other, until `stop` is set."""
    while not stop.is_set():
        for duty in duties:
            duty.run_if_due(meter)
        stop.wait(pause_s)
