"""The core over memory adapters, with a clock that tests move; and a worker that measures by saying so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from shared.config import Settings
from shared.deliveries.announcer import WebhookAnnouncer
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.jobs.archive import JobArchive
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batches import BatchLifecycle
from shared.jobs.lifecycle import CHUNK, JobLifecycle, Upload
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.reconciler import Reconciler
from shared.jobs.record import JobRecord
from shared.jobs.store import JobStore
from shared.names import LOCAL_TENANT, QueueName
from shared.queue import MemoryDoorbell
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.clock import FakeClock

PHOTO = b"\xff\xd8\xff photo"


@dataclass
class Core:
    clock: Any = field(default_factory=FakeClock)
    settings: Settings = field(default_factory=Settings)
    objects: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    doorbell: MemoryDoorbell = field(default_factory=MemoryDoorbell)
    make_store: Callable[[Any], JobStore] = MemoryJobStore

    def __post_init__(self) -> None:
        self.store = self.make_store(self.clock)
        self.desk = DeliveryDesk(MemoryDeliveryStore(self.clock), self.objects, self.settings, self.clock, lambda: 0.0)
        archive = JobArchive(self.objects, retention_s=self.settings.retention_s)
        announcer = WebhookAnnouncer(self.desk, archive, self.store)
        self.jobs = JobLifecycle(
            self.store, self.objects, self.doorbell, self.settings, self.clock, announcer=announcer
        )
        self.reconciler = Reconciler(self.jobs)
        self.batches = BatchLifecycle(self.jobs)

    def accept(self, options: JobOptions | None = None) -> JobRecord:
        upload = Upload(io.BytesIO(PHOTO), "image/jpeg")
        return self.jobs.accept(LOCAL_TENANT, upload, options or JobOptions(), QueueName.INTERACTIVE)

    def accept_batch(self, references: Iterable[str], tenant: str = LOCAL_TENANT) -> BatchRecord:
        with self.batches.begin(tenant, BatchSource.UPLOAD, JobOptions()) as writer:
            for reference in references:
                writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions(reference=reference))
            return writer.commit()

    def expect_batch(self, references: Iterable[str]) -> BatchRecord:
        """Make a batch whose photos come by upload forms."""
        with self.batches.begin(LOCAL_TENANT, BatchSource.PRESIGNED, JobOptions()) as writer:
            for reference in references:
                options = JobOptions(reference=reference)
                writer.add_awaited(options, size_bytes=len(PHOTO), content_type="image/jpeg")
            return writer.commit()

    def upload(self, item: JobRecord) -> None:
        """Send a photo by its upload form."""
        self.objects.put(layout.upload_key(item.tenant, item.id, item.batch_id), PHOTO)

    def items(self, batch_id: str, status: JobStatus | None = None) -> list[JobRecord]:
        return self.batches.items(LOCAL_TENANT, batch_id, status=status, limit=100_000)

    def find_batch(self, batch_id: str) -> BatchRecord:
        return self.batches.find(LOCAL_TENANT, batch_id)

    def find(self, job_id: str) -> JobRecord:
        return self.jobs.find(LOCAL_TENANT, job_id)

    def work(self, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord | None:
        """Take one doorbell and bring its job to an end, as a worker does."""
        job_id = self.doorbell.take(QueueName.INTERACTIVE)
        return self.measure(job_id, status) if job_id else None

    def work_in_bulk(self, status: JobStatus = JobStatus.SUCCEEDED) -> list[str]:
        """Take one doorbell that names no job, and bring those to an end whose turn it is; return them."""
        if self.doorbell.take(QueueName.BULK) is None:
            return []
        job_ids = self.store.take(QueueName.BULK, CHUNK, grace_s=self.settings.doorbell_grace_s)
        for job_id in job_ids:
            self.measure(job_id, status)
        if self.store.waiting_count(QueueName.BULK):
            self.doorbell.call(QueueName.BULK, 1)
        return job_ids

    def measure(self, job_id: str, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord | None:
        claim = self.jobs.claim(job_id)
        if claim is None or self.jobs.read_upload(claim.record) is None:
            return None
        return self.jobs.finish(claim.record.ended(status, at_ms=self.clock()), b'{"faces":[]}')

    def settle_down(self, rounds: int = 12) -> None:
        """Let time pass, with a reconciler and a healthy worker, until nothing is open any more."""
        for _ in range(rounds):
            self.reconciler.round()
            self.reconciler.sweep()
            while self.doorbell.depth(QueueName.INTERACTIVE):
                self.work()
            while self.doorbell.depth(QueueName.BULK):
                self.work_in_bulk()
            self.clock.advance(self.settings.lease_s)
        self.reconciler.audit()

    def lose_records(self) -> None:
        """Lose what Redis holds: records and messages."""
        assert isinstance(self.store, MemoryJobStore)
        self.store.forget_everything()
        self.doorbell.rung.clear()

    def records_as_of_now(self) -> Callable[[], None]:
        """Return what has Redis go back to this moment, as one does that was killed within a second of a write."""
        assert isinstance(self.store, MemoryJobStore)
        store, kept = self.store, deepcopy(self.store._state.records)

        def go_back() -> None:
            store._state.records = kept
            store._lineage = "another"

        return go_back

    def set_records_away(self, away: bool) -> None:
        assert isinstance(self.store, MemoryJobStore)
        self.store.away = away

    def stored_alive(self) -> list[str]:
        """Return what is stored but tombstones: of a write that was given up one is left, lest it be done late."""
        return [key for key in self.stored() if not key.startswith(layout.DELETED)]

    def stored(self, prefix: str = "") -> list[str]:
        return [found.key for found in self.objects.list(prefix)]
