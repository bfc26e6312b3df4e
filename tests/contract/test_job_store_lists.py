"""What every store of job records must say of many jobs: lists, queues, and what is due."""

from __future__ import annotations

import pytest

from shared.jobs.store import Cleanup, CleanupKind, JobQuery, JobStore, PlacedJob
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import JobOptions, JobStatus
from tests.clock import FakeClock
from tests.contract.records import LEASE_S, claim, end, make_record


def test_lists_are_newest_first_and_paged(store: JobStore) -> None:
    records = sorted((make_record() for _ in range(5)), key=lambda record: record.id, reverse=True)
    for record in records:
        store.create(record)
    assert store.list_jobs(JobQuery(LOCAL_TENANT, 2)) == records[:2]
    assert store.list_jobs(JobQuery(LOCAL_TENANT, 9, before_id=records[1].id)) == records[2:]
    assert store.list_jobs(JobQuery("another", 9)) == []


def test_lists_longer_than_a_page_of_the_store(store: JobStore) -> None:
    odd = []
    for number in range(450):
        record = make_record(JobOptions(reference="twin"))
        store.create(record)
        if number % 2:
            store.settle(end(record))
            odd.append(record.id)
    query = JobQuery(LOCAL_TENANT, 1000, status=JobStatus.SUCCEEDED, reference="twin")
    assert [record.id for record in store.list_jobs(query)] == sorted(odd, reverse=True)


def test_lists_follow_every_move(store: JobStore) -> None:
    record = make_record(JobOptions(reference="a"))
    store.create(record)

    def listed(status: JobStatus) -> list[str]:
        return [found.id for found in store.list_jobs(JobQuery(LOCAL_TENANT, 10, status=status, reference="a"))]

    assert listed(JobStatus.QUEUED) == [record.id]
    claimed = claim(store, record.id)
    assert (listed(JobStatus.QUEUED), listed(JobStatus.RUNNING)) == ([], [record.id])
    store.settle(end(claimed.record, JobStatus.FAILED))
    assert (listed(JobStatus.RUNNING), listed(JobStatus.FAILED)) == ([], [record.id])
    store.reopen(record.id, run=2)
    assert (listed(JobStatus.FAILED), listed(JobStatus.QUEUED)) == ([], [record.id])


def test_queue_positions_follow_the_order_of_arrival(store: JobStore, clock: FakeClock) -> None:
    records = []
    for _ in range(3):
        records.append(make_record())
        store.create(records[-1])
        clock.advance(1)
    store.rung(QueueName.INTERACTIVE, [records[0].id], grace_s=100)
    assert [store.queue_position(record) for record in records] == [1, 2, 3]
    claim(store, records[0].id)
    assert [store.queue_position(record) for record in records] == [None, 1, 2]


def test_a_record_comes_with_its_position(store: JobStore) -> None:
    queued, running, ended = make_record(), make_record(), make_record()
    in_turns = make_record(queue=QueueName.BULK)
    for record in (running, ended, queued, in_turns):
        store.create(record)
    claim(store, running.id)
    claim(store, ended.id)
    store.settle(end(ended, JobStatus.CANCELLED))
    for record, position in ((queued, 1), (running, None), (ended, None), (in_turns, 1)):
        placed = store.get_placed(record.id, record.tenant)
        assert placed == PlacedJob(store.get(record.id), position)  # type: ignore[arg-type]
    assert store.get_placed(new_job_id(), LOCAL_TENANT) is None
    assert store.get_placed(in_turns.id, "other") == PlacedJob(in_turns)


def test_queues_are_apart(store: JobStore, clock: FakeClock) -> None:
    record = make_record(queue=QueueName.BULK)
    store.create(record)
    clock.advance(3600)
    assert store.queued_count(QueueName.BULK) == 1
    assert store.queued_count(QueueName.INTERACTIVE) == 0
    assert store.take(QueueName.INTERACTIVE, 5, grace_s=1) == []
    assert store.take(QueueName.BULK, 5, grace_s=1) == [record.id]
    assert store.due_doorbells(QueueName.INTERACTIVE, 5) == []


