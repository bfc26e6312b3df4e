"""What fetching asks of the store of job records. Every change is one atomic step.

A job is due to be fetched for as long as its record awaits a photo from a URL: the step that writes such a record
lines it up, and the step that moves or drops it takes it out. So nothing here can be forgotten or left over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from shared.jobs.record import JobRecord


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How many photos may be fetched at once, over all fetchers.

    Attributes
    ----------
    per_receiver : int
        For one tenant from one `host:port`.
    per_tenant : int
        For one tenant.
    per_receiver_all : int
        For all tenants together from one `host:port`.
    """

    per_receiver: int
    per_tenant: int
    per_receiver_all: int


@dataclass(frozen=True, slots=True)
class FetchClaim:
    """The right to fetch one photo until the lease ends.

    Attributes
    ----------
    token : str
        Proves it.
    step : int
        How many attempts failed before this one.
    lost : int
        How many fetchers did not come back before.
    is_first : bool
        Whether no fetcher has had it in its hands, so that nothing of it can be in storage.
    """

    record: JobRecord
    token: str = field(repr=False)
    step: int = 0
    lost: int = 0
    is_first: bool = True


class FetchStore(Protocol):
    """The photos that are to be fetched, and by when. Methods raise `RecordsUnavailable` as those of `JobStore` do."""

    def claim(self, limits: FetchLimits, *, lease_s: float) -> FetchClaim | None:
        """Give a photo that is due to the caller, or None.

        Tenants are served in turn, and so are the receivers of one tenant; from a receiver, photos of batches and those
        of their own come in turn, so that none of the latter waits for a batch. What a fetcher holds for longer than
        its lease is due again. Items of a cancelled batch are not given.
        """
        ...

    def renew(self, claim: FetchClaim, *, lease_s: float) -> bool:
        """Let the lease begin anew; False if the claim is not valid: ended, deleted, or somebody else's."""
        ...

    def put_off(self, claim: FetchClaim, *, due_ms: int, step: int) -> bool:
        """Take a claim back; the photo is due again at a time, after `step` failed attempts. False if not valid."""
        ...
