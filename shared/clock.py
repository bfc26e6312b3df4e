"""Time as the core keeps it: whole milliseconds since the epoch, from a clock that tests can set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

MS_PER_S: Final = 1000

Clock = Callable[[], int]
"""Returns the time in milliseconds since the epoch.

Leases compare the clocks of different machines; they may disagree by a few seconds, far less than the 20 s between
the time limit of a photo and the end of its lease.
"""


def system_clock() -> int:
    """Return the machine's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def to_ms(seconds: float) -> int:
    """Turn seconds into whole milliseconds."""
    return round(seconds * MS_PER_S)


def from_ms(time_ms: int) -> datetime:
    """Turn milliseconds since the epoch into an aware UTC time."""
    return datetime.fromtimestamp(time_ms / MS_PER_S, tz=UTC)
