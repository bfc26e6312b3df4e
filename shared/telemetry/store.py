"""What the telemetry asks of the store of records: amounts that add up, what processes hold now, signs of life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.names import QueueName
from shared.schemas import JobStatus

CANARY_KEPT_S: Final = 86_400.0
"""How long it is known what became of the last canary."""
TOKEN_KEPT_S: Final = 600.0
"""How long it is known that amounts were added, should they be sent again because the answer was lost."""


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """What is known of the workers of a queue; times are milliseconds since the epoch.

    Attributes
    ----------
    sent_ms : int or None
        When the last canary was sent.
    answered_ms : int or None
        When the last canary was measured, rightly or wrongly.
    ok_ms : int or None
        When the last one was measured as it should be.
    canary_s : float or None
        How long that took.
    measured_ms : int or None
        When the last job ended with a result.
    """

    sent_ms: int | None = None
    answered_ms: int | None = None
    ok_ms: int | None = None
    canary_s: float | None = None
    measured_ms: int | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """How long a queue is, since when its longest waiting job waits, and how many processes watch it."""

    depth: int
    oldest_ms: int | None
    live_workers: int
    signs: SignsOfLife


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the store knows of at one time.

    Attributes
    ----------
    counts : mapping of str to float
        The amount of each series, as `shared.metrics` names them.
    held : sequence of mappings of str to float
        What each process holds now, by series.
    open_jobs : mapping
        Jobs that have not ended.
    queues : mapping
        The state of each queue.
    cleanups_owed, cleanups_oldest_ms : int, int or None
        Debts to storage, and when the oldest was made.
    memory_bytes, memory_limit_bytes : int
        What the store uses and what it may use, 0 for no limit.
    is_rebuilt : bool
        Whether the records are complete.
    """

    counts: Mapping[str, float]
    held: Sequence[Mapping[str, float]]
    open_jobs: Mapping[tuple[QueueName, JobStatus], int]
    queues: Mapping[QueueName, QueueState]
    cleanups_owed: int = 0
    cleanups_oldest_ms: int | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    is_rebuilt: bool = False
    taken_ms: int = field(default=0)


class MetricStore(Protocol):
    """Amounts and signs; lost with the records. Every method raises `RecordsUnavailable` as those of records do."""

    def add(self, token: str, amounts: Mapping[str, float]) -> bool:
        """Add amounts to their series; False if those of this token were added before."""
        ...

    def hold(self, process: str, values: Mapping[str, float], *, valid_s: float) -> None:
        """Note what a process holds now, in the place of what it held; out of date after `valid_s`."""
        ...

    def snapshot(self) -> Snapshot:
        """Return all of it."""
        ...

    def signs(self, queue: QueueName) -> SignsOfLife:
        """Return what is known of the workers of a queue."""
        ...

    def canary_sent(self, queue: QueueName) -> None:
        """Note that a canary was sent."""
        ...

    def canary_measured(self, queue: QueueName, *, took_s: float, is_ok: bool) -> None:
        """Note that a canary was measured."""
        ...
