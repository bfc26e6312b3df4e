"""Receivers hear of every end, each once, whoever died in between."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import orjson
import pytest

from shared.config import Settings
from shared.deliveries.record import DeliveryRecord
from shared.deliveries.store import DeliveryQuery
from shared.errors import BatchNotFound, StorageUnavailable
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.lifecycle import Upload
from shared.jobs.reconciler import Reconciler
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT
from shared.schemas import JobError, JobOptions, JobStatus, WebhookEvent
from shared.signing import webhook_id
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import PHOTO, Core

URL = "https://portal.example/hook?key=1"
OTHER = "https://other.example/"
CALLED_BACK = JobOptions(webhook_url=URL)


@pytest.fixture
def core() -> Core:
    core = Core()
    core.reconciler.round()
    return core


def owed(core: Core) -> list[DeliveryRecord]:
    return sorted(core.desk.store.list_deliveries(DeliveryQuery(LOCAL_TENANT, 1000)), key=lambda found: found.event)


def events(core: Core) -> list[str]:
    return [found.event for found in owed(core)]


def body(core: Core, record: DeliveryRecord) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(core.desk.archive.read(record)[1])
    return parsed


def batch_of(core: Core, batch: JobOptions, *items: JobOptions) -> BatchRecord:
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, batch) as writer:
        for options in items:
            writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), options)
        return writer.commit()


def work_all(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    while core.work_in_bulk(status):
        pass


# One photo


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_terminal])
def test_the_target_of_a_job_hears_how_it_ended(core: Core, status: JobStatus) -> None:
    job = core.accept(CALLED_BACK)
    assert owed(core) == []
    core.work(status)
    [delivery] = owed(core)
    assert (delivery.event, delivery.job_id, delivery.url) == (f"job.{status}", job.id, URL)
    assert delivery.webhook_id == webhook_id(job.id, f"job.{status}", 1)
    told = body(core, delivery)
    assert told["type"] == f"job.{status}"
    assert (told["data"]["id"], told["data"]["status"]) == (job.id, status)
    assert told["data"]["result"] == ({"faces": []} if status is JobStatus.SUCCEEDED else told["data"]["result"])
    assert told["data"]["result_url"].endswith(f"/v1/jobs/{job.id}")
    assert core.store.due_announcements(9, grace_s=0) == []


def test_a_cancellation_is_told_too(core: Core) -> None:
    job = core.accept(CALLED_BACK)
    core.jobs.cancel(LOCAL_TENANT, job.id)
    assert events(core) == ["job.cancelled"]


def test_nothing_is_told_that_was_not_asked_for(core: Core) -> None:
    core.accept(JobOptions())
    core.accept(JobOptions(webhook_url=URL, webhook_events=[WebhookEvent.JOB_FAILED]))
    core.work()
    core.work()
    assert owed(core) == []
    assert core.store.due_announcements(9, grace_s=0) == []


def test_each_run_is_told_under_an_id_of_its_own(core: Core) -> None:
    job = core.accept(CALLED_BACK)
    core.work(JobStatus.FAILED)
    core.jobs.retry(LOCAL_TENANT, job.id)
    core.work(JobStatus.SUCCEEDED)
    assert events(core) == ["job.failed", "job.succeeded"]
    assert len({found.webhook_id for found in owed(core)}) == 2


class DiesBeforeItTells(Core):
    """Whoever ends something does not live to announce it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jobs.debts = Unpaid()  # type: ignore[assignment]


class Unpaid:
    def pay(self, *_: object) -> None:
        """Die."""

    def pay_due(self) -> Counter[str]:
        return Counter()


def revive(core: Core) -> None:
    """Let an upkeep that is well look after the same records and objects."""
    healthy = Core(clock=core.clock, objects=core.objects, doorbell=core.doorbell, make_store=lambda _: core.store)
    core.jobs.debts = healthy.jobs.debts
    core.desk = healthy.desk
    core.reconciler = Reconciler(core.jobs)


def test_the_upkeep_tells_what_a_worker_did_not_come_to(core: Core) -> None:
    dying = DiesBeforeItTells()
    dying.reconciler.round()
    dying.accept(CALLED_BACK)
    dying.work()
    batch_of(dying, CALLED_BACK, JobOptions(reference="a"))
    work_all(dying)
    assert events(dying) == []
    revive(dying)
    dying.clock.advance(60)
    dying.reconciler.round()
    assert events(dying) == ["batch.completed", "job.succeeded"]


