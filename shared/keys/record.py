"""What is known of a key: everything but its secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class KeyState(StrEnum):
    """Whether a key opens the door."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a tenant.

    Attributes
    ----------
    name : str
        What people call it: the portal or person that holds it.
    secret_sha256 : str
        The hash of its secret, in hex.
    created_ms, expires_ms, revoked_ms : int or None
        In milliseconds since the epoch; None for what is not set, or did not happen.
    """

    id: str
    tenant: str
    name: str
    secret_sha256: str = field(repr=False)
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None

    def state(self, now_ms: int) -> KeyState:
        """Tell whether it opens the door at a time."""
        if self.revoked_ms is not None:
            return KeyState.REVOKED
        if self.expires_ms is not None and self.expires_ms <= now_ms:
            return KeyState.EXPIRED
        return KeyState.ACTIVE
