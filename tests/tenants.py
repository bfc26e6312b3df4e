"""Two tenants over memory adapters that note every call: one with an object of every kind, one that looks for them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from shared.clock import system_clock, to_ms
from shared.config import Settings
from shared.deliveries.announcer import WebhookAnnouncer
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.deliveries.record import Attempt, DeliveryStatus, Verdict, is_delivery_id
from shared.fetches.tickets import PhotoUrl
from shared.jobs.archive import JobArchive
from shared.jobs.batch_record import BatchSource
from shared.jobs.batches import BatchLifecycle
from shared.jobs.lifecycle import JobLifecycle, Upload
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.reconciler import Reconciler
from shared.jobs.record import JobRecord
from shared.names import QueueName, is_batch_id, is_job_id
from shared.queue import MemoryDoorbell
from shared.schemas import JobError, JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.deliveries import BODY, an_event
from tests.results import a_result, as_written

THEIRS: Final = "tenant-of-theirs"
OURS: Final = "ours"
MARK: Final = "only-theirs"
"""In whatever text of theirs can be told: nobody else's answers may have it."""
PHOTO: Final = b"\xff\xd8\xff photo"
RESULT: Final = as_written(a_result())
REFRESH_S: Final = 3600.0
SETTINGS: Final = Settings(keys_refresh_s=REFRESH_S, keys_max_age_s=2 * REFRESH_S)


class Recorded:
    """Another object, each call of which is noted: of what, by which name, with which arguments."""

    def __init__(self, inner: Any, name: str, calls: list[str]) -> None:
        self._inner = inner
        self._name = name
        self._calls = calls

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inner, attribute)
        if attribute in {"batches", "fetches", "idempotency"}:
            return Recorded(found, f"{self._name}.{attribute}", self._calls)
        if not callable(found):
            return found

        def noted(*arguments: Any, **named: Any) -> Any:
            self._calls.append(f"{self._name}.{attribute}{arguments}{named}")
            return found(*arguments, **named)

        return noted


@dataclass
class World:
    """The services, and the calls that they made to storage and records."""

    settings: Settings = SETTINGS
    clock: Callable[[], int] = system_clock
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = MemoryObjectStore()
        self.records = MemoryJobStore(self.clock)
        self.delivery_records = MemoryDeliveryStore(self.clock)
        objects: Any = Recorded(self.kept, "storage", self.calls)
        store: Any = Recorded(self.records, "records", self.calls)
        deliveries: Any = Recorded(self.delivery_records, "deliveries", self.calls)
        self.desk = DeliveryDesk(deliveries, objects, self.settings, self.clock, lambda: 0.0)
        archive = JobArchive(objects, retention_s=self.settings.retention_s)
        announcer = WebhookAnnouncer(self.desk, archive, store)
        self.doorbell = MemoryDoorbell()
        self.jobs = JobLifecycle(store, objects, self.doorbell, self.settings, self.clock, announcer=announcer)
        self.batches = BatchLifecycle(self.jobs)
        Reconciler(self.jobs).round()
        deliveries.end_rebuild(deliveries.begin_rebuild())

    def lose_records(self) -> None:
        self.records.forget_everything()
        self.delivery_records.forget_everything()

    def everything(self) -> dict[str, bytes]:
        """What is stored of all tenants, but for the keys."""
        return {found.key: self.kept.get(found.key) for found in self.kept.list("") if THEIRS in found.key}


@dataclass(frozen=True, slots=True)
class Thing:
    """An object of a tenant: what it is, and its id."""

    what: str
    id: str

    @property
    def kind(self) -> str:
        if is_job_id(self.id):
            return "job"
        if is_batch_id(self.id):
            return "batch"
        return "delivery" if is_delivery_id(self.id) else "text"

    @property
    def is_gone(self) -> bool:
        return self.what.endswith("deleted")


def populate(world: World, tenant: str, mark: str) -> list[Thing]:
    """Make an object of every kind, in every state."""
    made = [*_jobs(world, tenant, mark), *_batches(world, tenant, mark)]
    made += _deliveries(world, tenant, mark, made[0].id)
    world.desk.secrets.rotate(tenant)
    return [*made, Thing("reference", f"{mark}-0")]


def _options(mark: str, number: object = 0, **more: Any) -> JobOptions:
    return JobOptions(reference=f"{mark}-{number}", **more)


