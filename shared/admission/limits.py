"""The limits of a tenant: what the settings say, and what was set for it alone."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from pydantic import NonNegativeInt

from shared.names import LOCAL_TENANT
from shared.schema_base import Schema

if TYPE_CHECKING:
    from shared.config import Settings

SETTING_PREFIX: Final = "limit_"


class LimitKind(StrEnum):
    """What is limited; the names under which `RateLimit` fields tell of it."""

    PHOTOS = "photos"
    """Photos of their own in a minute. Those of batches are bounded by the three others."""
    JOBS = "jobs"
    """Jobs that have not ended, those of batches included."""
    BYTES = "bytes"
    """Bytes of photos accepted in a day."""
    BATCHES = "batches"
    """Batches that are not complete."""


class TenantLimits(Schema):
    """The most that a tenant may have; 0 is no limit."""

    photos_per_minute: NonNegativeInt = 0
    open_jobs: NonNegativeInt = 0
    bytes_per_day: NonNegativeInt = 0
    open_batches: NonNegativeInt = 0

    def of(self, kind: LimitKind) -> int:
        """Return the limit of a kind."""
        return {
            LimitKind.PHOTOS: self.photos_per_minute,
            LimitKind.JOBS: self.open_jobs,
            LimitKind.BYTES: self.bytes_per_day,
            LimitKind.BATCHES: self.open_batches,
        }[kind]

    def with_own(self, own: OwnLimits) -> TenantLimits:
        """Return these with those in their place that were set for one tenant alone."""
        return self.model_copy(update=own.model_dump(exclude_none=True))

    @classmethod
    def by_settings(cls, settings: Settings, tenant: str) -> Self:
        """Return the limits of a tenant for which none were set.

        The tenant of a service without keys has those alone that somebody has set: their defaults keep tenants apart,
        and there is no other.
        """
        names = {name: f"{SETTING_PREFIX}{name}" for name in cls.model_fields}
        asked = settings.model_fields_set if tenant == LOCAL_TENANT else names.values()
        return cls.model_validate({name: getattr(settings, field) for name, field in names.items() if field in asked})


class OwnLimits(Schema):
    """What was set for one tenant alone; what is None follows the settings."""

    photos_per_minute: NonNegativeInt | None = None
    open_jobs: NonNegativeInt | None = None
    bytes_per_day: NonNegativeInt | None = None
    open_batches: NonNegativeInt | None = None
