"""For receivers of webhooks: is this request facefit's? In the form of Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from facefit.errors import ConfigurationError, InvalidWebhook
from facefit.models.base import Model
from facefit.models.batches import Batch
from facefit.models.jobs import Job

TOLERANCE_S: Final = 300.0
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
_KEY_BYTES: Final = range(24, 65)
"""By the specification's table of signature schemes."""


class WebhookEvent(Model):
    """What a receiver is told, once it is proven."""

    webhook_id: str
    """The same at every attempt: take each once."""
    type: str
    """Such as `job.succeeded`."""
    timestamp: datetime
    data: dict[str, Any]

    @property
    def job(self) -> Job | None:
        """The job that it is about; None if it is about something else."""
        return Job.model_validate(self.data) if self.data.get("object") == "job" else None

    @property
    def batch(self) -> Batch | None:
        """The batch that it is about; None if it is about something else."""
        return Batch.model_validate(self.data) if self.data.get("object") == "batch" else None


class Webhook:
    """Verifies requests.

    Parameters
    ----------
    secrets : str or iterable of str
        `whsec_…`, as it was shown when it was made; two while it is being changed.
    tolerance_s : float
        How far the sender's clock may be from this one, either way.
    clock : callable
        Seconds since the epoch.

    Examples
    --------
    >>> event = Webhook(secret).verify(request.get_data(), request.headers)  # doctest: +SKIP
    """

    def __init__(
        self,
        secrets: str | Iterable[str],
        *,
        tolerance_s: float = TOLERANCE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = [_key_of(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
        if not self._keys:
            raise ConfigurationError("without a secret nothing can be verified")
        self._tolerance_s = tolerance_s
        self._clock = clock

    def verify(self, body: bytes | str, headers: Mapping[str, str]) -> WebhookEvent:
        """Return the event if the request is proven.

        Parameters
        ----------
        body : bytes or str
            Just as it came, before anything parses it.
        headers : mapping
            In whatever case.

        Raises
        ------
        InvalidWebhook
            If it is not proven, or too old; answer 401.
        """
        try:
            content = body.encode() if isinstance(body, str) else bytes(body)
            "".join(value for _, value in headers.items()).encode()
        except UnicodeEncodeError as error:  # aiohttp, for one, gives bytes that are no UTF-8 as surrogates
            raise InvalidWebhook("the request is not in UTF-8: it is none of facefit's") from error
        found = {name.lower(): value for name, value in headers.items()}
        webhook_id, sent = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
        if not webhook_id or not (sent.isascii() and sent.isdecimal()):
            raise InvalidWebhook("the request has no webhook-id, or no webhook-timestamp: it is none of facefit's")
        self._check_signatures(f"{webhook_id}.{sent}.".encode() + content, found.get("webhook-signature", ""))
        if abs(self._clock() - int(sent)) > self._tolerance_s:
            raise InvalidWebhook("the request was signed too long ago, or a clock is wrong")
        try:
            return WebhookEvent.model_validate({**_members(content), "webhook_id": webhook_id})
        except (ValidationError, ValueError) as error:
            raise InvalidWebhook("the request is signed, and yet no event") from error

    def _check_signatures(self, signed: bytes, given: str) -> None:
        signatures = [entry.removeprefix(f"{_VERSION},") for entry in given.split() if entry.startswith(f"{_VERSION},")]
        expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        # All are compared, in constant time each, whichever is right.
        matches = [hmac.compare_digest(one.encode(), other) for one in signatures for other in expected]
        if not any(matches):
            raise InvalidWebhook("the signature is not right")


def _members(content: bytes) -> dict[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        message = "no object"
        raise ValueError(message)  # noqa: TRY004 - of its content, not of a caller's argument
    return found


def _key_of(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise ConfigurationError(
            f"a webhook secret is {_PREFIX} and base64 of 24 to 64 bytes, as it was shown when made"
        )
    return key
