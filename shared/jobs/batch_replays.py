"""What a used idempotency key of a batch stands for: the batch that was accepted under it."""

from __future__ import annotations

from shared.errors import BatchNotFound, RecordsRebuilding
from shared.jobs.batch_record import BatchRecord
from shared.jobs.batch_upkeep import BatchUpkeep
from shared.jobs.batches import BatchLifecycle


def accepted_batch(batches: BatchLifecycle, tenant: str, batch_id: str) -> BatchRecord | None:
    """Return a batch as it is now, with a record of every item, or None if it is deleted or has expired.

    A manifest without all of its records is of a process that died, or stands still, before it wrote them: they are
    written here then, as the upkeep would.

    Raises
    ------
    RecordsRebuilding
        If all records were lost and are not rebuilt yet.
    """
    try:
        return _whole(batches, tenant, batch_id) or _restored(batches, tenant, batch_id)
    except BatchNotFound:
        return None


def _whole(batches: BatchLifecycle, tenant: str, batch_id: str) -> BatchRecord | None:
    try:
        batch = batches.find(tenant, batch_id)
    except RecordsRebuilding:
        if batches.jobs.store.is_rebuilt():
            return None
        raise
    return None if batch.lacks_records else batch


def _restored(batches: BatchLifecycle, tenant: str, batch_id: str) -> BatchRecord:
    BatchUpkeep(batches).restore(tenant, batch_id)
    return batches.find(tenant, batch_id)
