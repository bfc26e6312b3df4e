"""Makes deliveries of what ended: the event, its body, its target."""

from __future__ import annotations

from typing import Any, Final

import orjson

from shared.clock import from_ms
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.events import event_body
from shared.deliveries.record import Event
from shared.errors import UnreadableObject
from shared.jobs.announcements import Announcement
from shared.jobs.archive import JobArchive
from shared.jobs.manifest import BatchHead
from shared.jobs.record import JobRecord
from shared.jobs.store import JobStore
from shared.names import is_job_id
from shared.schemas import WebhookEvent
from shared.storage import layout
from shared.views import batch_view, job_view

_ONLY_RUN: Final = 1
"""Of a batch's completion: one that is retried and complete again is not told of twice."""


class WebhookAnnouncer:
    """Owes the target that a client named what became of its job or batch.

    What storage knows is what is told, so that the debt can be paid by any process, at any time, any number of times.
    """

    def __init__(self, desk: DeliveryDesk, archive: JobArchive, store: JobStore) -> None:
        self._desk = desk
        self._archive = archive
        self._store = store

    def announce(self, announcement: Announcement) -> None:
        """Owe the receiver every end there has been."""
        if is_job_id(announcement.object_id):
            self._announce_job(announcement)
        else:
            self._announce_batch(announcement)

    def _announce_job(self, announcement: Announcement) -> None:
        ends = list(self._archive.ends(announcement.tenant, announcement.object_id))
        record = self._store.get(announcement.object_id)
        if not ends and record is not None:
            ends = [(record, b"")]  # an item that its batch's manifest rejects: nobody wrote an outcome
        for ended, result_json in ends:
            if ended.announced_event is not None:
                self._owe_job(ended, ended.announced_event, result_json)

    def _owe_job(self, ended: JobRecord, name: WebhookEvent, result_json: bytes) -> None:
        event = Event(
            ended.tenant, name, ended.run, ended.id, ended.batch_id, ended.expires_ms, request_id=ended.request_id
        )
        shown: dict[str, Any] = job_view(ended).model_dump()
        if result_json:
            shown["result"] = _result(ended, result_json)
        self._owe(event, ended.options.webhook_url, shown, ended.finished_ms)
        # The desk looks for the tombstone of the job; that of its batch counts as well.
        if self._archive.is_deleted(ended.tenant, ended.id, ended.batch_id):
            self._desk.forget_about(ended.tenant, ended.id)

    def _announce_batch(self, announcement: Announcement) -> None:
        head = self._archive.batches.head(announcement.tenant, announcement.object_id)
        batch = self._store.batches.get(announcement.object_id)
        if head is None or batch is None or batch.completed_ms is None:
            return  # deleted; lost, and announced anew when it is rebuilt; or open again, and announced when it ends
        shown = batch_view(batch, self._desk.clock()).model_dump()
        self._owe(_completion_of(head), head.options.webhook_url, shown, batch.completed_ms)

    def _owe(self, event: Event, url: str | None, shown: dict[str, Any], at_ms: int | None) -> None:
        if url is not None and at_ms is not None:
            body = event_body(shown, event.name, from_ms(at_ms), self._desk.settings.public_url)
            self._desk.owe(event, url, body)

    def forget_about(self, tenant: str, object_id: str) -> None:
        """Forget every delivery about a job, or about a batch and its items."""
        self._desk.forget_about(tenant, object_id)


def _result(ended: JobRecord, result_json: bytes) -> Any:
    try:
        return orjson.loads(result_json)
    except ValueError as error:
        raise UnreadableObject(layout.outcome_key(ended.tenant, ended.id, ended.run)) from error


def _completion_of(head: BatchHead) -> Event:
    return Event(
        tenant=head.tenant,
        name=WebhookEvent.BATCH_COMPLETED,
        run=_ONLY_RUN,
        job_id=None,
        batch_id=head.batch_id,
        expires_ms=head.expires_ms,
        request_id=head.request_id,
    )
