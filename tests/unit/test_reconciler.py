"""The reconciler: whatever was lost, every accepted photo ends, once."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.config import Settings
from shared.errors import JobNotFound, RecordsUnavailable
from shared.jobs.batch_record import BatchSource
from shared.jobs.lifecycle import Upload
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.reconciler import Reconciler
from shared.jobs.store import JobQuery
from shared.names import LOCAL_TENANT, QueueName, job_id_time, new_job_id
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from shared.storage.base import ObjectInfo
from shared.storage.memory import MemoryObjectStore
from tests.core import PHOTO, Core

DAY_S = 86_400.0


def test_what_makes_room_is_done_whatever_becomes_of_the_rest(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RecordsUnavailable("OOM command not allowed")

    record = core.accept()
    core.work()
    core.clock.now_ms = record.expires_ms + 1
    monkeypatch.setattr(core.store, "expired_leases", refuse)
    monkeypatch.setattr(core.store, "due_doorbells", refuse)
    with pytest.raises(RecordsUnavailable):
        core.reconciler.due()
    assert core.store.get(record.id) is None


def test_a_lost_message_is_rung_again(core: Core) -> None:
    record = core.accept()
    core.doorbell.rung.clear()
    assert core.reconciler.round()["rung"] == 0
    core.clock.advance(core.settings.doorbell_grace_s)
    assert core.reconciler.round()["rung"] == 1
    core.work()
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_messages_that_still_wait_are_not_sent_again(core: Core) -> None:
    for _ in range(20):
        core.accept()
    for _ in range(10):
        core.clock.advance(core.settings.doorbell_grace_s)
        core.reconciler.round()
    assert core.doorbell.depth(QueueName.INTERACTIVE) == 20


def test_only_as_many_are_rung_as_are_lacking(core: Core) -> None:
    for _ in range(20):
        core.accept()
    for _ in range(7):
        core.doorbell.take(QueueName.INTERACTIVE)
    core.clock.advance(core.settings.doorbell_grace_s)
    assert core.reconciler.round()["rung"] == 7
    assert core.doorbell.depth(QueueName.INTERACTIVE) == 20


def test_a_killed_workers_photo_goes_to_another(core: Core) -> None:
    record = core.accept()
    core.jobs.claim(str(core.doorbell.take(QueueName.INTERACTIVE)))
    core.reconciler.round()
    assert core.doorbell.depth(QueueName.INTERACTIVE) == 0
    core.clock.advance(core.settings.lease_s)
    core.reconciler.round()
    assert core.find(record.id).status is JobStatus.RUNNING  # a lease that runs out is not visible
    core.work()
    ended = core.find(record.id)
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)


def test_a_poison_photo_ends_as_failed_after_three_attempts(core: Core) -> None:
    record = core.accept()
    attempts = 0
    for _ in range(20):
        job_id = core.doorbell.take(QueueName.INTERACTIVE)
        attempts += job_id is not None and core.jobs.claim(job_id) is not None
        core.clock.advance(core.settings.lease_s)
        core.reconciler.round()
    assert attempts == 3
    assert core.find(record.id).status is JobStatus.FAILED


def test_an_outcome_whose_record_never_heard_of_it_is_adopted(core: Core) -> None:
    record = core.accept()
    claim = core.jobs.claim(record.id)
    assert claim is not None
    core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.clock.advance(core.settings.lease_s)
    core.reconciler.round()
    assert core.find(record.id).status is JobStatus.SUCCEEDED
    assert layout.upload_key(LOCAL_TENANT, record.id) not in core.stored()


def test_an_upload_whose_record_was_never_written_is_measured(core: Core) -> None:
    record = core.accept(JobOptions(reference="kept", max_faces=2))
    core.lose_records()
    core.store.end_rebuild(core.store.begin_rebuild())  # the records count as complete: only the API died
    assert core.reconciler.sweep()["restored"] == 1
    core.work()
    found = core.find(record.id)
    assert found.status is JobStatus.SUCCEEDED
    assert found.options == JobOptions(reference="kept", max_faces=2)


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_terminal])
def test_records_come_back_from_storage_as_they_were(core: Core, status: JobStatus) -> None:
    record = core.accept(JobOptions(reference="r"))
    if status is JobStatus.CANCELLED:
        core.jobs.cancel(LOCAL_TENANT, record.id)
    else:
        core.work(status)
    before = core.store.get(record.id)
    core.lose_records()
    core.reconciler.round()
    assert core.store.get(record.id) == before


def test_a_loss_during_the_rebuild_starts_it_anew(core: Core) -> None:
    records = [core.accept() for _ in range(3)]
    core.lose_records()
    survey = core.jobs.archive.survey()
    token = core.store.begin_rebuild()
    next(survey)
    core.lose_records()
    assert not core.store.end_rebuild(token)
    core.reconciler.round()
    assert len(core.jobs.list_jobs(JobQuery(LOCAL_TENANT, 10))) == len(records)


def test_leftovers_of_a_worker_killed_before_it_deleted_the_upload(core: Core) -> None:
    record = core.accept()
    core.work()
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), b"left")
    core.lose_records()
    core.reconciler.round()
    assert layout.upload_key(LOCAL_TENANT, record.id) not in core.stored()
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), b"left")
    assert core.reconciler.audit() == {"uploads_deleted": 1}
    assert layout.upload_key(LOCAL_TENANT, record.id) not in core.stored()


def test_jobs_and_their_objects_expire_and_tombstones_after_them(core: Core) -> None:
    kept, deleted = core.accept(JobOptions(keep_image=True, reference="r")), core.accept()
    core.work()
    core.work()
    core.jobs.delete(LOCAL_TENANT, deleted.id)
    core.clock.now_ms = kept.expires_ms
    core.reconciler.round()
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, deleted.id)]
    core.clock.advance(DAY_S / 2)
    core.reconciler.audit()
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, deleted.id)]
    core.clock.advance(DAY_S)
    core.reconciler.audit()
    assert core.stored() == []


def test_a_damaged_outcome_does_not_stop_the_others(core: Core) -> None:
    damaged, sound = core.accept(), core.accept()
    core.work()
    core.work()
    core.objects.put(layout.outcome_key(LOCAL_TENANT, damaged.id, 1), b"not what this service writes")
    core.lose_records()
    assert core.reconciler.rebuild_if_lost()["unreadable"] == 1
    assert core.find(sound.id).status is JobStatus.SUCCEEDED


def test_an_audit_of_a_healthy_service_finds_nothing(core: Core) -> None:
    core.accept(JobOptions(keep_image=True))
    core.accept()
    core.work()
    core.jobs.delete(LOCAL_TENANT, core.accept().id)
    core.reconciler.round()
    assert core.reconciler.audit() == {}
    assert core.reconciler.sweep() == {}


STRAY = [
    "uploads/readme.txt",
    "uploads/local/",
    f"outcomes/local/{new_job_id()}.x",
    "deleted/local/x",
    "options/local/job_x",
]


@pytest.mark.parametrize("key", STRAY)
def test_objects_of_somebody_else_are_passed_over(core: Core, key: str) -> None:
    record = core.accept()
    core.objects.put(key, b"")
    core.lose_records()
    core.settle_down()
    assert core.find(record.id).status is JobStatus.SUCCEEDED
    assert key in core.stored()


def test_options_of_a_later_version_do_not_stop_the_others(core: Core) -> None:
    later, sound = core.accept(JobOptions(reference="later")), core.accept()
    core.objects.put(layout.options_key(LOCAL_TENANT, later.id), b'{"queue":"interactive","options":{"news":1}}')
    core.lose_records()
    assert core.reconciler.rebuild_if_lost()["unreadable"] == 1
    assert core.find(sound.id).status is JobStatus.QUEUED


def test_a_damaged_outcome_of_a_job_whose_lease_ran_out(core: Core) -> None:
    damaged, sound = core.accept(), core.accept()
    for record in (damaged, sound):
        core.jobs.claim(record.id)
    core.objects.put(layout.outcome_key(LOCAL_TENANT, damaged.id, 1), b"not what this service writes")
    core.doorbell.rung.clear()
    core.clock.advance(core.settings.lease_s)
    core.reconciler.round()
    core.work()
    assert core.find(sound.id).status is JobStatus.SUCCEEDED


def test_a_delete_that_died_after_its_tombstone_is_finished_by_the_sweep(core: Core) -> None:
    record = core.accept()
    core.work()
    core.objects.put(layout.tombstone_key(LOCAL_TENANT, record.id), b"")
    core.reconciler.sweep()
    with pytest.raises(JobNotFound):
        core.find(record.id)
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]


def test_options_without_a_photo_do_not_stay(core: Core) -> None:
    record = core.accept(JobOptions(reference="r"))
    core.objects.delete(layout.upload_key(LOCAL_TENANT, record.id))
    core.lose_records()
    core.clock.now_ms = record.created_ms
    core.reconciler.round()
    assert core.stored() == [layout.options_key(LOCAL_TENANT, record.id)]  # perhaps the photo is on its way
    core.clock.advance(3601)
    core.reconciler.audit()
    assert core.stored() == []


def test_a_preview_written_after_a_delete_does_not_stay(core: Core) -> None:
    record = core.accept(JobOptions(keep_image=True))
    core.jobs.delete(LOCAL_TENANT, record.id)
    core.objects.put(layout.preview_key(LOCAL_TENANT, record.id), b"a face")
    core.lose_records()
    core.reconciler.round()
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]


def test_a_retry_whose_record_never_heard_of_it_is_opened_by_the_audit(core: Core) -> None:
    record = core.accept()
    core.work(JobStatus.FAILED)
    core.objects.put(layout.rerun_key(LOCAL_TENANT, record.id, 2), b"")
    assert core.reconciler.audit() == {"reopened": 1}
    core.work()
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_what_a_worker_wrote_after_its_job_expired_does_not_stay(core: Core) -> None:
    record = core.accept()
    claim = core.jobs.claim(record.id)
    assert claim is not None
    core.clock.now_ms = record.expires_ms
    core.reconciler.round()
    core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.clock.advance(core.settings.lease_s + core.settings.photo_time_limit_s)
    core.reconciler.round()
    assert core.stored() == []


def test_a_rebuild_remembers_the_queue(core: Core) -> None:
    upload = Upload(io.BytesIO(PHOTO), "image/jpeg")
    record = core.jobs.accept(LOCAL_TENANT, upload, JobOptions(), QueueName.BULK)
    core.lose_records()
    core.reconciler.round()
    assert core.find(record.id) == record


@pytest.mark.parametrize("options", [JobOptions(reference="SKU-7"), JobOptions(keep_image=True)])
def test_a_rebuild_remembers_which_request_brought_a_photo(core: Core, options: JobOptions) -> None:
    upload = Upload(io.BytesIO(PHOTO), "image/jpeg")
    record = core.jobs.accept(LOCAL_TENANT, upload, options, QueueName.INTERACTIVE, request_id="brought-it")
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions(), request_id="brought-all") as writer:
        writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions())
        batch = writer.commit()
    core.lose_records()
    core.reconciler.round()
    assert core.find(record.id).request_id == "brought-it"
    assert [item.request_id for item in core.items(batch.id)] == ["brought-all"]


def test_tenants_whose_names_begin_alike_are_kept_apart(core: Core) -> None:
    jobs = {}
    for tenant in ("a", "a-b", "a.b", "ab"):
        record = core.jobs.accept(tenant, Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions(), QueueName.INTERACTIVE)
        core.work(JobStatus.FAILED)
        jobs[tenant] = record.id
    surveyed = [(traces.tenant, traces.job_id) for traces in core.jobs.archive.survey()]
    assert sorted(surveyed) == sorted(jobs.items())


class InTheOrderOfKeys(MemoryObjectStore):
    """A store that lists as S3 does; the one in memory lists as SeaweedFS does."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        yield from sorted(super().list(prefix), key=lambda found: found.key)


