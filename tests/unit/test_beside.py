"""What a worker does beside measuring: what is read ahead binds nobody, and what was measured ends all the same."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pytest

from shared.clock import system_clock
from shared.errors import RecordsUnavailable, StorageUnavailable
from shared.jobs.batch_record import BatchSource
from shared.jobs.lifecycle import Upload
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.record import JobRecord
from shared.jobs.store import Settlement
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests import files
from tests.core import Core
from worker.processing import PhotoProcessor

BULK = QueueName.BULK
PATIENCE_S = 20.0
PHOTO = files.encoded(files.quadrants(96, 80), "PNG")


class WatchedObjects(MemoryObjectStore):
    """Storage that tells which photos were read and deleted, and can be away for the next read of one."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.one_more = threading.Semaphore(0)
        self.refuse_once: set[str] = set()
        self.deleted: list[tuple[str, ...]] = []
        self.keeps_photos = False
        self.breaks_once = False

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        if key in self.refuse_once:
            self.refuse_once.remove(key)
            raise StorageUnavailable(key)
        data = super().get(key, first_bytes=first_bytes)
        if key.startswith(layout.UPLOADS):
            self.read.append(key)
            self.one_more.release()
        return data

    def delete(self, *keys: str) -> None:
        if keys[0].startswith(layout.UPLOADS):
            self.deleted.append(keys)
            if self.breaks_once:
                self.breaks_once = False
                raise MemoryError
            if self.keeps_photos:
                raise StorageUnavailable(keys[0])
        super().delete(*keys)

    def wait_for_reads(self, count: int) -> None:
        for _ in range(count):
            assert self.one_more.acquire(timeout=PATIENCE_S), f"only {self.read} were read"


class Looks:
    """A finder that sees no face, and does something at each look."""

    def __init__(self, *at: Callable[[], object]) -> None:
        self._at = list(at)

    def detect(self, *_: object, **__: object) -> list[Any]:
        if self._at:
            self._at.pop(0)()
        return []

    def refine(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError


@pytest.fixture
def objects() -> WatchedObjects:
    return WatchedObjects()


@pytest.fixture
def core(objects: WatchedObjects) -> Core:
    core = Core(objects=objects)
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    return core


def items_of_batch(core: Core, count: int) -> list[JobRecord]:
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions()) as writer:
        for _ in range(count):
            writer.add_upload(Upload(io.BytesIO(PHOTO), "image/png"), JobOptions())
        return core.items(writer.commit().id)


def measure(core: Core, finder: Looks) -> None:
    assert core.doorbell.take(BULK)
    PhotoProcessor(core.jobs, finder, core.settings, core.clock).process_next(BULK)


def statuses(core: Core, items: Sequence[JobRecord]) -> list[JobStatus]:
    return [core.find(item.id).status for item in items]


def test_the_next_photo_is_read_while_this_one_is_measured_and_read_once(core: Core, objects: WatchedObjects) -> None:
    items = items_of_batch(core, 3)
    measure(core, Looks(lambda: objects.wait_for_reads(2), lambda: objects.wait_for_reads(1)))
    assert statuses(core, items) == [JobStatus.REJECTED] * 3
    assert objects.read == [layout.upload_key(LOCAL_TENANT, item.id, item.batch_id) for item in items]
    assert not core.stored(layout.UPLOADS)


def test_the_photos_of_a_chunk_are_deleted_several_in_a_call(core: Core, objects: WatchedObjects) -> None:
    keys = [layout.upload_key(LOCAL_TENANT, item.id, item.batch_id) for item in items_of_batch(core, 8)]
    measure(core, Looks())
    assert objects.deleted == [tuple(keys[:6]), tuple(keys[6:])]
    assert core.store.oldest_cleanup_ms() is None


def test_photos_that_could_not_be_deleted_are_deleted_by_the_upkeep(core: Core, objects: WatchedObjects) -> None:
    items = items_of_batch(core, 3)
    objects.keeps_photos = True
    measure(core, Looks())
    assert statuses(core, items) == [JobStatus.REJECTED] * 3
    assert len(core.stored(layout.UPLOADS)) == 3
    objects.keeps_photos = False
    core.settle_down()
    assert not core.stored(layout.UPLOADS)
    assert core.store.oldest_cleanup_ms() is None