def _jobs(world: World, tenant: str, mark: str) -> Iterator[Thing]:
    jobs = world.jobs

    def accept(**options: Any) -> JobRecord:
        photo = Upload(io.BytesIO(PHOTO), "image/jpeg")
        return jobs.accept(tenant, photo, _options(mark, **options), QueueName.INTERACTIVE)

    yield Thing("job queued", accept().id)
    running = accept()
    assert jobs.claim(running.id)
    yield Thing("job running", running.id)
    kept = accept(keep_image=True)
    world.kept.put(layout.preview_key(tenant, kept.id), PHOTO)
    end(world, kept.id, JobStatus.SUCCEEDED, mark)
    yield Thing("job succeeded", kept.id)
    for status in (JobStatus.REJECTED, JobStatus.FAILED):
        record = accept()
        end(world, record.id, status, mark)
        yield Thing(f"job {status}", record.id)
    cancelled = accept()
    jobs.cancel(tenant, cancelled.id)
    yield Thing("job cancelled", cancelled.id)
    deleted = accept()
    jobs.delete(tenant, deleted.id)
    yield Thing("job deleted", deleted.id)
    photo = PhotoUrl(f"https://{mark}.example/photo.jpg")
    yield Thing("job awaiting its photo", jobs.accept(tenant, photo, _options(mark), QueueName.INTERACTIVE).id)


def end(world: World, job_id: str, status: JobStatus, mark: str) -> None:
    claim = world.jobs.claim(job_id)
    assert claim is not None
    error = None if status is JobStatus.SUCCEEDED else JobError(code="no_face", message=mark)
    ended = claim.record.ended(status, at_ms=world.clock(), error=error)
    world.jobs.finish(ended, RESULT if status is JobStatus.SUCCEEDED else b"")


def _batches(world: World, tenant: str, mark: str) -> Iterator[Thing]:
    batches = world.batches

    def make(count: int = 2) -> str:
        with batches.begin(tenant, BatchSource.UPLOAD, JobOptions()) as writer:
            for number in range(count):
                writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), _options(mark, number))
            return writer.commit().id

    running = make()
    yield Thing("batch running", running)
    yield Thing("item queued", batches.items(tenant, running, limit=9)[0].id)
    completed = make()
    for item, status in zip(
        batches.items(tenant, completed, limit=9), (JobStatus.SUCCEEDED, JobStatus.FAILED), strict=True
    ):
        end(world, item.id, status, mark)
        yield Thing(f"item {status}", item.id)
    yield Thing("batch completed", completed)
    cancelled = make()
    batches.cancel(tenant, cancelled)
    yield Thing("batch cancelled", cancelled)
    deleted = make()
    item = batches.items(tenant, deleted, limit=9)[0]
    batches.delete(tenant, deleted)
    yield Thing("batch deleted", deleted)
    yield Thing("item deleted", item.id)
    with batches.begin(tenant, BatchSource.PRESIGNED, JobOptions()) as writer:
        writer.add_awaited(_options(mark), size_bytes=len(PHOTO), content_type="image/jpeg")
        awaited = writer.commit().id
    yield Thing("batch awaiting uploads", awaited)
    yield Thing("item awaiting its upload", batches.items(tenant, awaited, limit=9)[0].id)


def _deliveries(world: World, tenant: str, mark: str, job_id: str) -> Iterator[Thing]:
    desk, url = world.desk, f"https://{mark}.example/hook"
    verdicts = {
        "delivered": Verdict(DeliveryStatus.DELIVERED, 1, 0),
        "failed, its target disabled": Verdict(
            DeliveryStatus.FAILED, 8, 0, disable_until_ms=world.clock() + to_ms(REFRESH_S)
        ),
    }
    for what, verdict in verdicts.items():
        record = desk.owe(an_event(world.clock, tenant, job_id=job_id, name=f"job.{verdict.status}"), url, BODY)
        # Those of another tenant may be due before it.
        claim = next(claim for claim in iter(desk.claim, None) if claim.record.id == record.id)
        world.delivery_records.settle(claim, [Attempt(world.clock(), 410, 5, mark)], verdict)
        yield Thing(f"delivery {what}", record.id)
    yield Thing("delivery pending", desk.owe(an_event(world.clock, tenant, job_id=job_id), url, BODY).id)
    yield Thing("delivery of a test", desk.owe_test(tenant, url).id)
