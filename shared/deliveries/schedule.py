"""When a delivery is tried again: the schedule, what a receiver asks for, and what an attempt leads to."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from shared.clock import MS_PER_S, to_ms
from shared.deliveries.record import Attempt, DeliveryRecord, DeliveryStatus, Verdict

SCHEDULE_S: Final = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""The pause before each attempt. Standard Webhooks, "Retry Schedule": 27.6 hours in all."""
JITTER: Final = 0.2
"""A pause is longer by up to this share, so that what failed together does not come back together; never shorter."""
MAX_RETRY_AFTER_S: Final = max(SCHEDULE_S)
"""No receiver can put a delivery off for longer than the schedule itself does."""
DISABLED_S: Final = 86_400.0
"""How long a target that answered 410 is left alone."""
FREE_INTERRUPTIONS: Final = 3
"""How many attempts of a round may be lost with their sender before such an attempt counts as one that failed."""
INTERRUPTED: Final = "interrupted"

Jitter = Callable[[], float]
"""Returns a number between 0 and 1."""


def verdict_after(
    record: DeliveryRecord,
    attempt: Attempt,
    *,
    now_ms: int,
    retry_after_s: float | None = None,
    jitter: Jitter = random.random,
) -> Verdict:
    """Judge a delivery after one more attempt.

    Parameters
    ----------
    record : DeliveryRecord
        As it was when the attempt began.
    retry_after_s : float or None
        What the receiver asked for; it can make the pause longer, not shorter.
    """
    if attempt.is_success:
        return Verdict(DeliveryStatus.DELIVERED, record.step + 1, record.interruptions)
    if attempt.is_gone:
        disable_until_ms = now_ms + to_ms(DISABLED_S)
        return Verdict(DeliveryStatus.FAILED, record.step + 1, record.interruptions, disable_until_ms=disable_until_ms)
    interruptions = record.interruptions + (attempt.error == INTERRUPTED)
    if attempt.error == INTERRUPTED and interruptions <= FREE_INTERRUPTIONS:
        return Verdict(DeliveryStatus.PENDING, record.step, interruptions, next_ms=now_ms)
    step = record.step + 1
    if step >= len(SCHEDULE_S):
        return Verdict(DeliveryStatus.FAILED, step, interruptions)
    pause_s = max(SCHEDULE_S[step] * (1 + JITTER * jitter()), min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))
    return Verdict(DeliveryStatus.PENDING, step, interruptions, next_ms=now_ms + to_ms(pause_s))


def retry_after_s(value: str | None, *, now_ms: int) -> float | None:
    """Read a `Retry-After` header, seconds or a date (RFC 9110, section 10.2.3); None for what is neither.

    What lies in the past asks for nothing.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the year 99999999999, and the like
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    left_s = (aware - datetime.fromtimestamp(now_ms / MS_PER_S, tz=UTC)).total_seconds()
    return max(0.0, left_s)
