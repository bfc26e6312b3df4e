"""What an idempotency key stands for, and what the core asks of the index of keys.

The durable copy lies with the options of a job or in the manifest of a batch; the index is made from it again. An entry
is written after the commit in storage and before the record: so whoever finds a commit without a record knows that the
entry may be lacking too.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from shared.clock import to_ms
from shared.config import DAY_S
from shared.errors import KeyTaken, Transient

LOCK_S: Final = 120.0
"""How long a request holds its key unless it says that it still lives: as long as a photo may take to arrive."""
_LEFT_BEHIND: Final = "left behind: "
"""What the fingerprint of a request begins with that was refused; others are digits."""
KEPT_S: Final = DAY_S
"""How long a key is kept from when its job or batch was made."""


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A key of a tenant; the key itself is kept nowhere."""

    tenant: str
    key_hash: str

    @classmethod
    def of(cls, tenant: str, key: str) -> KeySlot:
        """Return where a key as a client sent it is kept."""
        return cls(tenant, hashlib.sha256(key.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class KeyMark:
    """What is written down with a job or batch that was made under a key.

    Attributes
    ----------
    fingerprint : str
        The same for the same request.
    token : str
        Who holds the key; empty when it is read from storage.
    """

    slot: KeySlot
    fingerprint: str
    token: str = ""

    def as_kept(self) -> dict[str, str]:
        """Return the part that storage keeps."""
        return {"key": self.slot.key_hash, "fingerprint": self.fingerprint}

    @classmethod
    def from_kept(cls, tenant: str, kept: dict[str, str]) -> KeyMark:
        """Read what `as_kept` returned; raises KeyError or TypeError of anything else."""
        return cls(KeySlot(tenant, str(kept["key"])), str(kept["fingerprint"]))


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What a key was used for: the job or batch that was made, and of which request."""

    object_id: str
    fingerprint: str

    @property
    def is_left_behind(self) -> bool:
        """Whether it was refused and could not be taken back: to be buried before the key is used for anything."""
        return self.fingerprint.startswith(_LEFT_BEHIND)


class Reservation(StrEnum):
    """What became of a key that is known for nothing yet."""

    RESERVED = "reserved"
    """The caller holds it."""
    IN_FLIGHT = "in_flight"
    """Another request holds it."""


def kept_until_ms(created_ms: int, expires_ms: int) -> int:
    """Return until when the key of a job or batch is kept: never longer than that itself."""
    return min(created_ms + to_ms(KEPT_S), expires_ms)


class IdempotencyIndex(Protocol):
    """Who holds a key now, and what it was used for.

    Every change is one atomic step, and bears being made twice. Every method raises `RecordsUnavailable` when the store
    does not answer in time.
    """

    def reserve(self, slot: KeySlot, token: str, *, lock_s: float) -> Reservation | KnownRequest:
        """Hold a key for `lock_s` from now, also anew, unless it is known or another token holds it.

        Raises
        ------
        RecordsRebuilding
            If the index was lost and is not complete again, so that a known key might look new.
        """
        ...

    def confirm(self, mark: KeyMark, object_id: str, *, until_ms: int) -> bool:
        """Note what the key was used for; False if another token holds it, or it is known for something else."""
        ...

    def release(self, slot: KeySlot, token: str) -> None:
        """Forget whatever the holder of `token` noted under the key."""
        ...

    def restore(self, mark: KeyMark, object_id: str, *, until_ms: int) -> None:
        """Note what a key was used for by what storage says, whoever holds it; the mark has no token.

        What was confirmed stands: its client was told of it. Of two objects in storage the later stands: the earlier is
        of a request that was never answered, or refused and not taken back, after which its client sent the other.
        """
        ...

    def forget(self, object_id: str) -> None:
        """Forget the key that an object was made under, if any. Dropping the object's record does so too."""
        ...


class Expiring(Protocol):
    """A record of a job or batch."""

    @property
    def id(self) -> str:
        """The job's or the batch's own."""
        ...

    @property
    def created_ms(self) -> int:
        """When it was made, in milliseconds since the epoch."""
        ...

    @property
    def expires_ms(self) -> int:
        """When it is forgotten."""
        ...


def confirm_key(index: IdempotencyIndex, mark: KeyMark, made: Expiring) -> None:
    """Note what a key was used for; raise `KeyTaken` if its holder was too slow and lost it."""
    if not index.confirm(mark, made.id, until_ms=kept_until_ms(made.created_ms, made.expires_ms)):
        raise KeyTaken(made.id)


def leave_key(index: IdempotencyIndex, mark: KeyMark, left: Expiring) -> None:
    """Note under a key what was refused and may be in storage all the same, so that its next request buries it.

    Its holder is not to give the key back then. Where it cannot be noted the key is held until its lock is over, and a
    request after that makes another; if the sweep finds the first before that, it stands for the key instead. If the
    holder has lost the key, what the other noted stands.
    """
    refused = replace(mark, fingerprint=f"{_LEFT_BEHIND}{mark.fingerprint}")
    for _ in range(2):  # the first may fail by a connection that was lost unnoticed
        with suppress(Transient):
            index.confirm(refused, left.id, until_ms=kept_until_ms(left.created_ms, left.expires_ms))
            return
