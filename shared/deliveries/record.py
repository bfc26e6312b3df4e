"""A delivery: one event for one target, the attempts at it, and the form it is written down in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import orjson
from ulid import ULID

from shared.signing import webhook_id
from shared.targets import receiver_of

DELIVERY_ID_PREFIX: Final = "dlv_"
DELIVERY_ID_PATTERN: Final = re.compile(r"dlv_[0-6][0-9a-hjkmnp-tv-z]{25}")
"""A prefix and a ULID in lower case."""
TEST_EVENT: Final = "webhook.test"
ATTEMPTS_KEPT: Final = 40
"""Of a delivery, the last ones: five times through the whole schedule."""
_TIME_BYTES: Final = 6
_HASH_BYTES: Final = 10
_TARGET_HASH_LENGTH: Final = 32


class DeliveryStatus(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    """An attempt is due, now or later, or is being made."""
    DELIVERED = "delivered"
    """The receiver answered with a 2xx."""
    FAILED = "failed"
    """The schedule is used up, or the receiver answered 410; it can be redelivered."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to a receiver.

    Attributes
    ----------
    at_ms : int
        When it began.
    status_code : int or None
        What was answered; None where nothing was.
    duration_ms : int or None
        How long it took; None when the sender did not live to see it.
    error : str or None
        One word for what went wrong; None when it was delivered.
    """

    at_ms: int
    status_code: int | None
    duration_ms: int | None
    error: str | None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more at this URL."""
        return self.status_code == HTTPStatus.GONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt.

    Attributes
    ----------
    disable_until_ms : int or None
        Until when its target is disabled; None where it is not.
    """

    status: DeliveryStatus
    step: int
    interruptions: int
    next_ms: int | None = None
    disable_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a job or a batch, and is told.

    Attributes
    ----------
    name : str
        Such as `job.succeeded`.
    run : int
        Which run of the object it ends. Always 1 for `batch.completed`: a batch that is retried sends no second one.
    job_id, batch_id : str or None
        The job that it is about, and the batch that it belongs to; for `batch.completed` the batch alone.
    expires_ms : int
        When the job or batch is forgotten, and all that was delivered of it.
    request_id : str or None
        That of the request that brought it, for log lines alone.
    """

    tenant: str
    name: str
    run: int
    job_id: str | None
    batch_id: str | None
    expires_ms: int
    request_id: str | None = None

    @property
    def object_id(self) -> str:
        """The job or batch that it is about."""
        found = self.job_id or self.batch_id
        if found is None:
            message = "an event is about a job or a batch"
            raise ValueError(message)
        return found


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """The working copy of what is known of a delivery; storage holds the same, and the body.

    Attributes
    ----------
    id, webhook_id : str
        Both follow from object, event and run; the first from the URL, too.
    url : str
        Where to. Its query may hold what is for the receiver alone: it is in no log and in no answer.
    round : int
        1, and one more with each redelivery.
    step : int
        How many attempts of this round count; what is next on the schedule.
    interruptions : int
        How many attempts of this round had a sender that did not come back.
    next_ms : int or None
        When the next attempt is due; None when there is none.
    request_id : str or None
        That of the request that brought what it tells of, for log lines alone.
    """

    id: str
    webhook_id: str
    tenant: str
    event: str
    job_id: str | None
    batch_id: str | None
    url: str = field(repr=False)
    created_ms: int
    expires_ms: int
    status: DeliveryStatus = DeliveryStatus.PENDING
    round: int = 1
    step: int = 0
    interruptions: int = 0
    next_ms: int | None = None
    attempts: tuple[Attempt, ...] = ()
    request_id: str | None = None

    @property
    def object_id(self) -> str:
        """What it lies beside in storage, and is deleted with; a test lies by itself."""
        return self.job_id or self.batch_id or self.id

    @property
    def log_context(self) -> dict[str, str | None]:
        """What log lines about this delivery are about."""
        return {
            "request_id": self.request_id,
            "tenant": self.tenant,
            "job": self.job_id,
            "batch": self.batch_id,
            "delivery": self.id,
        }

    @property
    def receiver(self) -> str:
        """Who is asked, as `host:port`: what the limit of requests at once counts."""
        return receiver_of(self.url)

    @property
    def target(self) -> str:
        """What a 410 disables: the very URL, hashed."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:_TARGET_HASH_LENGTH]

    @property
    def is_forced(self) -> bool:
        """Whether it is sent to a disabled target too: a person asked for it."""
        return self.round > 1 or self.event == TEST_EVENT

    def with_attempts(self, attempts: Sequence[Attempt]) -> DeliveryRecord:
        """Return this record with attempts that it does not have yet, the last ones kept."""
        new = tuple(attempt for attempt in attempts if attempt not in self.attempts)
        return replace(self, attempts=(self.attempts + new)[-ATTEMPTS_KEPT:])

    def after(self, attempts: Sequence[Attempt], verdict: Verdict) -> DeliveryRecord:
        """Return this record as it is when a verdict on it is followed."""
        return replace(
            self.with_attempts(attempts),
            status=verdict.status,
            step=verdict.step,
            interruptions=verdict.interruptions,
            next_ms=verdict.next_ms,
        )

    def reopened(self, at_ms: int) -> DeliveryRecord:
        """Return this record as it is when it is to be delivered again, with a schedule of its own."""
        return replace(
            self,
            status=DeliveryStatus.PENDING,
            round=self.round + 1,
            step=0,
            interruptions=0,
            next_ms=at_ms,
        )


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: a query is named and left out."""
    address, mark, _ = url.partition("#")[0].partition("?")
    return f"{address}{mark}{'…' if mark else ''}"


