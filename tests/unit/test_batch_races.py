"""Two who meet at a batch: each test lets the other one come at the worst moment."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest

from shared.clock import system_clock
from shared.errors import BatchNotFound
from shared.jobs.lifecycle import Upload
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.storage import layout
from shared.storage.base import ObjectInfo
from shared.storage.memory import MemoryObjectStore
from tests.core import PHOTO, Core

DAY_S = 86_400.0


class Meeting(MemoryObjectStore):
    """Lets something happen once, just before a certain call."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[tuple[str, str], Callable[[], object]] = {}

    def meet(self, verb: str, key: str) -> None:
        for (wanted, start), happen in list(self.before.items()):
            if wanted == verb and key.startswith(start):
                del self.before[wanted, start]
                happen()

    def chunks(self, key: str) -> Iterator[bytes]:
        self.meet("chunks", key)
        yield from super().chunks(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        yield from list(super().list(prefix))
        self.meet("listed", prefix)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        self.meet("put_if_absent", key)
        return super().put_if_absent(key, body)


@pytest.fixture
def meeting() -> Meeting:
    return Meeting()


@pytest.fixture
def core(meeting: Meeting) -> Core:
    core = Core(objects=meeting)
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    return core


def work_all(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    while core.work_in_bulk(status):
        pass


def test_a_restore_that_meets_a_delete_brings_nothing_back(core: Core, meeting: Meeting) -> None:
    batch = core.accept_batch(["a", "b"])
    ids = [item.id for item in core.items(batch.id)]
    core.lose_records()
    core.store.end_rebuild(core.store.begin_rebuild())

    def delete() -> None:
        core.batches.archive.mark_deleted(LOCAL_TENANT, batch.id, core.clock())
        core.batches.forget(batch.id)

    meeting.before["chunks", layout.BATCHES] = delete
    core.reconciler.sweep()
    assert meeting.before == {}
    assert core.store.missing(ids) == ids

    core.lose_records()
    core.objects.delete(layout.tombstone_key(LOCAL_TENANT, batch.id))
    meeting.before["chunks", layout.BATCHES] = lambda: core.batches.archive.mark_deleted(LOCAL_TENANT, batch.id, 1)
    core.reconciler.batches.restore(LOCAL_TENANT, batch.id)  # the DELETE had dropped what there was before: nothing
    assert core.store.missing(ids) == ids
    with pytest.raises(BatchNotFound):
        core.find_batch(batch.id)


def test_a_restore_that_meets_the_delete_of_an_item(core: Core, meeting: Meeting) -> None:
    batch = core.accept_batch(["a", "b"])
    first, second = core.items(batch.id)
    core.lose_records()
    listed = f"{layout.DELETED}{LOCAL_TENANT}/"
    meeting.before["listed", listed] = lambda: core.batches.archive.mark_deleted(LOCAL_TENANT, first.id, core.clock())
    core.reconciler.round()
    work_all(core)
    assert [item.id for item in core.items(batch.id)] == [second.id]
    assert core.find_batch(batch.id).status is BatchStatus.COMPLETED


def test_a_photo_that_comes_just_at_the_deadline_is_measured(core: Core, meeting: Meeting) -> None:
    batch = core.expect_batch(["a", "b"])
    core.batches.start(LOCAL_TENANT, batch.id)
    first = core.items(batch.id)[0]
    core.clock.advance(DAY_S + 90)
    meeting.before["listed", layout.UPLOADS] = lambda: core.upload(first)
    core.reconciler.round()
    core.clock.advance(31)
    core.reconciler.round()
    work_all(core)
    assert [item.status.value for item in core.items(batch.id)] == ["succeeded", "rejected"]


def test_a_retry_is_complete_once_however_quick_its_first_items_are(core: Core, meeting: Meeting) -> None:
    batch = core.accept_batch(["a", "b"])
    work_all(core, JobStatus.FAILED)
    second = core.items(batch.id)[1]
    rerun = layout.rerun_key(LOCAL_TENANT, second.id, 2)
    meeting.before["put_if_absent", rerun] = lambda: work_all(core)
    assert core.batches.retry(LOCAL_TENANT, batch.id) == 2
    assert core.find_batch(batch.id).completed_ms is None
    work_all(core)
    found = core.find_batch(batch.id)
    assert (found.run, found.completions, found.counts[JobStatus.SUCCEEDED]) == (2, 2, 2)


def test_a_batch_that_is_listed_while_it_is_written_can_be_deleted(core: Core, meeting: Meeting) -> None:
    batch_ids: list[str] = []
    with core.batches.begin(LOCAL_TENANT, core.accept_batch(["x"]).source, JobOptions()) as writer:
        for _ in range(3):
            writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions())
        batch_ids.append(writer.batch_id)
        head = writer._manifest.head
        core.store.batches.create(head.record())
        core.batches.archive.mark_deleted(LOCAL_TENANT, writer.batch_id, core.clock())
        core.batches.forget(writer.batch_id)
        writer.commit()
    core.reconciler.sweep()
    assert core.store.batches.get(batch_ids[0]) is None
    assert core.store.queued_count(QueueName.BULK) == 1
