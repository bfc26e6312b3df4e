"""When a photo that could not be fetched is tried again, and when no more."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

SCHEDULE_S: Final = (0.0, 5.0, 30.0, 120.0)
"""The pause before each attempt. Short, for somebody waits: what a server does not mend in three minutes is better
told than tried for hours."""
JITTER: Final = 0.2
"""A pause is longer by up to this share, so that what failed together does not come back together; never shorter."""
MAX_RETRY_AFTER_S: Final = 600.0
"""No server can put a photo off for longer with its `Retry-After`."""
FREE_LOSSES: Final = 3
"""How many fetchers may be lost with a photo in hand before that counts as attempts that failed."""

Jitter = Callable[[], float]
"""Returns a number between 0 and 1."""


def failed_attempts(step: int, lost: int) -> int:
    """Return how many attempts count as failed when `step` failed and `lost` did not come back."""
    return step + max(0, lost - FREE_LOSSES)


def pause_s(failed: int, *, asked_s: float | None = None, jitter: Jitter = random.random) -> float | None:
    """Return how long to wait after so many failed attempts; None when there is to be no further one.

    Parameters
    ----------
    asked_s : float or None
        What the server asked for [s]; it can make the pause longer, not shorter.
    """
    if failed >= len(SCHEDULE_S):
        return None
    return max(SCHEDULE_S[failed] * (1 + JITTER * jitter()), min(asked_s or 0.0, MAX_RETRY_AFTER_S))
