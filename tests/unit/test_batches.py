"""The life of a batch over memory adapters: what a client may do, and every write that may be the last."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from shared.clock import system_clock
from shared.errors import (
    AlreadyFinished,
    BatchNotFound,
    BatchTooLarge,
    DuplicateReference,
    JobNotFound,
    RecordsRebuilding,
    RecordsUnavailable,
    StorageUnavailable,
)
from shared.jobs.batch_reader import BatchReader
from shared.jobs.batch_record import BatchSource
from shared.jobs.batch_store import BatchQuery, ItemQuery
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.lifecycle import Upload
from shared.jobs.record import JobRecord
from shared.jobs.store import JobQuery
from shared.names import LOCAL_TENANT, QueueName, is_batch_id, new_batch_id
from shared.schemas import BatchStatus, JobError, JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import PHOTO, Core
from tests.late_writes import WritesLate

DAY_S = 86_400.0
REFERENCES = ("a", "b", "c")


@pytest.fixture
def core() -> Core:
    """Deadlines follow from ids, which are made with the machine's time."""
    core = Core()
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    return core


def test_a_refused_batch_whose_manifest_is_written_after_its_deletion_is_never_measured() -> None:
    core = Core(objects=WritesLate(layout.BATCHES))
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    with pytest.raises(StorageUnavailable):
        core.accept_batch(REFERENCES)
    assert len(core.stored(layout.BATCHES)) == 1
    core.settle_down()
    assert core.batches.list_batches(BatchQuery(LOCAL_TENANT, 10)) == []
    assert core.stored(layout.BATCHES) == core.stored(layout.UPLOADS) == []


def test_a_batch_that_took_longer_than_its_photos_are_left_alone_is_refused(core: Core) -> None:
    with begun(core) as writer:
        writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions())
        core.clock.advance(3601)
        core.reconciler.sweep()
        with pytest.raises(StorageUnavailable):
            writer.commit()
    assert core.batches.list_batches(BatchQuery(LOCAL_TENANT, 10)) == []


def begun(core: Core, options: JobOptions | None = None) -> BatchWriter:
    return core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, options or JobOptions())


def photo() -> Upload:
    return Upload(io.BytesIO(PHOTO), "image/jpeg")


