"""What the core asks of the store about batches. Every change is one atomic step, as in `JobStore`.

The counts of a batch are moved by whatever creates, moves or drops the record of an item, in the same step. The step
after which a sealed batch has no open item is the one that completes it: there is exactly one in each run, and
whatever must happen once when a batch is complete belongs into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.jobs.batch_record import BatchRecord
from shared.jobs.record import JobRecord
from shared.schemas import JobStatus


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """Which batches a list asks for: those of `tenant`, newest first, made before the batch `before_id`."""

    tenant: str
    limit: int
    before_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """Which items of a batch are asked for, in item order, after the item at `after_index`."""

    batch_id: str
    limit: int
    status: JobStatus | None = None
    after_index: int = -1


class BatchStore(Protocol):
    """The records of batches, and what is due about them."""

    def create(self, batch: BatchRecord) -> bool:
        """Write the record of a batch that has no item yet; False if there is one, or items of it are being dropped."""
        ...

    def get(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts, or None."""
        ...

    def list_batches(self, query: BatchQuery) -> list[BatchRecord]:
        """Return up to `query.limit` batches, newest first."""
        ...

    def create_items(self, records: Sequence[JobRecord], *, restored: bool = False) -> list[bool]:
        """Write records of items unless they are there or their batch has none; tell of each whether it was.

        Those that are `restored` from storage do not count as accepted.
        """
        ...

    def items(self, query: ItemQuery) -> list[JobRecord]:
        """Return up to `query.limit` items in item order."""
        ...

    def item_ids(self, batch_id: str, limit: int) -> list[str]:
        """Return some items that have a record, also of a batch that has none any more."""
        ...

    def seal(self, batch_id: str, gone: Sequence[str] = ()) -> bool:
        """Say that every item has a record, but for those that are `gone`; the batch can be complete from now on.

        False if that is not so, or there is no such batch.
        """
        ...

    def unseal(self, batch_id: str) -> bool:
        """Open a batch for another run of some items: it is not complete before it is sealed again."""
        ...

    def start(self, batch_id: str, *, at_ms: int) -> bool:
        """Note that photos are measured as they come; False if that was so, or there is no such batch."""
        ...

    def cancel(self, batch_id: str, *, at_ms: int) -> bool:
        """Note that no further item is to be measured; False if that was so, or there is no such batch."""
        ...

    def arrive(self, job_ids: Sequence[str]) -> int:
        """Queue those items that await their photo; return how many did."""
        ...

    def due(self, limit: int, *, grace_s: float) -> list[str]:
        """Return batches that are not complete and were not looked at for `grace_s`, each once in that time."""
        ...

    def look_again(self, batch_id: str) -> None:
        """Have a batch that is not complete looked at next."""
        ...

    def expired(self, limit: int) -> list[str]:
        """Return batches past their time of being kept."""
        ...

    def recount(self, batch_id: str) -> bool:
        """Count the items of a batch anew; tell whether its counts were right. True if there is no such batch."""
        ...

    def drop(self, batch_id: str) -> None:
        """Forget a batch, but for which items have a record; no new ones can be written."""
        ...

    def drop_items(self, job_ids: Sequence[str]) -> None:
        """Forget records of items, without a debt to storage: who deletes a batch walks its manifest."""
        ...