@pytest.mark.parametrize("kind", [MemoryObjectStore, InTheOrderOfKeys])
def test_a_loss_is_rebuilt_whatever_order_the_store_lists_in(kind: type[MemoryObjectStore]) -> None:
    core = Core(objects=kind())
    core.reconciler.round()
    jobs = {}
    for tenant in ("acme", "acme-eu", "acme0"):
        for number in range(4):
            options = JobOptions(reference=str(number))
            record = core.jobs.accept(tenant, Upload(io.BytesIO(PHOTO), "image/jpeg"), options, QueueName.INTERACTIVE)
            if number % 2:
                core.work(JobStatus.SUCCEEDED)
            jobs[record.id] = tenant
    stored = core.stored()
    core.clock.now_ms = max(round(job_id_time(job_id).timestamp() * 1000) for job_id in jobs) + 7_200_000
    core.lose_records()
    assert core.reconciler.rebuild_if_lost() == {"restored": len(jobs)}
    assert core.stored() == stored
    assert {job_id: core.jobs.find(tenant, job_id).options.reference for job_id, tenant in jobs.items()} == {
        job_id: str(number % 4) for number, job_id in enumerate(jobs)
    }


def test_what_the_listings_lacked_is_looked_for_before_it_is_deleted(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of listings are of different moments, and a store may lack in a list what it has by its key."""
    options = JobOptions(reference="1")
    record = core.jobs.accept(LOCAL_TENANT, Upload(io.BytesIO(PHOTO), "image/jpeg"), options, QueueName.INTERACTIVE)
    core.work(JobStatus.SUCCEEDED)
    (whole,) = core.jobs.archive.survey()
    core.clock.now_ms = round(job_id_time(record.id).timestamp() * 1000) + 7_200_000
    core.lose_records()
    monkeypatch.setattr(core.jobs.archive, "survey", lambda: iter([replace(whole, last_outcome=0)]))
    assert core.reconciler.rebuild_if_lost() == {"restored": 1}
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_a_redis_that_went_back_learns_of_the_last_run(core: Core) -> None:
    record = core.accept()
    core.work(JobStatus.FAILED)
    failed = core.find(record.id)
    core.jobs.retry(LOCAL_TENANT, record.id)
    core.work(JobStatus.SUCCEEDED)
    core.store.drop(record.id, LOCAL_TENANT)
    core.store.create(failed, restored=True)
    assert core.reconciler.audit()["adopted"] == 1
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_what_can_be_restored_is_no_orphan_though_its_record_is_lost_this_moment(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = core.accept()
    core.clock.now_ms = round(job_id_time(record.id).timestamp() * 1000) + 7_200_000
    core.store.drop(record.id, LOCAL_TENANT)
    core.store._state.records.cleanups.clear()  # type: ignore[attr-defined]
    with monkeypatch.context() as failing:
        failing.setattr(core.store, "create", lambda *_, **__: False)  # it was there
        core.reconciler.sweep()  # and is not, when it is asked for
    core.reconciler.sweep()
    assert core.find(record.id).status is JobStatus.QUEUED


def test_a_deleted_item_stays_deleted_when_things_are_kept_for_less_long(core: Core) -> None:
    batch = core.accept_batch("ab")
    deleted = core.items(batch.id)[0]
    core.jobs.delete(LOCAL_TENANT, deleted.id)
    later = Core(objects=core.objects, settings=Settings(retention_s=2 * DAY_S))
    later.clock.now_ms = round(job_id_time(deleted.id).timestamp() * 1000) + round(4 * DAY_S * 1000)
    later.reconciler.round()
    later.reconciler.audit()
    later.reconciler.audit()
    assert [item.id for item in later.items(batch.id)] == [
        item.id for item in core.items(batch.id) if item.id != deleted.id
    ]


def test_an_empty_upload_is_no_photo(core: Core) -> None:
    """What a store may keep of an API that was killed between the head and the body of its write."""
    job_id = new_job_id()
    core.objects.put(layout.upload_key(LOCAL_TENANT, job_id), b"")
    assert core.reconciler.round() == {}
    assert core.reconciler.sweep() == {}
    with pytest.raises(JobNotFound):
        core.find(job_id)
    core.clock.now_ms = round(job_id_time(job_id).timestamp() * 1000) + 3_601_000
    assert core.reconciler.audit() == {"orphans_deleted": 1}
    assert core.stored() == []


def test_several_hands_rebuild_what_one_does() -> None:
    core = Core()
    accepted = [core.accept().id for _ in range(20)]
    for _ in accepted[:10]:
        core.work()
    core.objects.put(layout.outcome_key(LOCAL_TENANT, accepted[-1], 1), b"rubbish")
    core.lose_records()
    done = Reconciler(core.jobs, hands=4).rebuild_if_lost()
    assert done == {"restored": 19, "unreadable": 1}
    assert core.store.missing(accepted) == [accepted[-1]]


def test_what_a_replica_had_not_heard_of_is_made_again_when_it_goes_on(core: Core) -> None:
    core.reconciler.round()  # from here on the records count as complete
    kept, lost, waiting = (core.accept() for _ in range(3))
    core.work()
    core.work()
    assert core.find(kept.id).status is core.find(lost.id).status is JobStatus.SUCCEEDED
    assert core.reconciler.audit_if_another_goes_on() == {}
    assert isinstance(core.store, MemoryJobStore)
    core.store.fail_over(lost.id, waiting.id)
    with pytest.raises(JobNotFound):
        core.find(lost.id)

    assert core.reconciler.audit_if_another_goes_on()["restored"] == 2
    assert core.find(lost.id).status is JobStatus.SUCCEEDED
    assert core.find(waiting.id).status is JobStatus.QUEUED
    assert core.reconciler.audit_if_another_goes_on() == {}


def test_several_reconcilers_at_once_do_no_harm(core: Core) -> None:
    records = [core.accept() for _ in range(30)]
    for _ in range(10):
        core.work()
    core.lose_records()
    core.clock.advance(core.settings.doorbell_grace_s)
    start = threading.Barrier(4)

    def keep_up(reconciler: Reconciler) -> None:
        start.wait()
        for step in (reconciler.round, reconciler.sweep, reconciler.audit, reconciler.due):
            step()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep_up, [Reconciler(core.jobs) for _ in range(4)]))
    core.settle_down(rounds=2)
    ended = [core.find(record.id) for record in records]
    assert {(job.status, job.attempts) for job in ended} == {(JobStatus.SUCCEEDED, 1)}
    assert len(core.stored(layout.OUTCOMES)) == len(records)
    assert core.stored(layout.UPLOADS) == []


def test_several_reconcilers_ring_no_more_than_is_lacking_for_long(core: Core) -> None:
    for _ in range(20):
        core.accept()
    core.doorbell.rung.clear()
    several = [Reconciler(core.jobs) for _ in range(3)]
    for _ in range(10):
        core.clock.advance(core.settings.doorbell_grace_s)
        for reconciler in several:
            reconciler.round()
    assert core.doorbell.depth(QueueName.INTERACTIVE) == 20
