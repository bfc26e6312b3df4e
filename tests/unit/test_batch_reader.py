"""Reading all items of a batch: in order, a few at a time, and never to a false end."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from shared.clock import system_clock
from shared.errors import BatchNotFound, RecordsRebuilding, StorageUnavailable
from shared.jobs import batch_reader
from shared.jobs.batch_reader import BatchReader
from shared.jobs.batches import AT_ONCE
from shared.names import LOCAL_TENANT
from shared.schemas import JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import Core


@pytest.fixture
def core() -> Core:
    core = Core()
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    return core


def numbered(core: Core, count: int) -> str:
    return core.accept_batch(str(number) for number in range(count)).id


def work_all(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    while core.work_in_bulk(status):
        pass


def test_results_come_in_item_order_with_the_bytes_the_worker_wrote(core: Core) -> None:
    batch_id = numbered(core, 30)
    for record in reversed(core.items(batch_id)):
        claim = core.jobs.claim(record.id)
        assert claim is not None
        if int(record.options.reference or 0) % 3:
            core.jobs.finish(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), record.id.encode())
    results = list(BatchReader(core.batches).results(LOCAL_TENANT, batch_id))
    assert [record.item_index for record, _ in results] == list(range(30))
    assert [result for _, result in results] == [
        record.id.encode() if index % 3 else None for index, (record, _) in enumerate(results)
    ]


class Counting(MemoryObjectStore):
    """Counts the results that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        self.read += key.startswith(layout.OUTCOMES)
        return super().get(key, first_bytes=first_bytes)


def test_results_are_read_a_few_ahead_of_who_takes_them() -> None:
    counting = Counting()
    core = Core(objects=counting)
    core.clock.now_ms = system_clock()
    batch_id = numbered(core, 100)
    work_all(core)
    counting.read = 0
    results = BatchReader(core.batches).results(LOCAL_TENANT, batch_id)
    for taken in range(1, 40):
        next(results)
        assert counting.read <= taken + batch_reader.READ_AHEAD
    results.close()
    assert counting.read < 60


@pytest.mark.parametrize("after", [-1, 0, 9, AT_ONCE, AT_ONCE + 9, AT_ONCE + 10, 10**6])
def test_reading_goes_on_after_any_place(core: Core, after: int) -> None:
    batch_id = numbered(core, AT_ONCE + 11)
    read = BatchReader(core.batches).records(LOCAL_TENANT, batch_id, after_index=after)
    assert [record.item_index for record in read] == list(range(after + 1, AT_ONCE + 11))


def test_deleted_items_are_left_out(core: Core) -> None:
    batch_id = numbered(core, 20)
    work_all(core)
    ids = [item.id for item in core.items(batch_id)]
    results = BatchReader(core.batches).results(LOCAL_TENANT, batch_id)
    core.jobs.delete(LOCAL_TENANT, ids[3])
    read = [next(results)[0].item_index]
    core.jobs.delete(LOCAL_TENANT, ids[15])  # after its record was read, before its result was
    core.jobs.delete(LOCAL_TENANT, ids[0])  # after it was read
    read += [record.item_index for record, _ in results]
    assert read == [number for number in range(20) if number not in {3, 15}]


def test_a_result_that_storage_has_lost_hides_no_other(core: Core, caplog: pytest.LogCaptureFixture) -> None:
    batch_id = numbered(core, 3)
    work_all(core)
    lost = core.items(batch_id)[1].id
    core.objects.delete(layout.outcome_key(LOCAL_TENANT, lost, 1))
    with caplog.at_level(logging.ERROR):
        results = list(BatchReader(core.batches).results(LOCAL_TENANT, batch_id))
    assert [result for _, result in results] == [b'{"faces":[]}', None, b'{"faces":[]}']
    assert lost in caplog.text


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        (lambda core, batch_id: core.batches.delete(LOCAL_TENANT, batch_id), BatchNotFound),
        (lambda core, _: core.lose_records(), RecordsRebuilding),
        (lambda core, _: core.clock.advance(core.settings.retention_s + 1), BatchNotFound),
    ],
    ids=["deleted", "records lost", "expired"],
)
def test_an_end_that_is_none_is_an_error(
    core: Core, happens: Callable[[Core, str], object], error: type[Exception]
) -> None:
    batch_id = numbered(core, AT_ONCE + 10)
    records = BatchReader(core.batches).records(LOCAL_TENANT, batch_id)
    assert next(records).item_index == 0
    happens(core, batch_id)
    with pytest.raises(error):
        list(records)


def test_records_that_are_only_half_rebuilt_are_no_whole(core: Core) -> None:
    batch_id = numbered(core, 10)
    batch, items = core.find_batch(batch_id), core.items(batch_id)
    core.batches.forget(batch_id)
    core.store.batches.create(batch)
    core.store.batches.create_items(items[:9])
    records = BatchReader(core.batches).records(LOCAL_TENANT, batch_id)
    assert [next(records).id for _ in range(9)] == [item.id for item in items[:9]]
    with pytest.raises(RecordsRebuilding, match="not complete"):
        list(records)


def test_storage_away_in_the_middle(core: Core) -> None:
    batch_id = numbered(core, 40)
    work_all(core)
    results = BatchReader(core.batches).results(LOCAL_TENANT, batch_id)
    next(results)
    core.objects.away = True
    with pytest.raises(StorageUnavailable):
        list(results)
