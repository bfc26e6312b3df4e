"""Pages of batches, and of the items of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from api.batch_presenters import item_model, upload_form
from shared.batch_schemas import BatchItem, BatchItemList, BatchList
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batch_store import BatchQuery
from shared.jobs.batches import BatchLifecycle
from shared.jobs.manifest import Item
from shared.jobs.record import JobRecord
from shared.schemas import BatchStatus, JobStatus
from shared.views import batch_view

_LOOKED_AT: Final = 500
"""Batches that are looked at for one page of those in a status, which no index has."""

_ITEMS_AT_ONCE: Final = 1000


def page_of_batches(batches: BatchLifecycle, wanted: BatchQuery, status: BatchStatus | None) -> BatchList:
    """Return a page, newest first; with a status it may have few batches, or none, and yet be followed by another."""
    at_most = wanted.limit if status is None else _LOOKED_AT
    looked_at = batches.list_batches(BatchQuery(wanted.tenant, at_most + 1, wanted.before_id))
    page: list[BatchRecord] = []
    cursor = None
    for n, batch in enumerate(looked_at):
        if n == at_most or len(page) == wanted.limit:
            cursor = looked_at[n - 1].id
            break
        if status in {None, batch.status}:
            page.append(batch)
    now_ms = batches.jobs.clock()
    return BatchList(data=[batch_view(batch, now_ms) for batch in page], next_cursor=cursor)


def page_of_items(
    batches: BatchLifecycle, batch: BatchRecord, *, status: JobStatus | None, limit: int, after_index: int
) -> BatchItemList:
    """Return a page in item order, with the forms of photos that are awaited by one."""
    found = batches.items(batch.tenant, batch.id, status=status, limit=limit + 1, after_index=after_index)
    page = found[:limit]
    told = _told_of(batches, batch, [record for record in page if record.status is JobStatus.AWAITING_UPLOAD])
    now_ms, objects = batches.jobs.clock(), batches.jobs.objects
    forms = {
        record.id: upload_form(objects, batch, record, told[record.id], now_ms) for record in page if record.id in told
    }
    cursor = str(page[-1].item_index) if len(found) > limit else None
    return BatchItemList(data=[item_model(record, forms.get(record.id)) for record in page], next_cursor=cursor)


def every_item(batches: BatchLifecycle, batch: BatchRecord) -> Iterator[BatchItem]:
    """Yield all items in item order, with the forms of photos that are awaited by one."""
    after_index: int | None = -1
    while after_index is not None:
        page = page_of_items(batches, batch, status=None, limit=_ITEMS_AT_ONCE, after_index=after_index)
        yield from page.data
        after_index = None if page.next_cursor is None else int(page.next_cursor)


def _told_of(batches: BatchLifecycle, batch: BatchRecord, records: list[JobRecord]) -> dict[str, Item]:
    """Return what the manifest says of some items, by their ids, where their photos come by forms."""
    places = [record.item_index for record in records if record.item_index is not None]
    if not places or batch.source is not BatchSource.PRESIGNED:
        return {}
    head = batches.archive.head(batch.tenant, batch.id)
    found = batches.archive.items(head, min(places), max(places) + 1) if head else ()
    return {item.job_id: item for item in found}
