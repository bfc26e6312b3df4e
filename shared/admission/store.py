"""What is asked of the store that decides whether a request is admitted.

What is open is counted from the records themselves, so that it cannot drift, and is right again when they were lost
and rebuilt. Between its admission and its records a request holds a place for what it will open; a holder that dies
loses it with its lease. What was accepted in a minute or a day is counted in steps of time, and begins anew when Redis
is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from shared.admission.limits import LimitKind, TenantLimits


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding span of time, counted in steps: what happens in a step counts until the span after its end is over.

    So no span of that length ever holds more than the limit, and what is kept does not grow with it.
    """

    span_ms: int
    step_ms: int

    def step_at(self, at_ms: int) -> int:
        """Return the number of the step that a time lies in."""
        return at_ms // self.step_ms

    def ends_ms(self, step: int) -> int:
        """Return until when a step counts."""
        return (step + 1) * self.step_ms + self.span_ms


PHOTOS_WINDOW: Final = Window(span_ms=60_000, step_ms=1000)
"""A minute: 61 numbers at most."""
BYTES_WINDOW: Final = Window(span_ms=86_400_000, step_ms=600_000)
"""A day: 145 numbers at most."""


@dataclass(frozen=True, slots=True)
class Take:
    """What a request takes of its tenant's limits.

    Attributes
    ----------
    batch_id : str or None
        The batch that its jobs will belong to: as its records are written, the places held for them are given up.
    """

    photos: int = 0
    jobs: int = 0
    size_bytes: int = 0
    batches: int = 0
    batch_id: str | None = None

    def of(self, kind: LimitKind) -> int:
        """Return how much of a kind it takes."""
        return {
            LimitKind.PHOTOS: self.photos,
            LimitKind.JOBS: self.jobs,
            LimitKind.BYTES: self.size_bytes,
            LimitKind.BATCHES: self.batches,
        }[kind]


NOTHING: Final = Take()


@dataclass(frozen=True, slots=True)
class Usage:
    """What counts against a tenant's limits now.

    Attributes
    ----------
    photos_free_ms, bytes_free_ms : int
        How long until less of it counts; 0 when nothing does.
    """

    photos: int
    photos_free_ms: int
    jobs: int
    size_bytes: int
    bytes_free_ms: int
    batches: int

    def of(self, kind: LimitKind) -> int:
        """Return how much of a kind counts."""
        return {
            LimitKind.PHOTOS: self.photos,
            LimitKind.JOBS: self.jobs,
            LimitKind.BYTES: self.size_bytes,
            LimitKind.BATCHES: self.batches,
        }[kind]

    def free_ms(self, kind: LimitKind) -> int | None:
        """Return how long until less of a kind counts; None where no time tells."""
        return {LimitKind.PHOTOS: self.photos_free_ms, LimitKind.BYTES: self.bytes_free_ms}.get(kind)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a request for admission.

    Attributes
    ----------
    refused : LimitKind or None
        The limit that it would exceed; None when it is admitted.
    retry_ms : int
        How long until as much is free as it asked for; the whole span when that is more than there ever is, 0 when no
        time tells.
    usage : Usage
        With what it took itself, if it is admitted.
    """

    refused: LimitKind | None
    retry_ms: int
    usage: Usage


class AdmissionStore(Protocol):
    """Who was admitted. Every change is one atomic step, and bears being made twice.

    Every method raises `RecordsUnavailable` when the store does not answer in time.
    """

    def admit(self, tenant: str, token: str, take: Take, limits: TenantLimits, *, lease_s: float) -> Decision:
        """Take all of it for the caller, or nothing.

        Under a token that took something before, that is given back first: so the same call can be made again with more
        or less of it, and taking nothing gives all back. A refusal leaves nothing taken.
        """
        ...

    def keep(self, tenant: str, token: str, *, lease_s: float) -> bool:
        """Hold what was taken for longer; False if it is held no more."""
        ...

    def settle(self, tenant: str, token: str, *, size_bytes: int) -> bool:
        """Say that the records of what was taken are written, and how many of its bytes there were.

        False if it is held no more.
        """
        ...
