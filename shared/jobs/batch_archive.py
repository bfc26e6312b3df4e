"""What storage knows of batches: the durable copy that their records are made from again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from shared.clock import to_ms
from shared.errors import ObjectMissing, UnreadableObject
from shared.jobs.batch_record import MAKING_LIMIT_S
from shared.jobs.manifest import HEAD_BYTES, BatchHead, Item, decode_head, decode_items, item_record, lines_of
from shared.jobs.record import JobRecord
from shared.names import batch_id_time, job_id_time
from shared.storage import layout
from shared.storage.base import ObjectStore


@dataclass(frozen=True, slots=True)
class Marks:
    """When a batch was started and cancelled, in milliseconds since the epoch; None if it was not."""

    started_ms: int | None
    cancelled_ms: int | None


class BatchArchive:
    """Reads and writes the objects of batches; see `shared/storage/layout.py` for what lies where."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    def keep(self, head: BatchHead, manifest: IO[bytes]) -> None:
        """Write a manifest: from here the batch is accepted."""
        key = layout.manifest_key(head.tenant, head.batch_id)
        self.objects.put(key, manifest, content_type="application/x-ndjson")  # type: ignore[arg-type]

    def exists(self, tenant: str, batch_id: str) -> bool:
        """Tell whether the batch was accepted and not purged yet.

        An empty manifest is none: a store may keep one of a writer that was cut off between the head and the body.
        """
        with suppress(ObjectMissing):
            return bool(self.objects.get(layout.manifest_key(tenant, batch_id), first_bytes=1))
        return False

    def head(self, tenant: str, batch_id: str) -> BatchHead | None:
        """Return what the manifest says of the batch, or None if there is none.

        Raises
        ------
        UnreadableObject
            If it is not what this service writes.
        """
        key = layout.manifest_key(tenant, batch_id)
        try:
            line = self.objects.get(key, first_bytes=HEAD_BYTES).split(b"\n", 1)[0]
            return decode_head(line) if line else None
        except ObjectMissing:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error

    def items(self, head: BatchHead, start: int = 0, stop: int | None = None) -> Iterator[Item]:
        """Yield the items of a batch in their order, those from one place to before another; none if it is gone.

        In constant memory; what comes before `start` is read past.

        The object is open meanwhile: what takes long for each of them collects them first.

        Raises
        ------
        UnreadableObject
            If the manifest is not what this service writes.
        """
        key = layout.manifest_key(head.tenant, head.batch_id)
        try:
            lines = lines_of(self.objects.chunks(key))
            next(lines, None)
            yield from decode_items(head, lines, start, stop)
        except ObjectMissing:
            return
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error

    def find_item(self, tenant: str, job_id: str) -> JobRecord | None:
        """Return an item as it was accepted, or None if no batch that was made at that time has it."""
        made_s = job_id_time(job_id).timestamp()
        for found in self.objects.list(f"{layout.BATCHES}{tenant}/"):
            owner = layout.batch_of(found.key)
            if owner is None or found.key != layout.manifest_key(*owner):
                continue
            if 0 <= made_s - batch_id_time(owner[1]).timestamp() <= MAKING_LIMIT_S and (head := self.head(*owner)):
                for index, item in enumerate(self.items(head)):
                    if item.job_id == job_id:
                        return item_record(head, item, index)
        return None

    def marks(self, tenant: str, batch_id: str) -> Marks:
        """Return when the batch was started and cancelled."""
        return Marks(
            self._time_in(layout.started_key(tenant, batch_id)), self._time_in(layout.cancelled_key(tenant, batch_id))
        )

    def mark_started(self, tenant: str, batch_id: str, at_ms: int) -> None:
        """Note that the batch was started; the first to say so is believed."""
        self.objects.put_if_absent(layout.started_key(tenant, batch_id), str(at_ms).encode())

    def mark_cancelled(self, tenant: str, batch_id: str, at_ms: int) -> None:
        """Note that the batch was cancelled; the first to say so is believed."""
        self.objects.put_if_absent(layout.cancelled_key(tenant, batch_id), str(at_ms).encode())

    def mark_deleted(self, tenant: str, deleted_id: str, at_ms: int) -> None:
        """Note that a batch or job must stay forgotten; the first to say so is believed."""
        self.objects.put_if_absent(layout.tombstone_key(tenant, deleted_id), str(at_ms).encode())

    def deleted_ms(self, tenant: str, batch_id: str) -> int | None:
        """Return when the batch was deleted, in milliseconds since the epoch, or None if it was not."""
        return self._time_in(layout.tombstone_key(tenant, batch_id))

    def is_deleted(self, tenant: str, batch_id: str) -> bool:
        """Tell whether the batch must stay forgotten."""
        return self.objects.exists(layout.tombstone_key(tenant, batch_id))

    def _time_in(self, key: str) -> int | None:
        try:
            body = self.objects.get(key)
        except ObjectMissing:
            return None
        try:
            return int(body or 0)
        except ValueError as error:
            raise UnreadableObject(key) from error

    def manifests(self) -> Iterator[tuple[str, str]]:
        """Yield (tenant, batch id) of every batch that was accepted."""
        for found in self.objects.list(layout.BATCHES):
            owner = layout.batch_of(found.key)
            if owner is not None and found.key == layout.manifest_key(*owner) and found.size_bytes > 0:
                yield owner

    def tombstones(self) -> Iterator[tuple[str, str]]:
        """Yield (tenant, batch id) of every batch that must stay forgotten."""
        for found in self.objects.list(layout.DELETED):
            owner = layout.batch_of(found.key)
            if owner is not None:
                yield owner

    def deleted_jobs(self, tenant: str) -> Iterator[str]:
        """Yield the ids of jobs of a tenant that must stay forgotten."""
        for found in self.objects.list(f"{layout.DELETED}{tenant}/"):
            owner = layout.owner_of(found.key)
            if owner is not None:
                yield owner[1]

    def has_objects(self, tenant: str, batch_id: str) -> bool:
        """Tell whether a batch has objects of its own beside a tombstone."""
        return next(iter(self.objects.list(layout.batch_prefix(tenant, batch_id))), None) is not None

    def purge(self, tenant: str, batch_id: str) -> None:
        """Delete the batch's own objects but its tombstone, the manifest last: it says what else there is to delete."""
        self.objects.delete(layout.started_key(tenant, batch_id), layout.cancelled_key(tenant, batch_id))
        self.objects.delete(layout.manifest_key(tenant, batch_id))


def made_ms(batch_id: str) -> int:
    """Return when a batch was begun, in milliseconds since the epoch."""
    return to_ms(batch_id_time(batch_id).timestamp())