def test_a_deletion_that_goes_wrong_is_charged_to_no_photo_and_done_at_the_end(
    core: Core, objects: WatchedObjects
) -> None:
    items = items_of_batch(core, 8)
    objects.breaks_once = True
    measure(core, Looks())
    assert [(core.find(item.id).status, core.find(item.id).attempts) for item in items] == [(JobStatus.REJECTED, 1)] * 8
    assert not core.stored(layout.UPLOADS)


def test_memory_that_ran_short_while_a_photo_was_read_ahead_costs_it_no_attempt(core: Core) -> None:
    """The photo that is measured meanwhile has taken it, and has it no more when the next one's turn comes."""
    items = items_of_batch(core, 2)
    looks_ahead, peek = threading.Event(), core.jobs.peek_upload

    def runs_short(job_id: str) -> bytes | None:
        looks_ahead.set()
        if job_id == items[1].id:
            raise MemoryError
        return peek(job_id)

    core.jobs.peek_upload = runs_short  # type: ignore[method-assign]
    measure(core, Looks(lambda: looks_ahead.wait(PATIENCE_S)))
    assert [(core.find(item.id).status, core.find(item.id).attempts) for item in items] == [(JobStatus.REJECTED, 1)] * 2


def test_a_process_that_dies_is_charged_with_the_photo_it_measured_and_not_with_what_it_had_read(
    core: Core, objects: WatchedObjects
) -> None:
    first, second, third = items_of_batch(core, 3)

    def die() -> NoReturn:
        objects.wait_for_reads(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(core, Looks(lambda: None, die))
    assert core.jobs.archive.outcome(LOCAL_TENANT, first.id, first.run) is not None
    attempts = [core.find(item.id).attempts for item in (second, third)]
    assert (core.find(second.id).status, core.find(third.id).status) == (JobStatus.RUNNING, JobStatus.QUEUED)
    assert attempts == [1, 0]


@pytest.mark.parametrize("gone", ["cancelled", "deleted"])
def test_a_photo_that_was_read_ahead_and_is_no_longer_wanted_is_not_measured(
    core: Core, objects: WatchedObjects, gone: str
) -> None:
    first, second = items_of_batch(core, 2)

    def take_back() -> None:
        objects.wait_for_reads(2)
        (core.jobs.cancel if gone == "cancelled" else core.jobs.delete)(LOCAL_TENANT, second.id)

    def fail() -> NoReturn:
        raise AssertionError

    measure(core, Looks(take_back, fail))
    assert core.find(first.id).status is JobStatus.REJECTED
    if gone == "cancelled":
        assert core.find(second.id).status is JobStatus.CANCELLED
    else:
        assert core.store.get(second.id) is None
    assert not core.stored(layout.UPLOADS)


def test_what_could_not_be_read_ahead_is_read_when_it_is_its_turn(core: Core, objects: WatchedObjects) -> None:
    items = items_of_batch(core, 2)
    objects.refuse_once = {layout.upload_key(LOCAL_TENANT, items[1].id, items[1].batch_id)}
    measure(core, Looks())
    assert statuses(core, items) == [JobStatus.REJECTED] * 2
    assert core.find(items[1].id).attempts == 1


class Forgetful(MemoryJobStore):
    """A store that is away for the first end it is told of."""

    was_away = False

    def settle(self, ended: JobRecord) -> Settlement:
        if not self.was_away:
            self.was_away = True
            raise RecordsUnavailable("once")
        return super().settle(ended)


def test_an_end_that_was_not_noted_is_written_and_noted_later(objects: WatchedObjects) -> None:
    core = Core(objects=objects, make_store=Forgetful)
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    first, second = items_of_batch(core, 2)
    measure(core, Looks())
    assert statuses(core, [first, second]) == [JobStatus.QUEUED, JobStatus.REJECTED]
    assert core.find(first.id).attempts == 0, "a dependency was at fault"
    core.settle_down()
    assert core.find(first.id).status is JobStatus.REJECTED, "as it was written first"