def test_two_runs_that_nobody_told_of_are_both_told(core: Core) -> None:
    dying = DiesBeforeItTells()
    dying.reconciler.round()
    job = dying.accept(CALLED_BACK)
    dying.work(JobStatus.FAILED)
    dying.jobs.retry(LOCAL_TENANT, job.id)
    dying.work(JobStatus.SUCCEEDED)
    revive(dying)
    dying.clock.advance(60)
    dying.reconciler.round()
    assert events(dying) == ["job.failed", "job.succeeded"]


def test_after_a_loss_of_redis_everything_is_told_once_more_under_the_same_ids(core: Core) -> None:
    core.accept(CALLED_BACK)
    core.work()
    batch_of(core, CALLED_BACK, JobOptions(reference="a"))
    work_all(core)
    before = owed(core)
    assert len(before) == 2
    core.lose_records()
    core.settle_down()
    assert [(found.id, found.webhook_id) for found in owed(core)] == [(found.id, found.webhook_id) for found in before]


class SometimesAway(MemoryObjectStore):
    """Storage that takes no deliveries for a while."""

    takes_deliveries = True

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if not self.takes_deliveries and key.startswith("deliveries/"):
            raise StorageUnavailable("away")
        return super().put_if_absent(key, body)


def test_a_store_that_is_away_puts_it_off(core: Core) -> None:
    objects = SometimesAway()
    core = Core(objects=objects)
    core.reconciler.round()
    core.accept(CALLED_BACK)
    objects.takes_deliveries = False
    core.work()
    assert events(core) == []
    core.clock.advance(60)
    core.reconciler.round()
    assert events(core) == []
    objects.takes_deliveries = True
    core.reconciler.round()
    assert events(core) == ["job.succeeded"]


def test_a_result_that_cannot_be_read_stops_no_other(core: Core) -> None:
    damaged, whole = core.accept(CALLED_BACK), core.accept(CALLED_BACK)
    for job in (damaged, whole):
        claim = core.jobs.claim(job.id)
        assert claim is not None
        ended = claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock())
        core.store.settle(core.jobs.archive.write_outcome(ended, b'{"faces":[]}'))  # and the worker is killed
    key = layout.outcome_key(LOCAL_TENANT, damaged.id, 1)
    core.objects.put(key, core.objects.get(key)[:-1])
    core.clock.advance(5)
    core.reconciler.due()
    assert [found.job_id for found in owed(core)] == [whole.id]


def test_what_is_told_of_a_job_is_gone_with_its_deletion_though_storage_is_away() -> None:
    class Undeletable(MemoryObjectStore):
        is_undeletable = False

        def delete(self, *keys: str) -> None:
            if self.is_undeletable:
                raise StorageUnavailable(*keys)
            super().delete(*keys)

    objects = Undeletable()
    core = Core(objects=objects)
    core.reconciler.round()
    job = core.accept(CALLED_BACK)
    core.work()
    assert events(core) == ["job.succeeded"]
    objects.is_undeletable = True
    core.jobs.delete(LOCAL_TENANT, job.id)
    assert (owed(core), core.desk.claim()) == ([], None)
    objects.is_undeletable = False
    core.settle_down()
    assert (owed(core), core.stored("deliveries/")) == ([], [])


def test_a_deleted_job_is_told_of_no_more(core: Core) -> None:
    job = core.accept(CALLED_BACK)
    core.work()
    core.jobs.delete(LOCAL_TENANT, job.id)
    assert owed(core) == []
    assert core.stored("deliveries/") == []
    core.settle_down()
    assert (owed(core), core.stored("deliveries/")) == ([], [])


# Batches


def test_a_batch_tells_of_its_completion_alone(core: Core) -> None:
    batch = batch_of(core, CALLED_BACK, *(CALLED_BACK.model_copy(update={"reference": name}) for name in "abc"))
    assert owed(core) == []
    work_all(core)
    [delivery] = owed(core)
    assert (delivery.event, delivery.batch_id, delivery.job_id) == ("batch.completed", batch.id, None)
    told = body(core, delivery)["data"]
    assert (told["status"], told["counts"]["succeeded"], told["progress"]) == ("completed", 3, 1.0)
    assert told["result_url"].endswith(f"/v1/batches/{batch.id}/results")


def test_a_batch_tells_of_its_photos_where_it_says_so(core: Core) -> None:
    batch = JobOptions(webhook_url=URL, webhook_events=[WebhookEvent.JOB_FAILED, WebhookEvent.BATCH_COMPLETED])
    batch_of(core, batch, *(batch.model_copy(update={"reference": name}) for name in "ab"))
    work_all(core, JobStatus.FAILED)
    assert events(core) == ["batch.completed", "job.failed", "job.failed"]