def test_a_rung_doorbell_is_due_again_later(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    clock.advance(10)
    assert store.due_doorbells(record.queue, 5) == [record.id]
    store.rung(record.queue, [record.id], grace_s=10)
    assert store.due_doorbells(record.queue, 5) == []
    clock.advance(10)
    assert store.due_doorbells(record.queue, 5) == [record.id]


def test_ringing_does_not_queue_what_has_left_the_queue(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    claim(store, record.id)
    store.rung(record.queue, [record.id], grace_s=1)
    clock.advance(10)
    assert store.due_doorbells(record.queue, 5) == []


def test_an_expired_lease_is_shown_once_in_its_grace(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    claim(store, record.id)
    assert store.expired_leases(5, grace_s=10) == []
    clock.advance(LEASE_S)
    assert store.expired_leases(5, grace_s=10) == [record.id]
    assert store.expired_leases(5, grace_s=10) == []
    clock.advance(10)
    assert store.expired_leases(5, grace_s=10) == [record.id]


def test_jobs_expire(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    clock.now_ms = record.expires_ms - 1
    store.create(record)
    assert store.expired_jobs(5) == []
    clock.advance(0.001)
    assert store.expired_jobs(5) == [record.id]


@pytest.mark.parametrize(
    ("status", "keep_image", "owed"),
    [
        (JobStatus.SUCCEEDED, False, True),
        (JobStatus.SUCCEEDED, True, False),
        (JobStatus.CANCELLED, True, True),
        (JobStatus.REJECTED, False, True),
        (JobStatus.CANCELLED, False, True),
        (JobStatus.FAILED, False, False),
    ],
)
def test_what_is_owed_to_storage_when_a_job_ends(
    store: JobStore, clock: FakeClock, status: JobStatus, keep_image: bool, owed: bool
) -> None:
    record = make_record(JobOptions(keep_image=keep_image))
    store.create(record)
    store.settle(end(record, status))
    assert store.due_cleanups(5, grace_s=60) == []
    clock.advance(60)
    debt = Cleanup(CleanupKind.UPLOAD, record.tenant, record.id)
    assert store.due_cleanups(5, grace_s=60) == ([debt] if owed else [])
    store.cleaned(debt)
    assert store.due_cleanups(5, grace_s=60) == []


def test_the_oldest_debt_is_told_by_when_it_was_made(store: JobStore, clock: FakeClock) -> None:
    assert store.oldest_cleanup_ms() is None
    first, second = make_record(), make_record()
    store.drop(first.id, first.tenant)
    made_ms = clock()
    clock.advance(5)
    store.drop(second.id, second.tenant)
    assert store.oldest_cleanup_ms() == made_ms
    store.cleaned(Cleanup(CleanupKind.EVERYTHING, first.tenant, first.id))
    assert store.oldest_cleanup_ms() == made_ms + 5000


def test_an_end_may_bring_the_expiry_nearer(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    soon_ms = clock() + 600_000
    store.settle(end(record, JobStatus.SUCCEEDED).ending_soon(soon_ms))
    found = store.get(record.id)
    assert found is not None
    assert found.expires_ms == soon_ms
    clock.advance(599)
    assert store.expired_jobs(5) == []
    clock.advance(1)
    assert store.expired_jobs(5) == [record.id]


def test_jobs_are_cut_short_and_never_prolonged(store: JobStore, clock: FakeClock) -> None:
    records = [make_record(), make_record()]
    for record in records:
        store.create(record)
    now = clock()
    store.cut_short([records[0].id, make_record().id], expires_ms=now)
    store.cut_short([records[0].id], expires_ms=now + 10)
    store.cut_short([], expires_ms=now)
    assert store.expired_jobs(5) == [records[0].id]
    kept = [store.get(record.id) for record in records]
    assert [found and found.expires_ms for found in kept] == [now, records[1].expires_ms]


def test_a_dropped_job_owes_everything(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    store.drop(record.id, record.tenant)
    assert store.due_cleanups(5, grace_s=0) == [Cleanup(CleanupKind.EVERYTHING, record.tenant, record.id)]


def test_whoever_waits_hears_of_every_end(store: JobStore) -> None:
    feed = store.finished_feed()
    settled, dropped, restored = make_record(), make_record(), end(make_record())
    store.create(settled)
    store.create(dropped)
    store.settle(end(settled))
    store.drop(dropped.id, dropped.tenant)
    store.create(restored)
    heard: list[str] = []
    while len(heard) < 3 and (job_id := feed.next(5)) is not None:
        heard.append(job_id)
    feed.close()
    assert heard == [settled.id, dropped.id, restored.id]


def test_completeness_is_said_only_if_nothing_was_lost_meanwhile(store: JobStore) -> None:
    assert not store.is_rebuilt()
    token = store.begin_rebuild()
    assert not store.is_rebuilt()
    assert not store.end_rebuild("another token")
    assert store.end_rebuild(token)
    assert store.is_rebuilt()


def test_a_worker_counts_while_its_beat_is_fresh(store: JobStore, clock: FakeClock) -> None:
    both, bulk = list(QueueName), QueueName.BULK
    store.beat("a", 1, both, valid_s=15)
    store.beat("a", 1, both, valid_s=15)
    store.beat("b", 2, [bulk], valid_s=5)
    assert (store.live_workers(bulk), store.live_workers(QueueName.INTERACTIVE)) == (2, 1)
    assert [store.live_workers(bulk, host=host) for host in ("a", "b", "c")] == [1, 1, 0]
    clock.advance(10)
    assert store.live_workers(bulk) == 1
    clock.advance(10)
    assert store.live_workers(bulk) == 0


def test_the_store_answers(store: JobStore) -> None:
    store.check()
    assert store.missing([]) == []
