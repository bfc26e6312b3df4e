"""What every store of records must do about photos at URLs; the memory and the Redis one pass the same tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.fetches.store import FetchClaim, FetchLimits
from shared.fetches.tickets import FetchFrom
from shared.jobs.batch_record import BatchSource
from shared.jobs.record import JobRecord
from shared.jobs.store import ClaimRefusal, JobStore
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobStatus
from tests.clock import FakeClock
from tests.contract.records import LEASE_S, counted, end, make_batch, make_items, make_record

RECEIVER = "photos.example:443"
LIMITS = FetchLimits(per_receiver=2, per_tenant=5, per_receiver_all=100)
PLENTY = FetchLimits(per_receiver=1000, per_tenant=1000, per_receiver_all=1000)
END_OF_TIME_S = 4e9


def awaiting(receiver: str = RECEIVER, tenant: str = LOCAL_TENANT) -> JobRecord:
    return replace(make_record(), tenant=tenant).awaiting(FetchFrom(receiver))


def claim(store: JobStore, limits: FetchLimits = LIMITS) -> FetchClaim:
    found = store.fetches.claim(limits, lease_s=LEASE_S)
    assert found is not None
    return found


def nothing_is_due(store: JobStore) -> bool:
    return store.fetches.claim(PLENTY, lease_s=LEASE_S) is None


def created(store: JobStore, *records: JobRecord) -> None:
    for record in records:
        assert store.create(record)


def test_a_record_comes_back_as_it_was_written(store: JobStore) -> None:
    single = awaiting()
    batch = make_batch(1, source=BatchSource.URL)
    item = make_items(batch)[0].awaiting(FetchFrom(RECEIVER, (16_384, 220)))
    store.batches.create(batch)
    created(store, single, item)
    assert store.get(single.id) == single
    assert store.get(item.id) == item


def test_a_photo_is_given_once(store: JobStore) -> None:
    record = awaiting()
    created(store, record)
    given = claim(store)
    assert (given.record, given.step, given.lost, given.is_first) == (record, 0, 0, True)
    assert nothing_is_due(store)
    assert store.get(record.id) == record


def test_what_awaits_no_url_is_not_given(store: JobStore) -> None:
    batch = make_batch(1, source=BatchSource.PRESIGNED)
    store.batches.create(batch)
    created(store, make_record(), *make_items(batch, JobStatus.AWAITING_UPLOAD))
    assert nothing_is_due(store)


def test_a_job_is_not_measured_before_its_photo_is_here(store: JobStore) -> None:
    record = awaiting()
    created(store, record)
    assert store.claim(record.id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY
    assert store.queued_count(QueueName.INTERACTIVE) == 0


def test_a_photo_of_its_own_does_not_wait_for_a_batch_from_the_same_receiver(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(9, source=BatchSource.URL)
    store.batches.create(batch)
    created(store, *(item.awaiting(FetchFrom(RECEIVER, (16_384, 220))) for item in make_items(batch)))
    limits = FetchLimits(per_receiver=3, per_tenant=5, per_receiver_all=100)
    given = [claim(store, limits)]
    clock.advance(1)
    single = awaiting()
    created(store, single)
    given += [claim(store, limits) for _ in range(2)]
    assert single in [found.record for found in given]
    # Together they have the places that their receiver has.
    assert store.fetches.claim(limits, lease_s=LEASE_S) is None
    for found in given:
        assert store.fetches.put_off(found, due_ms=clock() + 1000, step=1)
    assert {claim(store, limits).record.batch_id for _ in range(3)} == {batch.id}


def test_a_receiver_is_not_kept_busy_by_many_tenants(store: JobStore, clock: FakeClock) -> None:
    limits = FetchLimits(per_receiver=2, per_tenant=5, per_receiver_all=3)
    created(store, *(awaiting(tenant=f"tenant-{n}") for n in range(8) for _ in range(2)))
    given = [claim(store, limits) for _ in range(3)]
    assert len({found.record.tenant for found in given}) == 3
    assert store.fetches.claim(limits, lease_s=LEASE_S) is None
    elsewhere = awaiting("other.example:443", tenant="tenant-7")
    created(store, elsewhere)
    assert claim(store, limits).record == elsewhere
    assert store.fetches.claim(limits, lease_s=LEASE_S) is None
    # A place is free when a photo is here, was put off, or its fetcher is gone.
    store.batches.arrive([given[0].record.id])
    claim(store, limits)
    store.fetches.put_off(given[1], due_ms=clock() + 3_600_000, step=1)
    claim(store, limits)
    assert store.fetches.claim(limits, lease_s=LEASE_S) is None
    clock.advance(LEASE_S + 0.001)
    assert sum(store.fetches.claim(limits, lease_s=LEASE_S) is not None for _ in range(9)) == 4


def test_a_photo_that_arrived_is_fetched_no_more(store: JobStore, clock: FakeClock) -> None:
    record = awaiting()
    created(store, record)
    given = claim(store)
    assert store.batches.arrive([record.id]) == 1
    assert store.batches.arrive([record.id]) == 0
    assert store.get(record.id) == record.queued()
    assert store.queued_count(QueueName.INTERACTIVE) == 1
    assert not store.fetches.renew(given, lease_s=LEASE_S)
    assert not store.fetches.put_off(given, due_ms=clock(), step=1)
    clock.advance(END_OF_TIME_S)
    assert nothing_is_due(store)


@pytest.mark.parametrize("is_claimed", [False, True])
@pytest.mark.parametrize("how", ["settle", "drop", "drop_items"])
def test_a_job_that_ended_or_was_dropped_is_fetched_no_more(
    store: JobStore, clock: FakeClock, how: str, is_claimed: bool
) -> None:
    record = awaiting()
    created(store, record)
    given = claim(store) if is_claimed else None
    if how == "settle":
        store.settle(end(record, JobStatus.CANCELLED))
    elif how == "drop":
        store.drop(record.id, record.tenant)
    else:
        store.batches.drop_items([record.id])
    if given is not None:
        assert not store.fetches.renew(given, lease_s=LEASE_S)
        assert not store.fetches.put_off(given, due_ms=clock(), step=1)
    # Nothing of it stands in the way of others: both places at its receiver are free.
    others = [awaiting(), awaiting()]
    created(store, *others)
    assert {claim(store).record.id, claim(store).record.id} == {other.id for other in others}
    store.batches.arrive([other.id for other in others])
    clock.advance(END_OF_TIME_S)
    assert nothing_is_due(store)


def test_a_photo_put_off_is_due_again_at_its_time(store: JobStore, clock: FakeClock) -> None:
    created(store, awaiting())
    given = claim(store)
    assert store.fetches.put_off(given, due_ms=clock() + 5000, step=1)
    assert not store.fetches.put_off(given, due_ms=clock(), step=2)
    clock.advance(4.999)
    assert nothing_is_due(store)
    clock.advance(0.001)
    again = claim(store)
    assert (again.record, again.step, again.lost, again.is_first) == (given.record, 1, 0, False)
    assert again.token != given.token


def test_photos_of_one_receiver_are_each_due_at_their_own_time(store: JobStore, clock: FakeClock) -> None:
    created(store, awaiting(), awaiting())
    sooner, later = claim(store), claim(store)
    store.fetches.put_off(later, due_ms=clock() + 10_000, step=1)
    store.fetches.put_off(sooner, due_ms=clock() + 5000, step=1)
    clock.advance(5)
    assert claim(store).record == sooner.record
    assert nothing_is_due(store)
    store.batches.arrive([sooner.record.id])
    assert nothing_is_due(store)
    clock.advance(5)
    assert claim(store).record == later.record


def test_a_photo_given_back_is_no_first_one_any_more(store: JobStore, clock: FakeClock) -> None:
    created(store, awaiting())
    store.fetches.put_off(claim(store), due_ms=clock(), step=0)
    again = claim(store)
    assert (again.step, again.lost, again.is_first) == (0, 0, False)


def test_what_is_put_off_does_not_hold_up_what_is_due(store: JobStore, clock: FakeClock) -> None:
    created(store, awaiting())
    store.fetches.put_off(claim(store), due_ms=clock() + 5000, step=1)
    later = awaiting()
    created(store, later)
    assert claim(store).record == later


def test_a_fetcher_that_does_not_come_back_loses_its_photo(store: JobStore, clock: FakeClock) -> None:
    created(store, awaiting())
    given = claim(store)
    clock.advance(LEASE_S - 0.001)
    assert nothing_is_due(store)
    clock.advance(0.001)
    again = claim(store)
    assert (again.record, again.step, again.lost, again.is_first) == (given.record, 0, 1, False)
    assert not store.fetches.renew(given, lease_s=LEASE_S)
    assert not store.fetches.put_off(given, due_ms=clock(), step=1)
    assert store.fetches.renew(again, lease_s=LEASE_S)


def test_a_lease_can_begin_anew(store: JobStore, clock: FakeClock) -> None:
    created(store, awaiting(), awaiting(), awaiting())
    given, _ = claim(store), claim(store)
    clock.advance(LEASE_S - 1)
    assert store.fetches.renew(given, lease_s=LEASE_S)
    clock.advance(LEASE_S - 1)
    # The other one is lost, and has left its place to the third; this one still counts where it asks.
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is not None
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is None
    clock.advance(1)
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is not None


def test_a_receiver_is_asked_by_two_at_once_and_a_tenant_served_by_five(store: JobStore, clock: FakeClock) -> None:
    created(store, *(awaiting() for _ in range(4)))
    first, _ = claim(store), claim(store)
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is None
    created(store, *(awaiting(f"r{number}.example:443") for number in range(4)))
    others = [claim(store) for _ in range(3)]
    assert len({given.record.fetch for given in others}) == 3
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is None
    created(store, awaiting(tenant="other"))
    assert claim(store).record.tenant == "other"
    store.batches.arrive([first.record.id])
    claim(store)
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is None


def test_tenants_and_receivers_are_served_in_turn(store: JobStore, clock: FakeClock) -> None:
    created(store, *(awaiting(receiver) for _ in range(20) for receiver in ("slow.example:80", "busy.example:80")))
    clock.advance(1)
    served: Counter[tuple[str, str]] = Counter()
    for number in range(16):
        if number == 4:
            created(store, *(awaiting("small.example:80", tenant="small") for _ in range(20)))
        given = claim(store)
        assert given.record.fetch is not None
        served[given.record.tenant, given.record.fetch.receiver] += 1
        store.batches.arrive([given.record.id])
    assert served == {
        (LOCAL_TENANT, "slow.example:80"): 5,
        (LOCAL_TENANT, "busy.example:80"): 5,
        ("small", "small.example:80"): 6,
    }


def test_a_host_that_answers_nobody_leaves_the_hands_of_others_free(store: JobStore) -> None:
    created(store, *(awaiting(f"dead{number}.example:443") for number in range(9) for _ in range(9)))
    held = [claim(store) for _ in range(LIMITS.per_tenant)]
    assert len(held) == LIMITS.per_tenant
    assert store.fetches.claim(LIMITS, lease_s=LEASE_S) is None
    created(store, *(awaiting(tenant="other") for _ in range(30)))
    for _ in range(30):
        given = claim(store)
        assert given.record.tenant == "other"
        store.batches.arrive([given.record.id])


def test_items_are_given_in_their_order_until_their_batch_is_cancelled(store: JobStore, clock: FakeClock) -> None:
    batch = make_batch(4, source=BatchSource.URL)
    items = [item.awaiting(FetchFrom(RECEIVER, (n, 9))) for n, item in enumerate(make_items(batch))]
    store.batches.create(batch)
    store.batches.create_items(items)
    store.batches.seal(batch.id)
    given = [claim(store, PLENTY), claim(store, PLENTY)]
    assert [found.record for found in given] == items[:2]
    store.batches.cancel(batch.id, at_ms=clock())
    other = awaiting()
    created(store, other)
    assert claim(store, PLENTY).record == other
    assert nothing_is_due(store)
    store.batches.arrive([other.id])
    assert counted(store, batch) == {JobStatus.AWAITING_UPLOAD: 4}
    for item in items:
        store.settle(end(item, JobStatus.CANCELLED))
    assert counted(store, batch) == {JobStatus.CANCELLED: 4}
    clock.advance(END_OF_TIME_S)
    assert nothing_is_due(store)
