"""Queues in which tenants take turns: what every store must hand out, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.jobs.record import JobRecord
from shared.jobs.store import JobStore
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobStatus
from tests.clock import FakeClock
from tests.contract.records import LEASE_S, claim, end, fill, make_batch, make_record

BULK = QueueName.BULK
GRACE_S = 10.0


def line_up(store: JobStore, tenant: str, count: int) -> list[str]:
    jobs = [replace(make_record(queue=BULK), tenant=tenant) for _ in range(count)]
    for job in jobs:
        store.create(job)
    return sorted(job.id for job in jobs)


def take(store: JobStore, limit: int) -> list[str]:
    return store.take(BULK, limit, grace_s=GRACE_S)


def test_a_small_tenant_behind_ten_thousand_of_another(store: JobStore) -> None:
    fill(store, make_batch(10_000, tenant="large"))
    small = {item.id for item in fill(store, make_batch(20, tenant="small"))}
    handed_out = [job_id for _ in range(3) for job_id in take(store, 16)]
    assert small <= set(handed_out[:41])
    assert store.waiting_count(BULK) == 10_020 - 48
    assert store.queued_count(BULK) == 10_020


def test_tenants_take_turns_and_each_has_its_oldest_first(store: JobStore) -> None:
    a, b, c = (line_up(store, tenant, count) for tenant, count in (("a", 4), ("b", 1), ("c", 2)))
    assert take(store, 3) == [a[0], b[0], c[0]]
    assert take(store, 9) == [a[1], c[1], a[2], a[3]]
    assert take(store, 9) == []


def test_what_nobody_claims_is_handed_out_again(store: JobStore, clock: FakeClock) -> None:
    first, second = line_up(store, "a", 2)
    assert take(store, 9) == [first, second]
    claim(store, second)
    clock.advance(GRACE_S - 0.001)
    assert take(store, 9) == []
    assert store.waiting_count(BULK) == 0
    clock.advance(0.001)
    assert store.waiting_count(BULK) == 1
    assert take(store, 9) == [first]


def test_what_was_given_back_is_handed_out_after_its_pause(store: JobStore, clock: FakeClock) -> None:
    (job_id,) = line_up(store, "a", 1)
    take(store, 1)
    assert store.release(claim(store, job_id), retry_after_s=5, charge=False)
    assert take(store, 9) == []
    clock.advance(5)
    assert take(store, 9) == [job_id]


def test_a_lease_that_ran_out_is_offered_again(store: JobStore, clock: FakeClock) -> None:
    (job_id,) = line_up(store, "a", 1)
    take(store, 1)
    claim(store, job_id)
    store.offer(job_id)
    assert take(store, 9) == []
    clock.advance(LEASE_S)
    store.offer(job_id)
    store.offer(job_id)
    assert take(store, 9) == [job_id]
    store.offer(job_id)  # somebody has it in hand
    assert take(store, 9) == []
    assert claim(store, job_id).record.attempts == 2


@pytest.mark.parametrize("when", ["waiting", "handed out", "offered"])
def test_what_ends_or_goes_is_not_handed_out(store: JobStore, clock: FakeClock, when: str) -> None:
    def gone(job: JobRecord, *, dropped: bool) -> None:
        if dropped:
            store.drop(job.id, job.tenant)
        else:
            store.settle(end(job))

    for dropped in (False, True):
        (job_id,) = line_up(store, "a", 1)
        job = store.get(job_id)
        assert job is not None
        if when != "waiting":
            take(store, 1)
        if when == "offered":
            claim(store, job_id)
            clock.advance(LEASE_S)
            store.offer(job_id)
        gone(job, dropped=dropped)
        clock.advance(LEASE_S)
        assert (take(store, 9), store.queued_count(BULK)) == ([], 0)


def test_a_retried_job_lines_up(store: JobStore) -> None:
    (job_id,) = line_up(store, LOCAL_TENANT, 1)
    store.settle(end(claim(store, job_id).record, JobStatus.FAILED))
    store.reopen(job_id, run=2)
    assert take(store, 9) == [job_id]


def test_positions_count_those_whose_turn_comes_before(store: JobStore) -> None:
    large, small = line_up(store, "large", 5), line_up(store, "small", 2)

    def positions(ids: list[str]) -> list[int | None]:
        records = [store.get(job_id) for job_id in ids]
        return [store.queue_position(record) for record in records if record is not None]

    # Which of two tenants is first in a turn is not counted: at worst the other one.
    assert positions(large) == [2, 4, 5, 6, 7]
    assert positions(small) == [2, 4]
    take(store, 1)
    assert positions(large)[:2] == [1, 2]
    claim(store, large[0])
    assert positions(large)[:2] == [None, 2]
