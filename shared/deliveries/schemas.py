"""What travels over HTTP about webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.deliveries.record import DeliveryStatus
from shared.schema_base import Schema
from shared.targets import MAX_URL_LENGTH


class DeliveryAttempt(Schema):
    """One request to a receiver."""

    at: datetime
    status_code: int | None
    """What the receiver answered; null when it did not."""
    duration_ms: int | None
    """Look-up, connection and answer; null when the sender did not live to see the end."""
    error: str | None
    """One word, null for a 2xx: `status` (another status), `redirect` (a 3xx, which is not followed), `look_up`,
    `connect`, `tls`, `timeout`, `broken`, `forbidden_<rule>` (the address may not be asked), `interrupted` (not known
    whether the receiver got it; it was sent again)."""


class Delivery(Schema):
    """One event on its way to one target."""

    id: str
    object: Literal["delivery"] = "delivery"
    webhook_id: str
    """The `webhook-id` header: the same at each attempt and each redelivery of the event."""
    event: str
    job_id: str | None
    """The job that the event is about; null for a batch's own event and for a test."""
    batch_id: str | None
    url: str
    """Where to, the query left out."""
    status: DeliveryStatus
    created_at: datetime
    expires_at: datetime
    """When it is forgotten, with the job or batch."""
    next_attempt_at: datetime | None
    """Null unless pending."""
    attempts: list[DeliveryAttempt]
    """The latest 40, in order."""


class DeliveryList(Schema):
    """A page of deliveries, the newest job or batch first."""

    object: Literal["list"] = "list"
    data: list[Delivery]
    next_cursor: str | None
    """Pass as `cursor` for the next page; null on the last one."""


class WebhookTest(Schema):
    """Where to send a test event."""

    url: str = Field(min_length=1, max_length=MAX_URL_LENGTH)
    """As it would be given as `webhook_url`."""


class NewWebhookSecret(Schema):
    """A secret, shown this once."""

    object: Literal["webhook_secret"] = "webhook_secret"
    secret: str
    """`whsec_` and base64 of 32 bytes."""
    created_at: datetime
    former_valid_until: datetime | None
    """Until then deliveries carry a second signature by the former secret; null when there is none."""


class WebhookSecretAge(Schema):
    """How old the secret is."""

    object: Literal["webhook_secret"] = "webhook_secret"
    created_at: datetime
    age_s: int
    former_valid_until: datetime | None
    """Until then deliveries carry a second signature by the former secret; null when there is none."""


class WebhookTarget(Schema):
    """A target that answered 410."""

    object: Literal["webhook_target"] = "webhook_target"
    url: str
    """The query left out."""
    status: Literal["disabled"] = "disabled"
    disabled_at: datetime
    disabled_until: datetime
    """What is due to it waits until then, or until a redelivery or a test succeeds."""
    delivery_id: str
    """The delivery that was answered so."""


class WebhookTargetList(Schema):
    """The targets that get nothing now."""

    object: Literal["list"] = "list"
    data: list[WebhookTarget]
