"""The upkeep of batches: whatever was lost or died in the middle, every accepted item ends and every count is right."""

from __future__ import annotations

import io
from itertools import islice

import pytest

from shared.clock import system_clock
from shared.errors import BatchNotFound, JobNotFound, RecordsRebuilding
from shared.jobs.batch_purge import BatchPurge
from shared.jobs.batch_record import BatchSource
from shared.jobs.batch_store import BatchQuery
from shared.jobs.lifecycle import Upload
from shared.jobs.manifest import item_record
from shared.names import LOCAL_TENANT, QueueName, batch_id_time
from shared.schemas import BatchStatus, JobError, JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import PHOTO, Core

DAY_S = 86_400.0
REFERENCES = ("a", "b", "c")


@pytest.fixture
def core() -> Core:
    """Deadlines follow from ids, which are made with the machine's time."""
    core = Core()
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    return core


def work_all(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    while core.work_in_bulk(status):
        pass


def half_written(core: Core, records: int) -> str:
    """Make a batch of three whose API is killed after the manifest and so many records."""
    writer = core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions())
    for reference in REFERENCES:
        writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions(reference=reference))
    manifest = writer._manifest
    core.batches.archive.keep(manifest.head, manifest.finished())
    core.store.batches.create(manifest.head.record())
    made = (item_record(manifest.head, item, index) for index, item in enumerate(manifest.items()))
    core.store.batches.create_items(list(islice(made, records)))
    manifest.__exit__(None, None, None)
    return writer.batch_id


def test_what_a_client_has_said_of_a_batch_outlives_a_redis_that_goes_back_a_second(core: Core) -> None:
    core.reconciler.audit_if_another_goes_on()
    awaited, unwanted = core.expect_batch(REFERENCES), core.accept_batch(REFERENCES)
    for item in core.items(awaited.id):
        core.upload(item)
    go_back = core.records_as_of_now()
    core.batches.start(LOCAL_TENANT, awaited.id)
    core.batches.cancel(LOCAL_TENANT, unwanted.id)
    go_back()
    core.reconciler.audit_if_another_goes_on()
    core.settle_down()
    assert {item.status for item in core.items(awaited.id)} == {JobStatus.SUCCEEDED}
    assert {item.status for item in core.items(unwanted.id)} == {JobStatus.CANCELLED}


@pytest.mark.parametrize("is_started", [False, True])
def test_a_photo_that_comes_after_its_item_was_deleted_is_swept(core: Core, is_started: bool) -> None:
    batch = core.expect_batch(REFERENCES)
    item = core.items(batch.id)[0]
    if is_started:
        core.batches.start(LOCAL_TENANT, batch.id)
    core.jobs.delete(LOCAL_TENANT, item.id)
    core.upload(item)
    core.reconciler.sweep()
    assert core.stored(layout.UPLOADS) == []
    assert len(core.items(batch.id)) == len(REFERENCES) - 1


@pytest.mark.parametrize("records", [0, 1, 3])
def test_a_batch_whose_api_was_killed_is_written_to_its_end(core: Core, records: int) -> None:
    batch_id = half_written(core, records)
    for job_id in core.store.take(QueueName.BULK, 9, grace_s=10):
        core.measure(job_id)
    assert core.find_batch(batch_id).completed_ms is None  # whatever has ended: it is not sealed
    core.clock.advance(11)
    done = core.reconciler.round()
    assert done["items_restored"] == 3 - records
    work_all(core)
    found = core.find_batch(batch_id)
    assert (found.status, found.completions, found.counts[JobStatus.SUCCEEDED]) == (BatchStatus.COMPLETED, 1, 3)


def test_a_batch_comes_back_from_storage_as_it_was(core: Core) -> None:
    batch = core.accept_batch(str(number) for number in range(6))
    items = core.items(batch.id)
    core.measure(items[0].id)
    core.measure(items[1].id, JobStatus.REJECTED)
    core.measure(items[2].id, JobStatus.FAILED)
    core.jobs.cancel(LOCAL_TENANT, items[3].id)
    core.jobs.delete(LOCAL_TENANT, items[4].id)
    before, items = core.find_batch(batch.id), core.items(batch.id)
    core.lose_records()
    with pytest.raises(RecordsRebuilding):
        core.find_batch(batch.id)
    with pytest.raises(RecordsRebuilding):
        core.batches.list_batches(BatchQuery(LOCAL_TENANT, 9))
    assert [core.find(item.id) for item in items] == items  # single jobs are read from storage meanwhile
    core.reconciler.round()
    found = core.find_batch(batch.id)
    assert (found.counts, found.gone, found.status) == (before.counts, before.gone, before.status)
    assert core.items(batch.id) == items
    assert core.store.batches.recount(batch.id)


