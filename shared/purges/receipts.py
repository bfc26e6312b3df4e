"""What can be told of a deletion: when it was, and when the bytes left the files of both stores."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import DeletionNotFound
from shared.jobs.lifecycle import JobLifecycle
from shared.names import is_batch_id, is_job_id
from shared.purges.ledger import PurgeKind, PurgeLedger


@dataclass(frozen=True, slots=True)
class Receipt:
    """A deletion, by the id of what was deleted; times in milliseconds since the epoch, None where it is still to be.

    Attributes
    ----------
    records_ms, storage_ms : int or None
        When a purge of Redis' files, and of the object store's, had ended that began after the deletion was complete.
    """

    id: str
    deleted_ms: int
    records_ms: int | None
    storage_ms: int | None


def find_receipt(jobs: JobLifecycle, tenant: str, deleted_id: str) -> Receipt:
    """Return what is known of a deletion.

    Raises
    ------
    DeletionNotFound
        If the tenant has deleted nothing of that id, or so long ago that its tombstone is gone.
    """
    if not (is_job_id(deleted_id) or is_batch_id(deleted_id)):
        raise DeletionNotFound(deleted_id)
    deleted_ms = jobs.archive.batches.deleted_ms(tenant, deleted_id)
    if deleted_ms is None:
        raise DeletionNotFound(deleted_id)
    ledger = PurgeLedger(jobs.objects)
    records_ms, storage_ms = (ledger.purged_ms(kind, deleted_ms) for kind in (PurgeKind.RECORDS, PurgeKind.STORAGE))
    return Receipt(deleted_id, deleted_ms, records_ms, storage_ms)
