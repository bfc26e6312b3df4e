"""What storage knows of deliveries: one object for each, its record as one line of JSON, then the body that is sent.

`deliveries/{tenant}/{job or batch}.{delivery}` is written once when the delivery is owed, and again after each attempt
that changed something. It is deleted with what it is about.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from shared.deliveries.record import DELIVERY_ID_PATTERN, DeliveryRecord, decode_delivery, encode_delivery
from shared.errors import ObjectMissing, UnreadableObject
from shared.storage import layout
from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

DELIVERIES: Final = "deliveries/"
_KEYS_AT_ONCE: Final = 500
_READ_AT_ONCE: Final = 8
"""Objects that are read at a time: what it takes is mostly waiting."""
_KEY: Final = re.compile(rf"{DELIVERIES}(?P<tenant>[^/]+)/(?P<object>[a-z]+_[^/.]+)\.{DELIVERY_ID_PATTERN.pattern}")


def deliveries_prefix(tenant: str, object_id: str) -> str:
    """Return what the keys of all deliveries about an object start with."""
    return f"{DELIVERIES}{tenant}/{object_id}."


def delivery_key(record: DeliveryRecord) -> str:
    """Return the key of a delivery."""
    return f"{deliveries_prefix(record.tenant, record.object_id)}{record.id}"


class DeliveryArchive:
    """Reads and writes the objects of deliveries."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def create(self, record: DeliveryRecord, body: bytes) -> bool:
        """Write down what is owed, unless that was done before; tell whether it was written."""
        return self._objects.put_if_absent(delivery_key(record), encode_delivery(record) + b"\n" + body)

    def write(self, record: DeliveryRecord, body: bytes) -> None:
        """Write down how a delivery stands."""
        self._objects.put(delivery_key(record), encode_delivery(record) + b"\n" + body)

    def read(self, record: DeliveryRecord) -> tuple[DeliveryRecord, bytes]:
        """Return a delivery as it was last written down, and its body.

        Raises
        ------
        ObjectMissing
            If it was deleted.
        UnreadableObject
            If the object is not what this service writes.
        """
        return self._read(delivery_key(record))

    def _read(self, key: str) -> tuple[DeliveryRecord, bytes]:
        line, _, body = self._objects.get(key).partition(b"\n")
        try:
            return decode_delivery(line), body
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error

    def delete(self, record: DeliveryRecord) -> None:
        """Delete one delivery."""
        self._objects.delete(delivery_key(record))

    def is_deleted(self, tenant: str, object_id: str) -> bool:
        """Tell whether what a delivery is about must stay forgotten."""
        return self._objects.exists(layout.tombstone_key(tenant, object_id))

    def purge(self, tenant: str, object_id: str) -> None:
        """Delete every delivery about an object."""
        for found in list(self._objects.list(deliveries_prefix(tenant, object_id))):
            self._objects.delete(found.key)

    def deleted_objects(self) -> set[tuple[str, str]]:
        """Return (tenant, id) of everything that must stay forgotten."""
        found = (info.key.removeprefix(layout.DELETED).partition("/") for info in self._objects.list(layout.DELETED))
        return {(tenant, object_id) for tenant, _, object_id in found}

    def survey(self, deleted: Container[tuple[str, str]]) -> Iterator[DeliveryRecord]:
        """Yield every delivery as it was last written down; purge those about what was deleted.

        One that cannot be read is logged and left as it is.
        """
        keys = self._keys(deleted)
        with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="survey") as pool:
            while part := list(itertools.islice(keys, _KEYS_AT_ONCE)):
                yield from (record for record in pool.map(self._surveyed, part) if record is not None)

    def _surveyed(self, key: str) -> DeliveryRecord | None:
        try:
            return self._read(key)[0]
        except ObjectMissing:
            return None
        except UnreadableObject:
            logger.exception("left as it is: %s", key)
            return None

    def _keys(self, deleted: Container[tuple[str, str]]) -> Iterator[str]:
        for found in self._objects.list(DELIVERIES):
            parts = _KEY.fullmatch(found.key)
            if parts is None:
                logger.warning("left as it is: %r is no key of this service", found.key)
            elif (parts["tenant"], parts["object"]) in deleted:
                self._objects.delete(found.key)
            else:
                yield found.key