def work_all(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    while core.work_in_bulk(status):
        pass


def test_an_accepted_batch_is_stored_recorded_and_rung_for(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    assert is_batch_id(batch.id)
    items = core.items(batch.id)
    assert [item.options.reference for item in items] == list(REFERENCES)
    assert [item.item_index for item in items] == [0, 1, 2]
    assert core.stored(layout.UPLOADS) == sorted(layout.upload_key(LOCAL_TENANT, item.id, batch.id) for item in items)
    assert core.stored(layout.BATCHES) == [layout.manifest_key(LOCAL_TENANT, batch.id)]
    assert core.doorbell.depth(QueueName.BULK) == 1
    found = core.find_batch(batch.id)
    assert (found.status, found.total, found.progress, found.sealed) == (BatchStatus.RUNNING, 3, 0.0, True)


def test_a_batch_runs_to_its_end(core: Core) -> None:
    batch = core.accept_batch(str(number) for number in range(40))
    assert core.doorbell.depth(QueueName.BULK) == 3  # chunks of 16
    work_all(core)
    found = core.find_batch(batch.id)
    assert (found.status, found.counts[JobStatus.SUCCEEDED], found.completions) == (BatchStatus.COMPLETED, 40, 1)
    assert core.stored(layout.UPLOADS) == []


def test_options_of_the_batch_and_of_the_item(core: Core) -> None:
    shared_options = JobOptions(max_faces=2, keep_image=True)
    with begun(core, shared_options) as writer:
        writer.add_upload(photo(), shared_options.model_copy(update={"reference": "a"}))
        writer.add_upload(photo(), JobOptions(reference="b", landmarks=False))
        batch_id = writer.commit().id
    before = [item.options for item in core.items(batch_id)]
    assert before == [
        JobOptions(reference="a", max_faces=2, keep_image=True),
        JobOptions(reference="b", landmarks=False),
    ]
    core.lose_records()
    core.reconciler.round()
    assert [item.options for item in core.items(batch_id)] == before


def test_a_rejected_item_keeps_its_place_and_reference(core: Core) -> None:
    error = JobError(code="unsupported_format", message="a text")
    with begun(core) as writer:
        writer.add_upload(photo(), JobOptions(reference="a"))
        writer.add_rejected(JobOptions(reference="readme.txt"), error)
        batch_id = writer.commit().id
    work_all(core)
    assert [(item.status, item.error) for item in core.items(batch_id)] == [
        (JobStatus.SUCCEEDED, None),
        (JobStatus.REJECTED, error),
    ]
    assert core.find_batch(batch_id).status is BatchStatus.COMPLETED


def test_a_batch_of_nothing_but_rejected_items_is_complete_at_once(core: Core) -> None:
    with begun(core) as writer:
        writer.add_rejected(JobOptions(), JobError(code="unsupported_format", message="a text"))
        batch_id = writer.commit().id
    assert (core.find_batch(batch_id).completions, core.doorbell.depth(QueueName.BULK)) == (1, 0)


@pytest.mark.parametrize("refused", [DuplicateReference, BatchTooLarge])
def test_a_batch_that_is_refused_leaves_nothing(core: Core, refused: type[Exception]) -> None:
    references = ["a", "b", "a"] if refused is DuplicateReference else [str(n) for n in range(10_001)]

    def make() -> None:
        with begun(core) as writer:
            for reference in references[:2]:
                writer.add_upload(photo(), JobOptions(reference=reference))
            for reference in references[2:]:
                writer.add_awaited(JobOptions(reference=reference), url="https://example.org/")

    with pytest.raises(refused):
        make()
    assert core.stored() == []
    assert core.batches.list_batches(BatchQuery(LOCAL_TENANT, 9)) == []


def test_without_storage_nothing_is_accepted_and_nothing_stays(core: Core) -> None:
    class AwayForManifests(MemoryObjectStore):
        def put(self, key: str, body: object, *, content_type: str = "") -> None:
            super().put(key, body, content_type=content_type)  # type: ignore[arg-type]
            if key.startswith(layout.BATCHES):  # written, but the answer is lost
                raise StorageUnavailable("no answer")

    core = Core(objects=AwayForManifests())
    with pytest.raises(StorageUnavailable):
        core.accept_batch(REFERENCES)
    assert core.stored_alive() == []


def test_without_records_no_photo_is_even_taken(core: Core) -> None:
    core.set_records_away(True)
    with pytest.raises(RecordsUnavailable):
        begun(core)


def test_records_that_go_away_meanwhile_are_written_by_the_upkeep(core: Core) -> None:
    with begun(core) as writer:
        writer.add_upload(photo(), JobOptions())
        core.set_records_away(True)
        batch_id = writer.commit().id
        core.set_records_away(False)
    with pytest.raises(RecordsRebuilding):
        core.find_batch(batch_id)
    assert core.reconciler.sweep() == {"batches_restored": 1, "items_restored": 1}
    work_all(core)
    assert core.find_batch(batch_id).status is BatchStatus.COMPLETED


def test_a_batch_that_takes_too_long_is_refused_before_its_photos_are_swept(core: Core) -> None:
    def make() -> None:
        with begun(core) as writer:
            writer.add_upload(photo(), JobOptions())
            core.clock.advance(3001)
            writer.add_upload(photo(), JobOptions())

    with pytest.raises(StorageUnavailable):
        make()
    assert core.stored() == []


# Photos that come by upload forms


def test_photos_are_measured_as_they_come(core: Core) -> None:
    batch = core.expect_batch(REFERENCES)
    first, second, third = core.items(batch.id)
    core.upload(second)
    work_all(core)
    assert core.find_batch(batch.id).status is BatchStatus.AWAITING_UPLOAD
    assert core.batches.start(LOCAL_TENANT, batch.id).counts[JobStatus.QUEUED] == 1
    work_all(core)
    core.upload(first)
    core.upload(third)
    core.clock.advance(31)
    assert core.reconciler.round()["items_arrived"] == 2
    work_all(core)
    found = core.find_batch(batch.id)
    assert (found.status, found.counts[JobStatus.SUCCEEDED]) == (BatchStatus.COMPLETED, 3)


def test_a_photo_that_never_comes_ends_as_missing(core: Core) -> None:
    batch = core.expect_batch(REFERENCES)
    core.batches.start(LOCAL_TENANT, batch.id)
    core.upload(core.items(batch.id)[1])
    core.clock.advance(DAY_S + 90)
    core.reconciler.round()
    work_all(core)
    ends = [(item.status.value, item.error and item.error.code) for item in core.items(batch.id)]
    assert ends == [("rejected", "upload_missing"), ("succeeded", None), ("rejected", "upload_missing")]
    assert core.find_batch(batch.id).completions == 1


def test_a_batch_that_needs_no_word_to_start_is_left_as_it_is(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    assert core.batches.start(LOCAL_TENANT, batch.id).started_ms is None
    expected = core.expect_batch(REFERENCES)
    core.clock.now_ms = (expected.deadline_ms or 0) + 61_000
    core.reconciler.round()
    assert core.batches.start(LOCAL_TENANT, expected.id).started_ms is None
    assert not [key for key in core.stored(layout.BATCHES) if key.endswith("started")]


def test_a_batch_that_is_never_started_ends_at_its_deadline(core: Core) -> None:
    batch = core.expect_batch(REFERENCES)
    core.upload(core.items(batch.id)[1])
    core.clock.advance(DAY_S + 90)
    core.reconciler.round()
    assert [item.status.value for item in core.items(batch.id)] == ["rejected", "cancelled", "rejected"]
    assert core.stored(layout.UPLOADS) == []


def test_an_empty_upload_has_not_come(core: Core) -> None:
    batch = core.expect_batch(["a"])
    item = core.items(batch.id)[0]
    core.objects.put(layout.upload_key(LOCAL_TENANT, item.id, batch.id), b"")
    assert core.batches.start(LOCAL_TENANT, batch.id).counts[JobStatus.AWAITING_UPLOAD] == 1


def test_an_item_whose_photo_is_gone_ends_as_missing(core: Core) -> None:
    batch = core.accept_batch(["a"])
    core.objects.delete(layout.upload_key(LOCAL_TENANT, core.items(batch.id)[0].id, batch.id))
    work_all(core)
    error = core.items(batch.id)[0].error
    assert error is not None
    assert error.code == "upload_missing"


# Cancel, retry, delete


def test_cancelling_ends_what_is_open(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    items = core.items(batch.id)
    core.measure(items[0].id)
    running = core.jobs.claim(items[1].id)
    assert running is not None
    assert core.batches.cancel(LOCAL_TENANT, batch.id).status is BatchStatus.CANCELLED
    core.jobs.finish(running.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    assert [item.status.value for item in core.items(batch.id)] == ["succeeded", "cancelled", "cancelled"]
    assert core.find_batch(batch.id).completions == 1
    assert core.stored(layout.UPLOADS) == []
    for again in (core.batches.start, core.batches.retry):
        with pytest.raises(AlreadyFinished):
            again(LOCAL_TENANT, batch.id)


def test_a_large_batch_is_cancelled_by_and_by(core: Core) -> None:
    batch = core.accept_batch(str(number) for number in range(1200))
    assert core.batches.cancel(LOCAL_TENANT, batch.id).counts[JobStatus.CANCELLED] == 500
    work_all(core)
    for _ in range(2):
        core.reconciler.round()
    assert core.find_batch(batch.id).counts[JobStatus.CANCELLED] == 1200


def test_a_complete_batch_cannot_be_cancelled(core: Core) -> None:
    batch = core.accept_batch(["a"])
    work_all(core)
    with pytest.raises(AlreadyFinished):
        core.batches.cancel(LOCAL_TENANT, batch.id)


def test_retry_runs_the_failed_items_again(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    core.measure(core.items(batch.id)[0].id)
    work_all(core, JobStatus.FAILED)
    assert core.find_batch(batch.id).status is BatchStatus.COMPLETED
    assert core.batches.retry(LOCAL_TENANT, batch.id) == 2
    assert core.find_batch(batch.id).status is BatchStatus.RUNNING
    work_all(core)
    found = core.find_batch(batch.id)
    assert (found.status, found.run, found.completions) == (BatchStatus.COMPLETED, 2, 2)
    assert found.counts[JobStatus.SUCCEEDED] == 3
    assert core.batches.retry(LOCAL_TENANT, batch.id) == 0


def test_failed_items_without_their_photo_stay_failed(core: Core) -> None:
    batch = core.accept_batch(["a"])
    work_all(core, JobStatus.FAILED)
    core.objects.delete(layout.upload_key(LOCAL_TENANT, core.items(batch.id)[0].id, batch.id))
    assert core.batches.retry(LOCAL_TENANT, batch.id) == 0
    assert core.find_batch(batch.id).status is BatchStatus.COMPLETED


def test_a_deleted_batch_is_unreadable_at_once_and_purged_within_minutes(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    ids = [item.id for item in core.items(batch.id)]
    core.measure(ids[0])
    running = core.jobs.claim(ids[1])
    assert running is not None
    core.batches.delete(LOCAL_TENANT, batch.id)
    for job_id in ids:
        with pytest.raises(JobNotFound):
            core.find(job_id)
    with pytest.raises(BatchNotFound):
        core.find_batch(batch.id)
    assert core.batches.list_batches(BatchQuery(LOCAL_TENANT, 9)) == []
    assert core.jobs.list_jobs(JobQuery(LOCAL_TENANT, 9)) == []
    core.jobs.finish(running.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.clock.advance(61)
    assert core.reconciler.sweep() == {"batches_purged": 1}
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, batch.id)]
    assert core.reconciler.sweep() == {}
    core.clock.advance(8 * DAY_S)
    core.reconciler.audit()
    assert core.stored() == []


def test_a_deleted_item_stays_deleted_and_its_batch_ends(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    ids = [item.id for item in core.items(batch.id)]
    core.jobs.delete(LOCAL_TENANT, ids[1])
    core.lose_records()
    core.reconciler.round()
    work_all(core)
    found = core.find_batch(batch.id)
    assert (found.status, found.gone, found.counts[JobStatus.SUCCEEDED]) == (BatchStatus.COMPLETED, 1, 2)
    assert [item.item_index for item in core.items(batch.id)] == [0, 2]


def test_another_tenants_batch_is_not_there(core: Core) -> None:
    batch = core.accept_batch(REFERENCES)
    reader = BatchReader(core.batches)
    for ask in (
        core.batches.find,
        core.batches.cancel,
        core.batches.retry,
        core.batches.delete,
        reader.records,
        reader.results,
    ):
        for tenant, batch_id in (("another", batch.id), (LOCAL_TENANT, new_batch_id()), (LOCAL_TENANT, "bat_x/../y")):
            with pytest.raises(BatchNotFound):
                ask(tenant, batch_id)


def test_a_list_of_items_is_not_answered_while_some_have_no_record(core: Core) -> None:
    batch = core.accept_batch(["a", "b", "c"])
    record, items = core.find_batch(batch.id), core.items(batch.id)
    core.batches.forget(batch.id)
    core.store.batches.create(replace(record, sealed=False))
    for written in range(3):
        with pytest.raises(RecordsRebuilding, match="not all written"):
            core.items(batch.id)
        core.store.batches.create_items(items[written : written + 1])
    assert [item.id for item in core.items(batch.id)] == [item.id for item in items]


def test_a_list_of_items_is_not_cut_short_by_a_loss_in_its_midst(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = core.accept_batch(["a", "b", "c"])
    whole = core.store.batches.items

    def lose_then_read(query: ItemQuery) -> list[JobRecord]:
        core.lose_records()
        return whole(query)

    monkeypatch.setattr(core.store.batches, "items", lose_then_read)
    with pytest.raises(RecordsRebuilding):
        core.items(batch.id)
