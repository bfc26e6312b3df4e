"""What every store must do with batches: counts that move with their items, one completion, one order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.jobs.announcements import Announcement
from shared.jobs.batch_record import BatchRecord, BatchSource, EndsSeen
from shared.jobs.batch_store import BatchQuery, ItemQuery
from shared.jobs.store import ClaimRefusal, JobQuery, JobStore, Settlement
from shared.names import LOCAL_TENANT, new_batch_id, new_job_id
from shared.schemas import BatchStatus, JobOptions, JobStatus
from tests.clock import FakeClock
from tests.contract.records import LEASE_S, claim, counted, end, fill, is_complete, make_batch, make_items, make_record

QUEUED, RUNNING, AWAITED = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.AWAITING_UPLOAD
SUCCEEDED, FAILED, CANCELLED = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED


def test_a_batch_comes_back_as_it_was_written(store: JobStore) -> None:
    batch = replace(make_batch(3, source=BatchSource.PRESIGNED), deadline_ms=17, started_ms=18, cancelled_ms=19)
    assert store.batches.create(batch)
    assert not store.batches.create(batch)
    found = store.batches.get(batch.id)
    assert found == replace(batch, counts=dict.fromkeys(JobStatus, 0))
    assert store.batches.get(new_batch_id()) is None


def test_an_item_comes_back_as_it_was_written(store: JobStore) -> None:
    items = fill(store, make_batch(2))
    assert [store.get(item.id) for item in items] == items


def test_an_item_needs_its_batch(store: JobStore) -> None:
    batch = make_batch(1)
    item = make_items(batch)[0]
    assert not store.create(item)
    assert store.get(item.id) is None
    assert store.batches.create(batch)
    assert store.create(item)
    assert not store.create(item)
    assert counted(store, batch) == {QUEUED: 1}


def test_counts_follow_every_move(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(2)
    item, other = fill(store, batch)
    held = claim(store, item.id)
    assert counted(store, batch) == {QUEUED: 1, RUNNING: 1}
    assert store.release(held, retry_after_s=1, charge=False)
    assert counted(store, batch) == {QUEUED: 2}
    claim(store, item.id)
    clock.advance(LEASE_S)
    again = claim(store, item.id)
    assert counted(store, batch) == {QUEUED: 1, RUNNING: 1}
    store.settle(end(again.record, FAILED))
    store.settle(end(again.record, FAILED))
    assert counted(store, batch) == {QUEUED: 1, FAILED: 1}
    assert store.reopen(item.id, run=2)
    assert counted(store, batch) == {QUEUED: 2}
    store.drop(other.id, LOCAL_TENANT)
    store.drop(other.id, LOCAL_TENANT)
    assert counted(store, batch) == {QUEUED: 1}
    assert store.batches.recount(batch.id)


def test_the_last_end_completes_a_batch_and_wakes_whoever_waits(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(2)
    first, last = fill(store, batch)
    feed = store.finished_feed()
    store.settle(replace(end(first), finished_ms=batch.created_ms + 70))
    assert not is_complete(store, batch)
    store.settle(replace(end(last), finished_ms=batch.created_ms + 50))
    store.settle(end(last))
    heard = [feed.next(5) for _ in range(3)]
    assert (heard, feed.next(0.2)) == ([first.id, last.id, batch.id], None)
    feed.close()
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.completed_ms, found.completions, found.run) == (batch.created_ms + 70, 1, 1)
    assert (found.status, found.progress, found.eta_s(clock())) == (BatchStatus.COMPLETED, 1.0, 0.0)


def test_an_unsealed_batch_is_never_complete(store: JobStore) -> None:
    batch = make_batch(2)
    first, last = make_items(batch)
    store.batches.create(batch)
    store.create(first)
    store.settle(end(first))
    assert not store.batches.seal(batch.id)
    assert not is_complete(store, batch)
    store.create(end(last))
    assert not is_complete(store, batch)
    assert store.batches.seal(batch.id)
    assert store.batches.seal(batch.id)
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.completed_ms, found.completions) == (last.created_ms + 5, 1)
    assert not store.batches.seal(new_batch_id())


def test_deleted_items_do_not_keep_a_batch_from_its_end(store: JobStore) -> None:
    batch = make_batch(3)
    kept, dropped, never_made = make_items(batch)
    store.batches.create(batch)
    store.batches.create_items([kept, dropped])
    store.drop(dropped.id, LOCAL_TENANT)
    assert not store.batches.seal(batch.id, [kept.id, dropped.id])  # `kept` has a record: it is not gone
    assert store.batches.seal(batch.id, [dropped.id, never_made.id])
    store.drop(kept.id, LOCAL_TENANT)
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.gone, found.progress, found.completions) == (3, 1.0, 1)


def test_a_retry_opens_a_complete_batch_for_another_run(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(2)
    items = fill(store, batch)
    for item in items:
        store.settle(end(item, FAILED))
    assert store.batches.unseal(batch.id)
    assert store.batches.due(5, grace_s=10) == [batch.id]
    store.reopen(items[0].id, run=2)
    store.settle(replace(end(items[0]), run=2))  # ends before the second one is opened
    store.reopen(items[1].id, run=2)
    assert store.batches.seal(batch.id)
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.completed_ms, found.run, found.completions) == (None, 2, 1)
    store.settle(replace(end(items[1]), run=2))
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.completed_ms is not None, found.run, found.completions) == (True, 2, 2)
    clock.advance(60)
    assert store.batches.due(5, grace_s=10) == []
    assert not store.batches.unseal(new_batch_id())


def test_one_failed_item_that_is_retried_opens_its_batch(store: JobStore) -> None:
    batch = make_batch(1)
    item = fill(store, batch)[0]
    store.settle(end(item, FAILED))
    store.reopen(item.id, run=2)
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.status, found.run) == (BatchStatus.RUNNING, 2)


def test_items_are_listed_in_their_order_and_paged(store: JobStore) -> None:
    batch = make_batch(1300)
    items = make_items(batch)
    store.batches.create(batch)
    store.batches.create_items(items[::-1])
    for item in items[7::100]:
        store.settle(end(item))
    assert store.batches.items(ItemQuery(batch.id, 3)) == items[:3]
    assert store.batches.items(ItemQuery(batch.id, 2, after_index=1299 - 1)) == items[-1:]
    assert store.batches.items(ItemQuery(batch.id, 0)) == []
    ended = store.batches.items(ItemQuery(batch.id, 100, SUCCEEDED))
    assert [item.item_index for item in ended] == list(range(7, 1300, 100))
    later = store.batches.items(ItemQuery(batch.id, 2, SUCCEEDED, after_index=7))
    assert [item.item_index for item in later] == [107, 207]
    assert store.batches.items(ItemQuery(new_batch_id(), 5)) == []


def test_batches_are_listed_newest_first(store: JobStore) -> None:
    batches = [make_batch(1) for _ in range(4)]
    for batch in (*batches, make_batch(1, tenant="another")):
        store.batches.create(batch)
    newest = sorted((batch.id for batch in batches), reverse=True)
    assert [found.id for found in store.batches.list_batches(BatchQuery(LOCAL_TENANT, 9))] == newest
    assert [found.id for found in store.batches.list_batches(BatchQuery(LOCAL_TENANT, 2, newest[0]))] == newest[1:3]


def test_jobs_of_a_batch_in_the_list_of_jobs(store: JobStore) -> None:
    single = make_record()
    store.create(single)
    batch = make_batch(2)
    items = sorted((item.id for item in fill(store, batch)), reverse=True)
    fill(store, make_batch(1))
    assert [job.id for job in store.list_jobs(JobQuery(LOCAL_TENANT, 9, batch_id=batch.id))] == items
    query = JobQuery(LOCAL_TENANT, 9, batch_id=batch.id, reference="photo 1")
    assert [job.item_index for job in store.list_jobs(query)] == [1]
    before = JobQuery(LOCAL_TENANT, 9, batch_id=batch.id, before_id=items[0])
    assert [job.id for job in store.list_jobs(before)] == items[1:]


def test_awaited_photos_are_queued_once_they_come(store: JobStore) -> None:
    batch = make_batch(3, source=BatchSource.PRESIGNED)
    items = fill(store, batch, AWAITED)
    assert store.claim(items[0].id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY
    assert store.queue_position(items[0]) is None
    assert store.batches.arrive([items[0].id, items[1].id, new_job_id()]) == 2
    assert store.batches.arrive([items[0].id]) == 0
    assert counted(store, batch) == {AWAITED: 1, QUEUED: 2}
    assert sorted(store.take(items[0].queue, 9, grace_s=1)) == sorted([items[0].id, items[1].id])
    store.settle(end(items[2], JobStatus.REJECTED))
    assert counted(store, batch) == {QUEUED: 2, JobStatus.REJECTED: 1}


def test_nothing_of_a_cancelled_batch_is_begun(store: JobStore) -> None:
    batch = make_batch(2)
    items = fill(store, batch)
    running = claim(store, items[0].id)
    assert store.batches.cancel(batch.id, at_ms=5)
    assert not store.batches.cancel(batch.id, at_ms=6)
    assert store.claim(items[1].id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY
    store.settle(end(running.record))
    store.settle(end(items[1], CANCELLED))
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.cancelled_ms, found.status, found.completions) == (5, BatchStatus.CANCELLED, 1)
    assert not store.batches.cancel(new_batch_id(), at_ms=5)


def test_open_batches_are_looked_at_now_and_then(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(1)
    item = fill(store, batch)[0]
    assert store.batches.due(5, grace_s=30) == []
    clock.advance(10)
    assert store.batches.due(5, grace_s=30) == [batch.id]
    assert store.batches.due(5, grace_s=30) == []
    store.batches.look_again(batch.id)
    assert store.batches.due(5, grace_s=30) == [batch.id]
    assert store.batches.start(batch.id, at_ms=5)
    assert not store.batches.start(batch.id, at_ms=6)
    assert store.batches.due(5, grace_s=30) == [batch.id]
    store.settle(end(item))
    clock.advance(60)
    store.batches.look_again(batch.id)
    assert store.batches.due(5, grace_s=30) == []


def test_a_dropped_batch_takes_no_more_items_and_owes_nothing(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(3)
    items = make_items(batch)
    store.batches.create(batch)
    store.batches.create_items(items[:2])
    store.batches.drop(batch.id)
    assert store.batches.get(batch.id) is None
    assert store.batches.create_items(items) == [False] * 3
    assert not store.batches.create(batch)  # its items are still being dropped
    assert sorted(store.batches.item_ids(batch.id, 9)) == sorted(item.id for item in items[:2])
    store.settle(end(items[0]))
    store.batches.drop_items([item.id for item in items])
    assert store.batches.item_ids(batch.id, 9) == []
    assert store.batches.create(batch)
    assert counted(store, batch) == {}
    store.batches.drop(batch.id)
    clock.advance(7200)
    assert store.batches.expired(9) == []
    assert store.expired_jobs(9) == []
    assert store.waiting_count(items[0].queue) == 0
    assert [debt.job_id for debt in store.due_cleanups(9, grace_s=0)] == [items[0].id]


def test_batches_expire(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(1)
    clock.now_ms = batch.expires_ms - 1
    store.batches.create(batch)
    assert store.batches.expired(5) == []
    clock.advance(0.001)
    assert store.batches.expired(5) == [batch.id]


def test_the_rate_is_that_of_the_last_seconds(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(40)
    items = fill(store, batch)
    clock.now_ms = 15_000 * 1000
    for item in items[:30]:
        store.settle(end(item))
    clock.advance(15)
    found = store.batches.get(batch.id)
    assert found is not None
    assert found.images_per_second(clock()) == pytest.approx(2.0)
    assert found.eta_s(clock()) == pytest.approx(5.0)
    assert found.progress == pytest.approx(0.75)
    store.settle(end(items[30]))
    found = store.batches.get(batch.id)
    assert found is not None
    assert found.ends_seen == EndsSeen(1001, 1, 30)
    clock.advance(30)
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.images_per_second(clock()), found.eta_s(clock())) == (None, None)


def test_what_a_lost_item_owes_names_its_batch(store: JobStore) -> None:
    batch = make_batch(2)
    first, second = fill(store, batch)
    store.settle(end(first))
    store.drop(second.id, LOCAL_TENANT)
    lost = make_items(batch)[0]
    store.drop(lost.id, LOCAL_TENANT, batch.id)
    debts = store.due_cleanups(9, grace_s=0)
    assert {(debt.job_id, debt.batch_id) for debt in debts} == {(job.id, batch.id) for job in (first, second, lost)}
    for debt in debts:
        store.cleaned(debt)
    assert store.due_cleanups(9, grace_s=0) == []


def test_a_rebuilt_item_that_has_ended_is_no_sign_of_speed(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(2)
    store.batches.create(batch)
    store.batches.create_items([end(item) for item in make_items(batch)])
    found = store.batches.get(batch.id)
    assert found is not None
    assert found.images_per_second(clock()) is None
    assert found.counts[SUCCEEDED] == 2


def test_an_item_with_options_of_its_own(store: JobStore) -> None:
    batch = make_batch(1)
    item = replace(make_items(batch)[0], options=JobOptions(max_faces=3, keep_image=True))
    store.batches.create(batch)
    assert store.create(item)
    assert store.get(item.id) == item


def test_an_item_whose_record_comes_back_is_not_gone(store: JobStore) -> None:
    batch = make_batch(2)
    items = fill(store, batch)
    store.drop(items[0].id, LOCAL_TENANT)
    assert store.create(items[0])
    found = store.batches.get(batch.id)
    assert found is not None
    assert (found.gone, found.open_items) == (0, 2)


def announcing(total: int) -> BatchRecord:
    return replace(make_batch(total), announces=True)


def due(store: JobStore) -> list[str]:
    return [found.object_id for found in store.due_announcements(9, grace_s=0)]


def test_the_last_end_of_a_batch_is_to_be_announced(store: JobStore) -> None:
    batch = announcing(2)
    first, last = fill(store, batch)
    assert store.settle(end(first, FAILED)) is Settlement.SETTLED
    assert due(store) == []
    assert store.settle(end(last)) is Settlement.LAST
    assert due(store) == [batch.id]
    assert store.settle(end(last)) is Settlement.ALREADY
    told = Announcement(LOCAL_TENANT, batch.id)
    store.announced(told, store.noted_ms(told) or 0)
    assert store.reopen(first.id, run=2)
    assert store.settle(replace(end(first), run=2)) is Settlement.LAST
    assert due(store) == [batch.id]


@pytest.mark.parametrize("way", ["sealed", "dropped"])
def test_every_way_to_complete_a_batch_announces_it(store: JobStore, way: str) -> None:
    batch = announcing(2)
    first, last = make_items(batch)
    store.batches.create(batch)
    store.batches.create_items([end(first), end(last) if way != "dropped" else last])
    assert due(store) == []
    store.batches.seal(batch.id)
    if way == "dropped":
        assert due(store) == []
        store.drop(last.id, LOCAL_TENANT, batch.id)
    assert due(store) == [batch.id]


def test_a_batch_without_a_receiver_is_not_announced(store: JobStore) -> None:
    batch = make_batch(1)
    [item] = fill(store, batch)
    assert store.settle(end(item)) is Settlement.SETTLED
    assert due(store) == []