def test_a_complete_batch_comes_back_complete_since_then(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    work_all(core)
    before = core.find_batch(batch.id).completed_ms
    core.lose_records()
    core.clock.advance(3600)
    core.reconciler.round()
    assert core.find_batch(batch.id).completed_ms == before


def test_batches_in_every_state_survive_the_loss_of_all_records(core: Core) -> None:
    awaiting, started, cancelled, retried = (
        core.expect_batch(["a"]),
        core.expect_batch(["a"]),
        core.accept_batch(REFERENCES),
        core.accept_batch(["a"]),
    )
    core.measure(core.items(retried.id)[0].id, JobStatus.FAILED)
    core.batches.retry(LOCAL_TENANT, retried.id)
    core.batches.start(LOCAL_TENANT, started.id)
    core.batches.archive.mark_cancelled(LOCAL_TENANT, cancelled.id, core.clock())  # and killed before anything else
    core.lose_records()
    core.reconciler.round()
    core.clock.advance(31)
    core.reconciler.round()
    statuses = [core.find_batch(batch.id).status.value for batch in (awaiting, started, cancelled, retried)]
    assert statuses == ["awaiting_upload", "running", "cancelled", "running"]
    assert core.find_batch(cancelled.id).counts[JobStatus.CANCELLED] == 3
    core.upload(core.items(started.id)[0])
    core.clock.advance(31)
    core.reconciler.round()
    work_all(core)
    assert core.find_batch(started.id).status is BatchStatus.COMPLETED
    assert core.items(retried.id)[0].run == 2
    assert core.find_batch(retried.id).status is BatchStatus.COMPLETED


def test_a_rejected_item_survives_the_loss_of_all_records(core: Core) -> None:
    error = JobError(code="unsupported_format", message="a text")
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions()) as writer:
        job_id = writer.add_rejected(JobOptions(reference="readme.txt"), error)
        batch_id = writer.commit().id
    before = core.find(job_id)
    core.lose_records()
    assert core.find(job_id) == before
    core.reconciler.round()
    assert core.find(job_id) == before
    assert core.find_batch(batch_id).status is BatchStatus.COMPLETED


def test_photos_of_a_batch_that_was_never_accepted_are_swept_after_an_hour(core: Core) -> None:
    writer = core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions())
    job_id = writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions())
    writer._manifest.__exit__(None, None, None)
    core.lose_records()
    core.reconciler.round()
    with pytest.raises(JobNotFound):
        core.find(job_id)
    core.clock.advance(3590)
    assert core.reconciler.sweep() + core.reconciler.audit() == {}
    core.clock.advance(20)
    assert core.reconciler.sweep() == {"orphans_deleted": 1}
    assert core.stored() == []


def test_a_photo_that_is_sent_once_more_when_its_item_has_ended_is_deleted(core: Core) -> None:
    batch = core.expect_batch([*REFERENCES, "d"])
    measured, failed, cancelled, awaited = core.items(batch.id)
    for item in (measured, failed):
        core.upload(item)
    core.batches.start(LOCAL_TENANT, batch.id)
    core.measure(measured.id)
    core.measure(failed.id, JobStatus.FAILED)
    core.jobs.cancel(LOCAL_TENANT, cancelled.id)
    for item in (measured, cancelled, awaited):
        core.upload(item)
    assert core.reconciler.sweep() == {"uploads_deleted": 2}
    # One may be retried, one is to be measured.
    assert core.stored(layout.UPLOADS) == [
        layout.upload_key(LOCAL_TENANT, item.id, batch.id) for item in (failed, awaited)
    ]


def test_photos_of_a_batch_that_is_not_started_wait(core: Core) -> None:
    batch = core.expect_batch(REFERENCES)
    for item in core.items(batch.id):
        core.upload(item)
    assert core.reconciler.sweep() == {}
    assert len(core.stored(layout.UPLOADS)) == 3


