"""A batch's record: what is counted of its items, and what follows from the counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.clock import MS_PER_S
from shared.schemas import BatchStatus, JobStatus

RATE_WINDOW_MS: Final = 15_000
"""Ends are counted in windows of this length; the rate is that of the current and the one before, 15 to 30 s."""

MAKING_LIMIT_S: Final = 3000.0
"""How long a batch may be in the making: less than the hour after which uploads without a manifest are swept."""


class BatchSource(StrEnum):
    """How the photos of a batch come in."""

    UPLOAD = "upload"
    """With the request that made the batch."""
    PRESIGNED = "presigned"
    """Straight to storage, by upload forms."""
    URL = "url"
    """Fetched from addresses that the client named."""


@dataclass(frozen=True, slots=True)
class EndsSeen:
    """How many items ended lately.

    Attributes
    ----------
    window : int
        The number of the last window in which one ended: its start over `RATE_WINDOW_MS`.
    here, before : int
        How many ended in that window, and in the one before it.
    """

    window: int = 0
    here: int = 0
    before: int = 0

    def with_one_more(self, now_ms: int) -> EndsSeen:
        """Return this after another item ended now."""
        window = now_ms // RATE_WINDOW_MS
        if window == self.window:
            return EndsSeen(window, self.here + 1, self.before)
        return EndsSeen(window, 1, self.here if window == self.window + 1 else 0)

    def per_second(self, now_ms: int) -> float | None:
        """Return how many end in a second, or None when none did lately."""
        behind = now_ms // RATE_WINDOW_MS - self.window
        ended = self.here + self.before if behind == 0 else self.here if behind == 1 else 0
        if ended == 0:
            return None
        return ended * MS_PER_S / (RATE_WINDOW_MS + now_ms % RATE_WINDOW_MS)


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """The working copy of what is known of a batch; its manifest is what it can be rebuilt from.

    Times are milliseconds since the epoch.

    Attributes
    ----------
    total : int
        How many items its manifest has.
    deadline_ms : int or None
        By when the photos must have come, if they do not come with the request.
    sealed : bool
        Every item has a record or was deleted: only then can the batch be complete.
    completed_ms : int or None
        When the last item ended; none while one is open.
    run : int
        Counts from 1; rises when failed items of a complete batch are run again.
    completions : int
        How many times the batch became complete since its record was made: once for each run at most.
    gone : int
        How many items were deleted one by one.
    counts : mapping of JobStatus to int
        How many items have a record in each status.
    announces : bool
        Whether a receiver is to be told when it is complete.
    """

    id: str
    tenant: str
    source: BatchSource
    total: int
    created_ms: int
    expires_ms: int
    deadline_ms: int | None = None
    started_ms: int | None = None
    cancelled_ms: int | None = None
    completed_ms: int | None = None
    sealed: bool = False
    run: int = 1
    completions: int = 0
    gone: int = 0
    counts: Mapping[JobStatus, int] = field(default_factory=dict)
    ends_seen: EndsSeen = field(default_factory=EndsSeen)
    announces: bool = False

    @property
    def status(self) -> BatchStatus:
        """Where the batch is in its life; a cancelled one may still have items that a worker is just measuring."""
        if self.cancelled_ms is not None:
            return BatchStatus.CANCELLED
        if self.completed_ms is not None:
            return BatchStatus.COMPLETED
        if self.source is BatchSource.PRESIGNED and self.started_ms is None:
            return BatchStatus.AWAITING_UPLOAD
        return BatchStatus.RUNNING

    @property
    def lacks_records(self) -> bool:
        """Whether items have no record yet: of a batch just being written, or whose writer died or stood still.

        One that is not sealed need not: it is unsealed for another run too.
        """
        return not self.sealed and sum(self.counts.values()) + self.gone < self.total

    @property
    def open_items(self) -> int:
        """How many items have not ended, those without a record yet among them."""
        ended = sum(count for status, count in self.counts.items() if status.is_terminal)
        return max(0, self.total - self.gone - ended)

    @property
    def progress(self) -> float:
        """Which share of the items has ended, 0 to 1."""
        there = self.total - self.gone
        return 1.0 - self.open_items / there if there > 0 else 1.0

    def images_per_second(self, now_ms: int) -> float | None:
        """Return how many items end in a second, or None when none did in the last 15 to 30 s."""
        return self.ends_seen.per_second(now_ms)

    def eta_s(self, now_ms: int) -> float | None:
        """Return in how many seconds the last item will have ended, going on like this; None if nobody can say."""
        if self.open_items == 0:
            return 0.0
        rate = self.images_per_second(now_ms)
        return self.open_items / rate if rate else None
