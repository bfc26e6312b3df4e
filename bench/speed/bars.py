"""The bars that the service is held to: what each says, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bench.speed.rounds import Figure

TIMES: Final = " \N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes
    ----------
    text : str
        What is measured.
    goal : float
        What is to be reached.
    at_least : bool
        Whether more is better; else less is.
    unit : str
        What follows a figure.
    decimals : int
        How many digits of it mean anything.
    """

    text: str
    goal: float
    at_least: bool = True
    unit: str = ""
    decimals: int = 2

    def is_met(self, value: float) -> bool:
        """Tell whether a figure reaches the goal."""
        return value >= self.goal if self.at_least else value <= self.goal


_EFFICIENCY: Final = "bare loop's CPU per photo ÷ that of all worker processes"
_SERVICE: Final = "photos/s of the whole service ÷ the original service's at its best"

BARS: Final = {
    "efficiency_12mp": Bar(f"{_EFFICIENCY}, 12 MP phone photos, 16 at once", 0.85),
    "efficiency_12mp_batch": Bar("the same, in a batch", 0.85),
    "efficiency_512_one": Bar(f"{_EFFICIENCY}, 512 px, one by one", 0.50),
    "efficiency_512_batch": Bar("the same, in a batch", 0.70),
    "service_12mp": Bar(f"{_SERVICE}, 12 MP, 16 at once", 3.0, unit=TIMES),
    "service_12mp_batch": Bar("the same, in a batch", 3.0, unit=TIMES),
    "service_512": Bar(f"{_SERVICE}, 512 px, 16 at once", 1.0, unit=TIMES),
    "service_512_batch": Bar("the same, in a batch", 1.0, unit=TIMES),
    "idle_latency": Bar(
        "one photo on an idle service, submit to result, less decode and mesh, median",
        20.0,
        at_least=False,
        unit=" ms",
        decimals=1,
    ),
    "accepted": Bar("photos of 100 kB accepted per second of the API's CPU", 250.0, unit=" /s", decimals=0),
    "polls": Bar("status polls per second of the API's CPU", 1500.0, unit=" /s", decimals=0),
    "polls_unchanged": Bar("the same, with `If-None-Match`", 1500.0, unit=" /s", decimals=0),
    "memory_growth": Bar(
        "memory of a worker child after 5,000 photos ÷ after 200", 1.05, at_least=False, unit=TIMES, decimals=3
    ),
    "memory": Bar("memory of a worker child then", 250.0, at_least=False, unit=" MB", decimals=0),
    "scaling": Bar("photos/s of a batch with 2 worker processes ÷ with 1", 1.8, unit=TIMES),
    "large_batch_cost": Bar("CPU per photo of a large batch ÷ of one of 100", 1.1, at_least=False, unit=TIMES),
    "latency_beside_batch": Bar(
        "a single photo while a large batch runs ÷ on an idle service, p95", 3.0, at_least=False, unit=TIMES
    ),
    "start_up": Bar("from starting a worker process to the first result", 3.0, at_least=False, unit=" s"),
    "landmarks_moved": Bar(
        "landmarks moved by the reduced decode, in per cent of the distance between the eye corners",
        0.5,
        at_least=False,
        unit=" %",
    ),
}


def reached(figure: Figure) -> dict[str, Any]:
    """Return what is kept of a figure."""
    return {"median": figure.median, "low": figure.low, "high": figure.high, "rounds": figure.rounds}