def test_a_photo_that_is_sent_once_more_after_its_batch_was_purged_is_deleted(core: Core) -> None:
    batch = core.expect_batch(REFERENCES)
    items = core.items(batch.id)
    core.batches.delete(LOCAL_TENANT, batch.id)
    core.clock.advance(61)
    core.reconciler.sweep()
    core.upload(items[0])
    assert core.reconciler.sweep() == {"uploads_deleted": 1}
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, batch.id)]


@pytest.mark.parametrize("dropped", [0, 2])
def test_a_delete_that_died_after_its_tombstone_is_finished(core: Core, dropped: int) -> None:
    batch = core.accept_batch(REFERENCES)
    ids = [item.id for item in core.items(batch.id)]
    core.batches.archive.mark_deleted(LOCAL_TENANT, batch.id, core.clock())
    if dropped:
        core.store.batches.drop(batch.id)
        core.store.batches.drop_items(ids[:dropped])
    assert core.reconciler.sweep() == {"items_deleted": 3 - dropped}
    with pytest.raises(BatchNotFound):
        core.find_batch(batch.id)
    core.clock.advance(61)
    core.reconciler.sweep()
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, batch.id)]


def test_a_deleted_batch_stays_deleted_after_the_loss_of_all_records(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    ids = [item.id for item in core.items(batch.id)]
    core.measure(ids[0])
    core.batches.delete(LOCAL_TENANT, batch.id)
    core.lose_records()
    with pytest.raises(BatchNotFound):
        core.find_batch(batch.id)
    for job_id in ids:
        with pytest.raises(JobNotFound):
            core.find(job_id)
    core.reconciler.round()
    assert core.batches.list_batches(BatchQuery(LOCAL_TENANT, 9)) == []
    assert core.store.missing(ids) == ids
    core.clock.advance(61)
    core.reconciler.sweep()
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, batch.id)]


def test_an_empty_manifest_is_no_batch(core: Core) -> None:
    """What a store may keep of an API that was killed between the head and the body of its write."""
    batch = core.accept_batch(REFERENCES)
    core.batches.forget(batch.id)
    core.objects.put(layout.manifest_key(LOCAL_TENANT, batch.id), b"")
    assert core.reconciler.sweep() == {}
    with pytest.raises(BatchNotFound):
        core.find_batch(batch.id)
    core.clock.now_ms = round(batch_id_time(batch.id).timestamp() * 1000) + 3_601_000
    assert core.reconciler.sweep() == {"orphans_deleted": len(REFERENCES)}
    assert core.stored(layout.UPLOADS) == []


class Counting(MemoryObjectStore):
    """Counts what is deleted, whether it was there or not."""

    n_deleted = 0

    def delete(self, *keys: str) -> None:
        self.n_deleted += len(keys)
        super().delete(*keys)


def test_of_a_deleted_batch_no_more_is_deleted_than_there_is() -> None:
    objects = Counting()
    core = Core(objects=objects)
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    other = core.accept(JobOptions())
    batch = core.accept_batch(str(number) for number in range(20))
    core.measure(core.items(batch.id)[0].id)
    core.batches.delete(LOCAL_TENANT, batch.id)
    n_objects, objects.n_deleted = len(core.stored()), 0
    BatchPurge(core.jobs).purge(LOCAL_TENANT, batch.id)
    markers = 2  # of a batch: started and cancelled
    assert objects.n_deleted <= n_objects + markers
    assert core.stored(layout.UPLOADS) == [layout.upload_key(LOCAL_TENANT, other.id)]
    assert core.stored(layout.OUTCOMES) == []


