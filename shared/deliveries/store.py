"""What the deliveries ask of the store of their records.

Every change is one atomic step. Every method raises `RecordsUnavailable` when the store does not answer in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.deliveries.record import Attempt, DeliveryRecord, DeliveryStatus, Verdict


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """The right to make one attempt until the lease ends.

    Attributes
    ----------
    record : DeliveryRecord
        As it is at the claim.
    token : str
        Proves it.
    claimed_ms : int
        When it was given.
    secrets_version : str
        Changes whenever the tenant's secrets do; empty when that is not known.
    """

    record: DeliveryRecord
    token: str = field(repr=False)
    claimed_ms: int
    secrets_version: str = ""


@dataclass(frozen=True, slots=True)
class DisabledTarget:
    """A URL of a tenant that answered 410.

    Attributes
    ----------
    url : str
        Without its query.
    delivery_id : str
        The delivery that was answered so.
    """

    url: str
    since_ms: int
    until_ms: int
    delivery_id: str


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries a list asks for: those of `tenant` in falling order of their ids, after `before_id`."""

    tenant: str
    limit: int
    job_id: str | None = None
    batch_id: str | None = None
    status: DeliveryStatus | None = None
    before_id: str | None = None

    def takes(self, record: DeliveryRecord) -> bool:
        """Tell whether a delivery is asked for, its place in the order left aside."""
        return (
            record.tenant == self.tenant
            and self.job_id in {None, record.job_id}
            and self.batch_id in {None, record.batch_id}
            and self.status in {None, record.status}
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How many attempts may be made at once, whatever sender makes them.

    Attributes
    ----------
    per_receiver : int
        By one tenant to one `host:port`.
    per_tenant : int
        By one tenant.
    per_receiver_all : int
        By all tenants together to one `host:port`.
    """

    per_receiver: int
    per_tenant: int
    per_receiver_all: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many deliveries are due that nobody has taken, and since when the one that is due longest is."""

    count: int
    oldest_ms: int | None


class DeliveryStore(Protocol):
    """The records of deliveries, and what is due about them."""

    # The life of one delivery

    def create(self, record: DeliveryRecord) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        ...

    def get(self, delivery_id: str) -> DeliveryRecord | None:
        """Return a record, or None."""
        ...

    def claim(self, limits: Limits, *, lease_s: float) -> DeliveryClaim | None:
        """Give a delivery that is due to the caller, or None.

        Tenants are served in turn, and so are the receivers of one tenant. What is due to a disabled target is put
        off until the target is enabled, unless it is forced.
        """
        ...

    def settle(self, claim: DeliveryClaim, attempts: Sequence[Attempt], verdict: Verdict) -> DeliveryRecord | None:
        """Note attempts and what follows from them; return the record as it is then, or None if there is none.

        Attempts that are noted already are not noted twice. The verdict counts while the claim is valid; afterwards
        only one that says delivered does, in the same round. The record counts as not archived from here. A delivery
        that arrived enables its target again.
        """
        ...

    def give_back(self, claim: DeliveryClaim, *, retry_after_s: float) -> bool:
        """Take a claim back as if it had not been given; due again after a pause. False if it is not valid."""
        ...

    def reopen(self, reopened: DeliveryRecord) -> bool:
        """Make a delivery due in the round that `reopened` is of.

        False if it is not in the round before, or an attempt is being made.
        """
        ...

    def drop(self, delivery_id: str) -> None:
        """Forget a record."""
        ...

    # Reading many

    def list_deliveries(self, query: DeliveryQuery) -> list[DeliveryRecord]:
        """Return up to `query.limit` deliveries, in falling order of their ids."""
        ...

    def of_object(self, tenant: str, object_id: str) -> list[str]:
        """Return the ids of all deliveries of a job or batch, those of a batch's jobs among them."""
        ...

    def disabled_targets(self, tenant: str) -> list[DisabledTarget]:
        """Return the targets that are disabled now, the latest first."""
        ...

    # What is due

    def overdue(self) -> Overdue:
        """Return how much is due that no sender has taken."""
        ...

    def lost_claims(self, limit: int) -> list[DeliveryClaim]:
        """Return claims whose lease ran out."""
        ...

    def release_held(self, limit: int) -> int:
        """Make up to `limit` deliveries due whose target is enabled again; return how many there were."""
        ...

    def unarchived(self, limit: int, *, grace_s: float) -> list[str]:
        """Return deliveries that changed more than `grace_s` ago and were not archived since."""
        ...

    def archived(self, record: DeliveryRecord) -> bool:
        """Note that storage has the record as it is here; False if there is no record.

        If the record changed since, it is owed to storage, also when it was there before: this may lie over it now.
        """
        ...

    def expired(self, limit: int) -> list[DeliveryRecord]:
        """Return deliveries past their time of being kept."""
        ...

    # Secrets, and the store itself

    def renew_secrets_version(self, tenant: str) -> None:
        """Tell every sender to read the tenant's secrets anew."""
        ...

    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete, that is, not lost since they were last rebuilt."""
        ...

    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        ...

    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete; False if they were lost since `token` was given."""
        ...

    def check(self) -> None:
        """Return if the store answers."""
        ...
