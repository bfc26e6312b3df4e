"""Deliveries of webhooks, deletions, and the service itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from facefit.models.base import Model


class DeliveryAttempt(Model):
    """One request to a receiver."""

    at: datetime
    status_code: int | None = None
    duration_ms: int | None = None
    error: str | None = None
    """One word for what went wrong; None for a 2xx."""


class Delivery(Model):
    """One event on its way to one target."""

    id: str
    webhook_id: str
    event: str
    job_id: str | None = None
    batch_id: str | None = None
    url: str
    status: str
    """`pending`, `delivered` or `failed`."""
    created_at: datetime
    expires_at: datetime | None = None
    next_attempt_at: datetime | None = None
    attempts: list[DeliveryAttempt] = Field(default_factory=list)


class NewWebhookSecret(Model):
    """A secret, shown this once."""

    secret: str = Field(repr=False)
    created_at: datetime
    former_valid_until: datetime | None = None


class WebhookSecretAge(Model):
    """How old the secret is."""

    created_at: datetime
    age_s: int
    former_valid_until: datetime | None = None


class WebhookTarget(Model):
    """A target that answered 410 and gets nothing for now."""

    url: str
    status: str
    disabled_at: datetime
    disabled_until: datetime
    delivery_id: str


class Deletion(Model):
    """The receipt of a deletion."""

    id: str
    status: str
    """`pending`, or `purged` once the bytes are out of the files of both stores."""
    deleted_at: datetime
    due_at: datetime
    purged_from_records_at: datetime | None = None
    purged_from_storage_at: datetime | None = None

    @property
    def is_purged(self) -> bool:
        """Whether nothing is left."""
        return self.status == "purged"


class MeasurementInfo(Model):
    """What a measurement means."""

    key: str
    term: str = ""
    landmarks: list[int] = Field(default_factory=list)
    formula: str = ""
    source: str = ""
    stands_for: str = ""
    known_error: str = ""


class MeasurementCatalogue(Model):
    """Every measurement there is."""

    version: str
    data: list[MeasurementInfo]


class Readiness(Model):
    """Whether the service can take a photo and measure it."""

    status: str
    redis: dict[str, Any] = Field(default_factory=dict)
    storage: dict[str, Any] = Field(default_factory=dict)
    worker: dict[str, Any] = Field(default_factory=dict)
    worker_bulk: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Whether it can."""
        return self.status == "ready"