def test_a_batch_that_names_other_events_does_not_tell_of_its_completion(core: Core) -> None:
    batch = JobOptions(webhook_url=URL, webhook_events=[WebhookEvent.JOB_SUCCEEDED])
    batch_of(core, batch, batch.model_copy(update={"reference": "a"}))
    work_all(core)
    assert events(core) == ["job.succeeded"]


def test_an_item_with_a_target_of_its_own_tells_that(core: Core) -> None:
    batch_of(core, CALLED_BACK, JobOptions(webhook_url=OTHER, reference="a"), JobOptions(reference="b"))
    work_all(core)
    assert [(found.event, found.url) for found in owed(core)] == [("batch.completed", URL), ("job.succeeded", OTHER)]


def test_a_batch_of_nothing_but_rejected_items_is_told_of(core: Core) -> None:
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, CALLED_BACK) as writer:
        writer.add_rejected(JobOptions(webhook_url=OTHER), JobError(code="unsupported_format", message="."))
        writer.commit()
    core.clock.advance(10)
    core.reconciler.round()
    assert events(core) == ["batch.completed", "job.rejected"]


def test_a_retried_batch_tells_of_no_second_completion(core: Core) -> None:
    batch = batch_of(core, CALLED_BACK, JobOptions(reference="a"), JobOptions(reference="b"))
    work_all(core, JobStatus.FAILED)
    assert core.batches.retry(LOCAL_TENANT, batch.id) == 2
    core.clock.advance(60)
    core.reconciler.round()
    work_all(core)
    core.settle_down()
    assert core.find_batch(batch.id).completions == 2
    [delivery] = owed(core)
    assert body(core, delivery)["data"]["counts"]["failed"] == 2


def test_a_completion_nobody_told_of_waits_while_the_batch_is_open_again(core: Core) -> None:
    dying = DiesBeforeItTells()
    dying.reconciler.round()
    batch = batch_of(dying, CALLED_BACK, JobOptions(reference="a"))
    work_all(dying, JobStatus.FAILED)
    dying.batches.retry(LOCAL_TENANT, batch.id)
    revive(dying)
    dying.clock.advance(60)
    dying.reconciler.round()
    assert events(dying) == []
    work_all(dying)
    dying.settle_down()
    assert events(dying) == ["batch.completed"]


def test_a_cancelled_batch_tells_when_its_last_item_has_ended(core: Core) -> None:
    batch = batch_of(core, CALLED_BACK, JobOptions(reference="a"), JobOptions(reference="b"))
    core.batches.cancel(LOCAL_TENANT, batch.id)
    [delivery] = owed(core)
    told = body(core, delivery)["data"]
    assert (told["status"], told["counts"]["cancelled"]) == ("cancelled", 2)


def test_a_deleted_batch_and_its_photos_are_told_of_no_more(core: Core) -> None:
    batch = JobOptions(webhook_url=URL, webhook_events=list(WebhookEvent))
    made = batch_of(core, batch, *(batch.model_copy(update={"reference": name}) for name in "abc"))
    work_all(core)
    assert len(owed(core)) == 4
    core.batches.delete(LOCAL_TENANT, made.id)
    assert owed(core) == []
    core.settle_down()
    assert (owed(core), core.stored("deliveries/")) == ([], [])
    with pytest.raises(BatchNotFound):
        core.find_batch(made.id)


def test_what_ends_after_its_batch_was_deleted_is_not_told(core: Core) -> None:
    batch = JobOptions(webhook_url=URL, webhook_events=list(WebhookEvent))
    made = batch_of(core, batch, batch.model_copy(update={"reference": "a"}))
    [item] = core.items(made.id)
    claim = core.jobs.claim(item.id)
    assert claim is not None
    core.batches.delete(LOCAL_TENANT, made.id)
    core.jobs.finish(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.settle_down()
    assert (owed(core), core.stored("deliveries/")) == ([], [])


def test_the_settings_name_the_address_in_bodies() -> None:
    core = Core(settings=Settings(public_url="https://faces.example/"))
    core.reconciler.round()
    job: JobRecord = core.accept(CALLED_BACK)
    core.work()
    assert body(core, owed(core)[0])["data"]["result_url"] == f"https://faces.example/v1/jobs/{job.id}"
