"""Deletes every object of a batch and of its items: by what its manifest promised, or else by what names the batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from shared.errors import UnreadableObject
from shared.jobs.batch_record import MAKING_LIMIT_S
from shared.names import batch_id_time, job_id_time
from shared.storage import layout

if TYPE_CHECKING:
    from shared.jobs.lifecycle import JobLifecycle

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 500
"""Objects deleted in one call."""


class BatchPurge:
    """Deletes what storage has of batches whose records are gone."""

    def __init__(self, jobs: JobLifecycle) -> None:
        self._jobs = jobs
        self._objects = jobs.objects
        self._archive = jobs.archive.batches

    def purge(self, tenant: str, batch_id: str) -> None:
        """Delete every object of a batch and its items but the tombstones; raises as storage does.

        The manifest goes last: while it is there, the batch is known not to be purged.
        """
        try:
            told = self._promised(tenant, batch_id)
        except UnreadableObject:
            logger.exception("the items of %s are found by what names it", batch_id)
            told = dict.fromkeys(self._traced(tenant, batch_id), True)
        if told:
            self._delete_objects(tenant, told.keys())
        for job_id, is_told_of in told.items():
            if is_told_of:
                self._jobs.debts.forget_told(tenant, job_id)
        self._jobs.debts.forget_told(tenant, batch_id)
        self._archive.purge(tenant, batch_id)

    def _promised(self, tenant: str, batch_id: str) -> dict[str, bool]:
        """Return the ids of all items, by the manifest, and whether anybody is told of each."""
        head = self._archive.head(tenant, batch_id)
        items = self._archive.items(head) if head else ()
        return {item.job_id: item.options.webhook_url is not None for item in items}

    def _traced(self, tenant: str, batch_id: str) -> set[str]:
        """Return the ids of the items of which a photo or an outcome is left; each says which batch it is of."""
        photos = [photo.key for photo in self._objects.list(f"{layout.UPLOADS}{tenant}/")]
        of_batch = (layout.owner_of(key) for key in photos if layout.batch_of_upload(key) == batch_id)
        found = {owner[1] for owner in of_batch if owner is not None}
        made_s = batch_id_time(batch_id).timestamp()
        for key in [outcome.key for outcome in self._objects.list(f"{layout.OUTCOMES}{tenant}/")]:
            owner = layout.owner_of(key)
            if owner is None or not 0 <= job_id_time(owner[1]).timestamp() - made_s <= MAKING_LIMIT_S:
                continue
            try:
                ended = self._jobs.archive.outcome(tenant, owner[1], layout.run_of(key))
            except UnreadableObject:
                continue  # whose it is cannot be known; the sweep says that it is there
            if ended is not None and ended.batch_id == batch_id:
                found.add(owner[1])
        return found

    def _delete_objects(self, tenant: str, job_ids: Iterable[str]) -> None:
        wanted = set(job_ids)
        for prefix in layout.OF_ITEMS:
            # Listed, since most items have one object or two: to delete whatever they may have takes far longer.
            listed = self._objects.list(f"{prefix}{tenant}/{layout.common_start(wanted)}")
            keys = [found.key for found in listed if (owner := layout.owner_of(found.key)) and owner[1] in wanted]
            for first in range(0, len(keys), _AT_ONCE):
                self._objects.delete(*keys[first : first + _AT_ONCE])
