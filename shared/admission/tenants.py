"""The limits that were set for one tenant alone: kept in storage, and remembered by each process for a few seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from shared.admission.limits import OwnLimits, TenantLimits
from shared.clock import Clock, system_clock, to_ms
from shared.errors import ObjectMissing, StorageUnavailable, UnreadableObject
from shared.storage import layout

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

REMEMBERED_S: Final = 5.0
"""How long limits are taken to be what they were: after that, what was set holds in every process."""


class TenantBook:
    """Reads and writes what was set."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def own_limits(self, tenant: str) -> OwnLimits:
        """Return what was set for a tenant.

        Raises
        ------
        UnreadableObject
            If it is not what this writes.
        StorageUnavailable
        """
        key = layout.tenant_key(tenant)
        try:
            return OwnLimits.model_validate_json(self._objects.get(key))
        except ObjectMissing:
            return OwnLimits()
        except ValidationError as error:
            raise UnreadableObject(key) from error

    def set(self, tenant: str, own: OwnLimits) -> None:
        """Write what is set for a tenant in place of what was."""
        key = layout.tenant_key(tenant)
        self._objects.put(key, own.model_dump_json(exclude_none=True).encode(), content_type="application/json")

    def tenants(self) -> Iterator[str]:
        """Yield the tenants for which something was set."""
        for found in self._objects.list(layout.TENANTS):
            yield found.key.removeprefix(layout.TENANTS)


class LimitsInForce:
    """What limits each tenant has, for a process that asks often.

    While storage is away they are what they were when it last answered, or what the settings say.
    """

    def __init__(self, objects: ObjectStore, settings: Settings, clock: Clock = system_clock) -> None:
        self._book = TenantBook(objects)
        self._settings = settings
        self._clock = clock
        self._known: dict[str, OwnLimits] = {}
        self._read_ms: dict[str, int] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str) -> TenantLimits:
        """Return the limits of a tenant."""
        if self._is_to_be_read(tenant):
            try:
                self._known[tenant] = self._book.own_limits(tenant)
            except StorageUnavailable as error:
                logger.warning("the limits of %s are those that were known: %s", tenant, error)
            except UnreadableObject:
                logger.exception("the limits that were set for %s cannot be read", tenant)
        return TenantLimits.by_settings(self._settings, tenant).with_own(self._known.get(tenant, OwnLimits()))

    def _is_to_be_read(self, tenant: str) -> bool:
        """Tell whether the caller is to read them anew: one of all that ask at that moment."""
        now = self._clock()
        with self._lock:
            read_ms = self._read_ms.get(tenant)
            if read_ms is not None and now - read_ms < to_ms(REMEMBERED_S):
                return False
            self._read_ms[tenant] = now
            return True
