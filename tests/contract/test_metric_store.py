"""What is counted with each change, and kept for whoever asks: the same of both adapters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.clock import to_ms
from shared.errors import RecordsUnavailable
from shared.fetches.tickets import FetchFrom
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.store import ClaimRefusal, JobStore
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobStatus
from shared.telemetry.store import CANARY_KEPT_S, SignsOfLife
from tests.clock import FakeClock
from tests.contract.records import LEASE_S, claim, end, fill, make_batch, make_record
from tests.tallies import assert_adds_up, tallied

INTERACTIVE, BULK = QueueName.INTERACTIVE, QueueName.BULK


def open_jobs(store: JobStore) -> dict[tuple[QueueName, JobStatus], int]:
    return {where: count for where, count in store.metrics.snapshot().open_jobs.items() if count}


def test_every_way_in_is_counted_once(store: JobStore) -> None:
    upload = make_record()
    assert store.create(upload)
    assert not store.create(upload)
    store.create(make_record().awaiting(FetchFrom("photos.example:443")))
    fill(store, make_batch(2), JobStatus.AWAITING_UPLOAD)
    fill(store, make_batch(3))
    assert tallied(store) == {
        "facefit_jobs_accepted_total|interactive|upload": 1,
        "facefit_jobs_accepted_total|interactive|url": 1,
        "facefit_jobs_accepted_total|bulk|presigned": 2,
        "facefit_jobs_accepted_total|bulk|upload": 3,
    }
    assert_adds_up(store)


def test_what_is_made_anew_does_not_count_as_accepted(store: JobStore) -> None:
    store.create(make_record(), restored=True)
    store.create(end(make_record()), restored=True)
    assert tallied(store) == {"facefit_jobs_restored_open_total|interactive": 1}
    assert open_jobs(store) == {(INTERACTIVE, JobStatus.QUEUED): 1}


def test_an_item_that_is_refused_as_it_comes_is_accepted_and_ended(store: JobStore) -> None:
    store.create(end(make_record(), JobStatus.REJECTED))
    assert tallied(store) == {
        "facefit_jobs_accepted_total|interactive|upload": 1,
        "facefit_jobs_terminal_total|interactive|rejected|no_face": 1,
    }
    assert open_jobs(store) == {}


def test_an_end_is_counted_once_with_its_state_and_code(store: JobStore) -> None:
    records = [make_record() for _ in range(3)]
    for record, status in zip(records, (JobStatus.SUCCEEDED, JobStatus.REJECTED, JobStatus.CANCELLED), strict=True):
        store.create(record)
        store.settle(end(record, status))
        store.settle(end(record, JobStatus.FAILED))
    ends = {kept: amount for kept, amount in tallied(store).items() if "terminal" in kept}
    assert ends == {
        "facefit_jobs_terminal_total|interactive|succeeded|": 1,
        "facefit_jobs_terminal_total|interactive|rejected|no_face": 1,
        "facefit_jobs_terminal_total|interactive|cancelled|": 1,
    }
    assert_adds_up(store)


def test_attempts_and_what_became_of_them(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    store.release(claim(store, record.id), retry_after_s=1, charge=False)
    held = claim(store, record.id)
    assert store.claim(record.id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY
    clock.advance(LEASE_S)
    store.release(claim(store, record.id), retry_after_s=1, charge=True)
    assert not store.release(held, retry_after_s=1, charge=True)
    assert {kept: amount for kept, amount in tallied(store).items() if "accepted" not in kept} == {
        "facefit_attempts_total|interactive|first": 2,
        "facefit_attempts_total|interactive|again": 1,
        "facefit_leases_lost_total|interactive": 1,
        "facefit_attempts_put_off_total|interactive|dependency": 1,
        "facefit_attempts_put_off_total|interactive|fault": 1,
    }


def test_a_retry_and_a_deletion_are_counted(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    store.settle(end(record, JobStatus.FAILED))
    assert store.reopen(record.id, run=2)
    assert not store.reopen(record.id, run=2)
    assert tallied(store)["facefit_jobs_reopened_total|interactive"] == 1
    assert_adds_up(store)
    store.drop(record.id, LOCAL_TENANT)
    store.drop(record.id, LOCAL_TENANT)
    assert tallied(store)["facefit_jobs_dropped_open_total|interactive"] == 1
    assert open_jobs(store) == {}
    assert_adds_up(store)


def test_the_depth_of_a_queue_and_the_age_of_its_oldest(store: JobStore, clock: FakeClock) -> None:
    began_ms = clock()
    states = store.metrics.snapshot().queues
    assert [(states[queue].depth, states[queue].oldest_ms) for queue in QueueName] == [(0, None)] * 2
    records = [make_record() for _ in range(3)]
    for record in records:
        store.create(record)
        clock.advance(5)
    claim(store, records[0].id)
    state = store.metrics.snapshot().queues[INTERACTIVE]
    assert (state.depth, state.oldest_ms) == (2, began_ms + to_ms(5))
    assert state.depth == store.queued_count(INTERACTIVE)


def test_the_same_where_tenants_take_turns(store: JobStore, clock: FakeClock) -> None:
    began_ms = clock()
    fill(store, make_batch(3, tenant="zebra"))
    clock.advance(5)
    fill(store, make_batch(2, tenant="ant"))
    state = store.metrics.snapshot().queues[BULK]
    assert (state.depth, state.oldest_ms) == (5, began_ms)
    for job_id in store.take(BULK, 4, grace_s=10):
        store.release(claim(store, job_id), retry_after_s=60, charge=False)
    state = store.metrics.snapshot().queues[BULK]
    assert (state.depth, state.oldest_ms) == (5, began_ms)
    clock.advance(7)
    store.settle(end(claim(store, store.take(BULK, 1, grace_s=10)[0]).record))
    state = store.metrics.snapshot().queues[BULK]
    assert (state.depth, state.oldest_ms) == (4, began_ms + to_ms(5))
    assert state.depth == store.queued_count(BULK)


def test_amounts_add_up_and_none_twice(store: JobStore) -> None:
    assert store.metrics.add("one", {"facefit_problems_total|not_found": 2, "facefit_delivery_seconds|sum": 0.25})
    assert not store.metrics.add("one", {"facefit_problems_total|not_found": 2})
    assert store.metrics.add("two", {"facefit_problems_total|not_found": 1, "facefit_delivery_seconds|sum": 0.5})
    assert tallied(store) == {"facefit_problems_total|not_found": 3, "facefit_delivery_seconds|sum": 0.75}


def test_what_a_process_holds_is_forgotten_with_the_process(store: JobStore, clock: FakeClock) -> None:
    store.metrics.hold("a:1", {"facefit_waiters": 2.0, "facefit_storage_check_seconds": 0.5}, valid_s=15)
    store.metrics.hold("b:1", {"facefit_waiters": 3.0}, valid_s=30)
    store.metrics.hold("a:1", {"facefit_waiters": 1.0}, valid_s=15)
    held = store.metrics.snapshot().held
    assert sorted(values["facefit_waiters"] for values in held) == [1, 3]
    assert sum(map(len, held)) == 2
    clock.advance(16)
    assert [dict(values) for values in store.metrics.snapshot().held] == [{"facefit_waiters": 3}]


def test_signs_of_life(store: JobStore, clock: FakeClock) -> None:
    began_ms = clock()
    assert store.metrics.signs(BULK) == SignsOfLife()
    store.metrics.canary_sent(BULK)
    clock.advance(1)
    store.metrics.canary_measured(BULK, took_s=0.25, is_ok=True)
    clock.advance(1)
    store.metrics.canary_measured(BULK, took_s=9, is_ok=False)
    after_1_ms, after_2_ms = began_ms + 1000, began_ms + 2000
    assert store.metrics.signs(BULK) == SignsOfLife(began_ms, after_2_ms, after_1_ms, 0.25)
    assert store.metrics.signs(INTERACTIVE) == SignsOfLife()
    assert store.metrics.snapshot().queues[BULK].signs == store.metrics.signs(BULK)


def test_a_result_is_a_sign_of_life_and_a_rejection_is_none(store: JobStore) -> None:
    records = [make_record() for _ in range(3)]
    for record in records:
        store.create(record)
    store.settle(replace(end(records[0], JobStatus.REJECTED), finished_ms=7000))
    assert store.metrics.signs(INTERACTIVE).measured_ms is None
    store.settle(replace(end(records[1]), finished_ms=5000))
    store.settle(replace(end(records[2]), finished_ms=4000))  # an older outcome, adopted late
    assert store.metrics.signs(INTERACTIVE).measured_ms == 5000
    assert store.metrics.signs(BULK).measured_ms is None


def test_debts_to_storage_and_whether_the_records_are_complete(store: JobStore, clock: FakeClock) -> None:
    began_ms = clock()
    assert not store.metrics.snapshot().is_rebuilt
    for _ in range(2):
        record = make_record()
        store.create(record)
        store.settle(end(record))
        clock.advance(3)
    store.end_rebuild(store.begin_rebuild())
    snapshot = store.metrics.snapshot()
    assert (snapshot.cleanups_owed, snapshot.cleanups_oldest_ms, snapshot.is_rebuilt) == (2, began_ms, True)
    assert snapshot.taken_ms == clock()


def test_live_workers_are_counted_by_queue(store: JobStore, clock: FakeClock) -> None:
    store.beat("a", 1, [BULK], valid_s=15)
    queues = store.metrics.snapshot().queues
    assert (queues[BULK].live_workers, queues[INTERACTIVE].live_workers) == (1, 0)
    clock.advance(16)
    assert store.metrics.snapshot().queues[BULK].live_workers == 0


def test_canaries_are_forgotten_after_a_while_in_memory(clock: FakeClock) -> None:
    """In Redis its own clock does that."""
    store = MemoryJobStore(clock)
    store.metrics.canary_measured(BULK, took_s=1, is_ok=True)
    clock.advance(CANARY_KEPT_S)
    assert store.metrics.signs(BULK) == SignsOfLife()


def test_without_records_nothing_is_known() -> None:
    store = MemoryJobStore()
    store.away = True
    for ask in (store.metrics.snapshot, lambda: store.metrics.add("t", {}), lambda: store.metrics.signs(BULK)):
        with pytest.raises(RecordsUnavailable):
            ask()
