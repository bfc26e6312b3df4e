"""Standard Webhooks: what makes a delivery provable, and recognisable when it comes twice.

The signature is HMAC-SHA256 of `id.timestamp.body`; the `standardwebhooks` library computes it. Its `sign` takes the
clock time of a `datetime` for UTC whatever its zone, and its reading of base64 passes over what is none; both are
settled before it is called.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks.webhooks import Webhook

from shared.clock import MS_PER_S

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with is none
SECRET_BYTES: Final = (24, 64)
"""The least and the most, by the specification's table of signature schemes."""
NEW_SECRET_BYTES: Final = 32
"""As many as SHA-256 gives; more add nothing to HMAC: RFC 2104, section 3."""

WEBHOOK_ID_PREFIX: Final = "msg_"
_ID_BYTES: Final = 16
_WEBHOOK_ID: Final = re.compile(r"[A-Za-z0-9_-]+")
"""Above all no full stop: id, time and body are signed with one between them."""


def new_secret() -> str:
    """Return a new secret, `whsec_` and base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(NEW_SECRET_BYTES)).decode()


def check_secret(secret: str) -> None:
    """Make sure of a secret that came from outside, such as one that a receiver already has.

    Raises
    ------
    ValueError
        If it is not `whsec_` and base64 of 24 to 64 bytes; the message does not repeat it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    least, most = SECRET_BYTES
    if not (secret.startswith(SECRET_PREFIX) and least <= len(key) <= most):
        message = f"a webhook secret is {SECRET_PREFIX!r} and base64 of {least} to {most} bytes"
        raise ValueError(message)


def sign(body: bytes, *, webhook_id: str, sent_ms: int, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers that prove a delivery.

    Parameters
    ----------
    body : bytes
        Just as it is sent; UTF-8.
    webhook_id : str
        The same for each attempt at a delivery.
    sent_ms : int
        When this attempt is made, in milliseconds since the epoch; receivers take a few minutes of difference.
    secrets : sequence of str
        Those that are valid, the newest first; a signature by each is given while they are changed.

    Raises
    ------
    ValueError
        If a secret or the id is malformed, or there is no secret.
    """
    if _WEBHOOK_ID.fullmatch(webhook_id) is None:
        message = f"not a webhook id: {webhook_id!r}"
        raise ValueError(message)
    if not secrets:
        message = "a delivery is signed with at least one secret"
        raise ValueError(message)
    for secret in secrets:
        check_secret(secret)
    sent_s = sent_ms // MS_PER_S
    sent_at = datetime.fromtimestamp(sent_s, tz=UTC)
    signatures = [Webhook(secret).sign(webhook_id, sent_at, body.decode()) for secret in secrets]
    return {"webhook-id": webhook_id, "webhook-timestamp": str(sent_s), "webhook-signature": " ".join(signatures)}


def webhook_id(object_id: str, event: str, run: int) -> str:
    """Return the id of an event: the same however often it is noticed, delivered or delivered again.

    Parameters
    ----------
    object_id : str
        Of the job or batch.
    event : str
        Such as `job.succeeded`.
    run : int
        Which run of the object the event ends; a retry is another.
    """
    digest = hashlib.sha256(f"{object_id}\n{event}\n{run}".encode()).digest()[:_ID_BYTES]
    return WEBHOOK_ID_PREFIX + digest.hex()