def new_delivery(event: Event, url: str, *, now_ms: int) -> DeliveryRecord:
    """Return the delivery of an event to a target: the same id however often it is owed."""
    message_id = webhook_id(event.object_id, event.name, event.run)
    return DeliveryRecord(
        id=_delivery_id(event.object_id, message_id, url),
        webhook_id=message_id,
        tenant=event.tenant,
        event=event.name,
        job_id=event.job_id,
        batch_id=event.batch_id,
        url=url,
        created_ms=now_ms,
        expires_ms=event.expires_ms,
        next_ms=now_ms,
        request_id=event.request_id,
    )


def new_test_delivery(tenant: str, url: str, *, now_ms: int, expires_ms: int) -> DeliveryRecord:
    """Return the delivery of an event that is about nothing but itself."""
    delivery_id = DELIVERY_ID_PREFIX + str(ULID()).lower()
    return DeliveryRecord(
        id=delivery_id,
        webhook_id=webhook_id(delivery_id, TEST_EVENT, 1),
        tenant=tenant,
        event=TEST_EVENT,
        job_id=None,
        batch_id=None,
        url=url,
        created_ms=now_ms,
        expires_ms=expires_ms,
        next_ms=now_ms,
    )


def _delivery_id(object_id: str, message_id: str, url: str) -> str:
    """Make an id of the time in the object's id and a hash of the message and its target.

    Not the event's own time: whoever notices the event again after a loss may read another clock.
    """
    made = ULID.from_str(object_id.partition("_")[2].upper()).bytes[:_TIME_BYTES]
    digest = hashlib.sha256(f"{message_id}\n{url}".encode()).digest()[:_HASH_BYTES]
    return DELIVERY_ID_PREFIX + str(ULID(made + digest)).lower()


def is_delivery_id(text: str) -> bool:
    """Tell whether `text` has the form of a delivery's identifier."""
    return DELIVERY_ID_PATTERN.fullmatch(text) is not None


def encode_attempt(attempt: Attempt) -> bytes:
    """Write an attempt as one line of JSON, without its line end."""
    return orjson.dumps(asdict(attempt))


def decode_attempts(lines: bytes) -> tuple[Attempt, ...]:
    """Read lines that `encode_attempt` wrote."""
    return tuple(Attempt(**orjson.loads(line)) for line in lines.splitlines())


def encode_delivery(record: DeliveryRecord) -> bytes:
    """Write a record as one line of JSON, without its line end."""
    return orjson.dumps(asdict(record))


def decode_delivery(line: bytes) -> DeliveryRecord:
    """Read what `encode_delivery` wrote."""
    fields: dict[str, Any] = orjson.loads(line)
    return DeliveryRecord(
        **{
            **fields,
            "status": DeliveryStatus(fields["status"]),
            "attempts": tuple(Attempt(**attempt) for attempt in fields["attempts"]),
        }
    )
