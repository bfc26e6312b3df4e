"""Faults 14 and 15: the API killed between two of its writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.faults import points
from tests.faults.fault import Fault, Strike


def killed_at(point: str) -> Callable[[Strike], None]:
    def strike_there(strike: Strike) -> None:
        for _ in range(strike.times(15, 3)):
            strike.break_at(point)
            strike.pause(0.3, 1.5)

    return strike_there


FAULTS: Final = (
    Fault(14, "API killed after storing, before recording", killed_at(points.STORED), lasts_s=40),
    Fault(15, "API killed after recording, before ringing", killed_at(points.RECORDED), lasts_s=40),
)
