"""Canaries: a known portrait goes through a real worker every so often, and what became of it is a sign of life.

A process that says it lives may still measure nothing: its mesh is broken, or it hangs. A result of a job says as much
as a canary; under a long queue, where a canary waits behind others, it is what there is. A rejection says nothing: a
broken mesh finds no face anywhere.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from shared.clock import MS_PER_S, to_ms
from shared.names import QueueName

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.jobs.lifecycle import JobLifecycle
    from shared.jobs.store import JobStore
    from shared.telemetry.store import SignsOfLife

logger = logging.getLogger(__name__)

INTERVALS: Final = 3
"""For so many intervals a sign of life counts: one canary may be lost with a process that is killed."""
FIRST_EVERY_S: Final = 1.0
"""How soon another is sent while none was ever answered."""
_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class Sign:
    """The latest sign of life of a queue's workers, or what is wrong.

    Attributes
    ----------
    seen : str or None
        Which kind it is.
    age_s : float or None
        How old it is.
    canary_s : float or None
        How long the last good canary took.
    trouble : str or None
        Why no photo would be measured now.
    """

    seen: Literal["canary", "photo"] | None = None
    age_s: float | None = None
    canary_s: float | None = None
    trouble: str | None = None


def latest_sign(store: JobStore, queue: QueueName, settings: Settings, *, now_ms: int) -> Sign:
    """Return the latest sign of life of the workers of a queue.

    Raises
    ------
    RecordsUnavailable
        If Redis does not answer.
    """
    signs = store.metrics.signs(queue)
    seen_ms, seen = _latest(signs)
    age_s = None if seen_ms is None else max(0.0, round((now_ms - seen_ms) / MS_PER_S, _DECIMALS))
    trouble = None
    if not store.live_workers(queue):
        trouble = f"no worker process has said lately that it is ready for {queue} photos"
    elif age_s is None:
        trouble = f"no worker of {queue} photos has measured anything yet"
    elif age_s > INTERVALS * settings.canary_interval_s:
        trouble = f"no worker of {queue} photos has measured anything for {age_s:.0f} s"
    return Sign(seen, age_s, signs.canary_s, trouble)


def _latest(signs: SignsOfLife) -> tuple[int | None, Literal["canary", "photo"] | None]:
    canary_ms, photo_ms = signs.ok_ms, signs.measured_ms
    if photo_ms is not None and (canary_ms is None or photo_ms > canary_ms):
        return photo_ms, "photo"
    return canary_ms, None if canary_ms is None else "canary"


def send_due_canaries(jobs: JobLifecycle) -> Counter[str]:
    """Send a canary to each queue that is due one; return nothing, since that is no news.

    One that is not answered may still wait behind photos. Another is sent only when nothing waits at the broker, so
    that canaries do not pile up where nobody answers.

    Raises
    ------
    RecordsUnavailable, QueueUnavailable
    """
    for queue in QueueName:
        signs = jobs.store.metrics.signs(queue)
        if _is_due(signs, jobs.clock(), jobs.settings) and (_is_answered(signs) or jobs.doorbell.depth(queue) == 0):
            jobs.store.metrics.canary_sent(queue)
            jobs.doorbell.send_canary(queue)
    return Counter()


def _is_answered(signs: SignsOfLife) -> bool:
    if signs.sent_ms is None:
        return True
    return signs.answered_ms is not None and signs.answered_ms >= signs.sent_ms


def _is_due(signs: SignsOfLife, now_ms: int, settings: Settings) -> bool:
    every_s = settings.canary_interval_s if signs.answered_ms is not None else FIRST_EVERY_S
    return signs.sent_ms is None or now_ms >= signs.sent_ms + to_ms(every_s)