@pytest.mark.parametrize("keeps_its_head", [False, True])
def test_a_deleted_batch_is_purged_though_its_manifest_cannot_be_read(core: Core, keeps_its_head: bool) -> None:
    other = core.accept_batch(["left", "measured"])
    batch = core.accept_batch(["left", "measured"])
    for accepted in (other, batch):
        measured = core.items(accepted.id)[1]
        core.measure(measured.id)
        core.objects.put(layout.preview_key(LOCAL_TENANT, measured.id), b"a small copy")
    manifest = layout.manifest_key(LOCAL_TENANT, batch.id)
    head, _, items = core.objects.get(manifest).partition(b"\n")
    core.objects.put(manifest, (head if keeps_its_head else b"{") + b"\n{" + items)
    of_the_other = [key for key in core.stored() if any(item.id in key for item in core.items(other.id))]
    core.batches.delete(LOCAL_TENANT, batch.id)
    core.clock.advance(core.settings.lease_s + core.settings.photo_time_limit_s + 1)
    assert core.reconciler.sweep()["batches_purged"] == 1
    assert sorted(core.stored()) == sorted(
        (*of_the_other, layout.manifest_key(LOCAL_TENANT, other.id), layout.tombstone_key(LOCAL_TENANT, batch.id))
    )


def test_an_outcome_written_after_the_purge_does_not_stay(core: Core) -> None:
    batch = core.accept_batch(["a"])
    claim = core.jobs.claim(core.items(batch.id)[0].id)
    assert claim is not None
    core.batches.delete(LOCAL_TENANT, batch.id)
    core.clock.advance(61)
    core.reconciler.sweep()
    core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.clock.advance(3600)
    assert core.reconciler.audit()["orphans_deleted"] == 1
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, batch.id)]


def test_batches_and_their_objects_expire(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    core.measure(core.items(batch.id)[0].id)
    core.clock.now_ms = batch.expires_ms
    with pytest.raises(BatchNotFound):
        core.find_batch(batch.id)
    core.reconciler.round()
    assert core.stored() == []
    assert core.store.batches.get(batch.id) is None


def test_batches_that_expired_while_records_were_lost(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    core.measure(core.items(batch.id)[0].id)
    core.lose_records()
    core.clock.now_ms = batch.expires_ms
    core.reconciler.round()
    core.reconciler.audit()
    core.reconciler.sweep()
    assert core.stored() == []


def test_lost_messages_are_rung_again_and_no_more_than_are_needed(core: Core) -> None:
    core.accept_batch(str(number) for number in range(40))
    core.doorbell.rung.clear()
    assert core.reconciler.round()["rung"] == 3
    for _ in range(5):
        core.clock.advance(11)
        assert core.reconciler.round()["rung"] == 0
    core.accept_batch(str(number) for number in range(2000))
    assert core.doorbell.depth(QueueName.BULK) == 64


def test_a_killed_workers_chunk_goes_to_another(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    core.doorbell.take(QueueName.BULK)
    taken = core.store.take(QueueName.BULK, 16, grace_s=core.settings.doorbell_grace_s)
    core.jobs.claim(taken[0])  # and is killed
    core.clock.advance(core.settings.doorbell_grace_s)
    core.reconciler.round()
    work_all(core)
    assert core.find_batch(batch.id).counts[JobStatus.SUCCEEDED] == 2
    core.clock.advance(core.settings.lease_s)
    core.reconciler.round()
    work_all(core)
    items = core.items(batch.id)
    assert [(item.status, item.attempts) for item in items] == [
        (JobStatus.SUCCEEDED, 1 + (item.id == taken[0])) for item in items
    ]


def test_a_damaged_manifest_does_not_stop_the_others(core: Core) -> None:
    damaged, sound = core.accept_batch(REFERENCES), core.accept_batch(REFERENCES)
    core.objects.put(layout.manifest_key(LOCAL_TENANT, damaged.id), b"not what this service writes")
    core.lose_records()
    assert core.reconciler.rebuild_if_lost()["unreadable"] >= 1
    work_all(core)
    assert core.find_batch(sound.id).status is BatchStatus.COMPLETED


def test_an_audit_of_healthy_batches_finds_nothing(core: Core) -> None:
    done = core.accept_batch(REFERENCES)
    work_all(core)
    core.accept_batch(REFERENCES)
    core.expect_batch(REFERENCES)
    core.jobs.delete(LOCAL_TENANT, core.items(done.id)[0].id)
    assert core.reconciler.audit() == {}
    assert core.reconciler.sweep() == {}


def test_an_audit_sets_wrong_counts_right(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    state = core.store._state  # type: ignore[attr-defined]
    state._count(batch.id, JobStatus.QUEUED, 1)
    assert core.reconciler.audit() == {"batches_miscounted": 1}
    assert core.find_batch(batch.id).counts[JobStatus.QUEUED] == 3
