"""What every store of deliveries must do; the memory and the Redis one pass the same tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import redis

from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.deliveries.record import Attempt, DeliveryRecord, DeliveryStatus, Verdict, new_test_delivery
from shared.deliveries.redis_store import RedisDeliveryStore
from shared.deliveries.store import DeliveryClaim, DeliveryQuery, DeliveryStore, Limits, Overdue
from shared.names import LOCAL_TENANT, new_job_id
from tests.clock import FakeClock
from tests.contract.conftest import settings_beside
from tests.deliveries import BATCH_ID, LEASE_S, LIMITS, URL, a_delivery

DELIVERED = Verdict(DeliveryStatus.DELIVERED, step=1, interruptions=0)
FAILED = Verdict(DeliveryStatus.FAILED, step=8, interruptions=0)
TOOK_IT = Attempt(5, 200, 12, None)
BROKE = Attempt(5, 500, 12, "status")


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, clock: FakeClock) -> DeliveryStore:
    if request.param == "memory":
        return MemoryDeliveryStore(clock)
    settings = settings_beside(request.getfixturevalue("stores"))
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushdb()
    return RedisDeliveryStore(settings, clock)


def claim(store: DeliveryStore, limits: Limits = LIMITS) -> DeliveryClaim:
    found = store.claim(limits, lease_s=LEASE_S)
    assert found is not None
    return found


def nothing_is_due(store: DeliveryStore) -> bool:
    return store.claim(LIMITS, lease_s=LEASE_S) is None


def later(clock: FakeClock, seconds: float, step: int = 1) -> Verdict:
    return Verdict(DeliveryStatus.PENDING, step, 0, next_ms=clock() + round(seconds * 1000))


def gone(store: DeliveryStore, clock: FakeClock) -> DeliveryRecord:
    """Have a delivery answered with 410: its target is disabled for 100 s."""
    refused = a_delivery(clock)
    store.create(refused)
    verdict = replace(FAILED, disable_until_ms=clock() + 100_000)
    after = store.settle(claim(store), [Attempt(clock(), 410, 3, "status")], verdict)
    assert after is not None
    return after


def test_a_record_comes_back_as_it_was_written(store: DeliveryStore, clock: FakeClock) -> None:
    plain = a_delivery(clock)
    ended = replace(
        a_delivery(clock, batch_id=BATCH_ID),
        status=DeliveryStatus.FAILED,
        round=3,
        step=8,
        interruptions=2,
        next_ms=None,
        attempts=(BROKE, Attempt(6, None, None, "interrupted")),
    )
    for record in (plain, ended):
        assert store.create(record)
        assert store.get(record.id) == record
        assert not store.create(replace(record, attempts=()))
        assert store.get(record.id) == record
    assert store.get(a_delivery(clock).id) is None


def test_what_is_due_is_given_once(store: DeliveryStore, clock: FakeClock) -> None:
    record = a_delivery(clock)
    store.create(record)
    given = claim(store)
    assert (given.record, given.claimed_ms, given.secrets_version) == (record, clock(), "")
    assert nothing_is_due(store)


def test_what_is_due_later_is_given_later(store: DeliveryStore, clock: FakeClock) -> None:
    record = a_delivery(clock)
    store.create(replace(record, next_ms=clock() + 1000))
    clock.advance(0.999)
    assert nothing_is_due(store)
    clock.advance(0.001)
    assert claim(store).record.id == record.id


def test_a_failure_makes_it_due_again(store: DeliveryStore, clock: FakeClock) -> None:
    store.create(a_delivery(clock))
    after = store.settle(claim(store), [BROKE], later(clock, 5))
    assert after is not None
    assert (after.status, after.step, after.attempts) == (DeliveryStatus.PENDING, 1, (BROKE,))
    assert store.get(after.id) == after
    clock.advance(4.999)
    assert nothing_is_due(store)
    clock.advance(0.001)
    assert claim(store).record == after


def test_what_is_delivered_stays_so(store: DeliveryStore, clock: FakeClock) -> None:
    store.create(a_delivery(clock))
    given = claim(store)
    after = store.settle(given, [TOOK_IT], DELIVERED)
    assert after is not None
    assert (after.status, after.next_ms) == (DeliveryStatus.DELIVERED, None)
    clock.advance(LEASE_S * 10)
    assert nothing_is_due(store)
    assert store.lost_claims(10) == []
    # The same once more, as after a lost connection, and a straggler's failure: neither changes how it stands.
    assert store.settle(given, [TOOK_IT], DELIVERED) == after
    late = store.settle(given, [BROKE], later(clock, 0))
    assert late == after.with_attempts([BROKE])
    assert nothing_is_due(store)


def test_a_lease_that_ran_out_is_found_and_can_be_settled(store: DeliveryStore, clock: FakeClock) -> None:
    store.create(a_delivery(clock))
    given = claim(store)
    clock.advance(LEASE_S - 0.001)
    assert store.lost_claims(10) == []
    clock.advance(0.001)
    assert store.lost_claims(10) == [given]
    store.settle(given, [Attempt(given.claimed_ms, None, None, "interrupted")], later(clock, 0, step=0))
    assert store.lost_claims(10) == []
    again = claim(store)
    assert again.token != given.token
    # The straggler comes back after all. What it saw is in the log; the claim of the other stands.
    straggler = store.settle(given, [BROKE], later(clock, 900))
    assert straggler is not None
    assert [attempt.error for attempt in straggler.attempts] == ["interrupted", "status"]
    after = store.settle(again, [TOOK_IT], DELIVERED)
    assert after is not None
    assert after.status is DeliveryStatus.DELIVERED


def test_a_late_success_counts_in_its_own_round(store: DeliveryStore, clock: FakeClock) -> None:
    store.create(a_delivery(clock))
    given = claim(store)
    clock.advance(LEASE_S)
    store.settle(given, [], later(clock, 300))
    after = store.settle(given, [TOOK_IT], DELIVERED)
    assert after is not None
    assert after.status is DeliveryStatus.DELIVERED
    assert store.reopen(after.reopened(clock()))
    still = store.settle(given, [TOOK_IT], DELIVERED)
    assert still is not None
    assert still.status is DeliveryStatus.PENDING


def test_a_claim_given_back_leaves_no_trace(store: DeliveryStore, clock: FakeClock) -> None:
    record = a_delivery(clock)
    store.create(record)
    given = claim(store)
    assert store.give_back(given, retry_after_s=10)
    assert not store.give_back(given, retry_after_s=10)
    assert nothing_is_due(store)
    clock.advance(10)
    assert claim(store).record == replace(record, next_ms=clock())


def test_a_receiver_is_asked_by_two_at_once_and_a_tenant_served_by_eight(
    store: DeliveryStore, clock: FakeClock
) -> None:
    for _ in range(5):
        store.create(a_delivery(clock))
    first, _ = claim(store), claim(store)
    assert nothing_is_due(store)
    for number in range(9):
        store.create(a_delivery(clock, f"https://r{number}.example/"))
    others = [claim(store) for _ in range(6)]
    assert len({given.record.receiver for given in others}) == 6
    assert nothing_is_due(store)
    store.create(a_delivery(clock, tenant="other"))
    assert claim(store).record.tenant == "other"
    store.settle(first, [TOOK_IT], DELIVERED)
    claim(store)
    assert nothing_is_due(store)
    # Senders that were killed hold no place for longer than their lease. Five wait, three of them for one receiver.
    clock.advance(LEASE_S)
    assert sum(store.claim(LIMITS, lease_s=LEASE_S) is not None for _ in range(20)) == 4


def test_a_receiver_is_not_kept_busy_by_many_tenants(store: DeliveryStore, clock: FakeClock) -> None:
    limits = Limits(per_receiver=2, per_tenant=8, per_receiver_all=3)
    dead = [a_delivery(clock, tenant=f"tenant-{n}") for n in range(8) for _ in range(2)]
    for record in dead:
        store.create(record)
    given = [claim(store, limits) for _ in range(3)]
    assert store.claim(limits, lease_s=LEASE_S) is None
    # What goes elsewhere passes all that wait, and has the turn that it has.
    elsewhere = a_delivery(clock, "https://other.example/", tenant="tenant-7")
    store.create(elsewhere)
    assert claim(store, limits).record == elsewhere
    assert store.claim(limits, lease_s=LEASE_S) is None
    # A place is free when an attempt has ended, was given back, or its sender is gone.
    store.settle(given[0], [BROKE], later(clock, 3600))
    assert claim(store, limits).record.receiver == given[0].record.receiver
    store.give_back(given[1], retry_after_s=3600)
    assert claim(store, limits).record.receiver == given[0].record.receiver
    assert store.claim(limits, lease_s=LEASE_S) is None
    clock.advance(LEASE_S + 0.001)
    assert [claim(store, limits).record.receiver for _ in range(3)] == [given[0].record.receiver] * 3
    assert store.claim(limits, lease_s=LEASE_S) is None


def test_more_tenants_than_anybody_looks_at_wait_for_one_receiver(store: DeliveryStore, clock: FakeClock) -> None:
    limits = Limits(per_receiver=2, per_tenant=8, per_receiver_all=1)
    for n in range(300):
        store.create(a_delivery(clock, tenant=f"tenant-{n:03d}"))
    claim(store, limits)
    # Lanes become ready a hundred at a time: until then some are not looked at.
    assert [store.claim(limits, lease_s=LEASE_S) for _ in range(3)] == [None] * 3
    elsewhere = a_delivery(clock, "https://other.example/", tenant="zz-last")
    store.create(elsewhere)
    assert claim(store, limits).record == elsewhere


def test_tenants_and_receivers_are_served_in_turn(store: DeliveryStore, clock: FakeClock) -> None:
    for _ in range(20):
        store.create(a_delivery(clock, "https://slow.example/"))
        store.create(a_delivery(clock, "https://busy.example/"))
    clock.advance(1)
    served: Counter[tuple[str, str]] = Counter()
    for number in range(16):
        if number == 4:
            for _ in range(20):
                store.create(a_delivery(clock, "https://small.example/", tenant="small"))
        given = claim(store)
        served[given.record.tenant, given.record.receiver] += 1
        store.settle(given, [TOOK_IT], DELIVERED)
    assert served == {
        (LOCAL_TENANT, "slow.example:443"): 5,
        (LOCAL_TENANT, "busy.example:443"): 5,
        ("small", "small.example:443"): 6,
    }


def test_a_disabled_target_is_left_alone_until_its_time_is_over(store: DeliveryStore, clock: FakeClock) -> None:
    waiting = a_delivery(clock)
    store.create(replace(waiting, next_ms=clock() + 1))
    refused = gone(store, clock)
    clock.advance(0.001)
    elsewhere = a_delivery(clock, "https://receiver.example/other")
    store.create(elsewhere)
    assert claim(store).record.id == elsewhere.id
    assert nothing_is_due(store)
    held = store.get(waiting.id)
    assert held is not None
    assert (held.status, held.next_ms) == (DeliveryStatus.PENDING, clock() - 1 + 100_000)
    (target,) = store.disabled_targets(LOCAL_TENANT)
    assert target.url == "https://receiver.example/hook?…"
    assert (target.delivery_id, target.until_ms, target.since_ms) == (refused.id, held.next_ms, clock() - 1)
    assert store.disabled_targets("other") == []
    clock.advance(99)
    assert store.release_held(10) == 0
    clock.advance(1)
    assert store.disabled_targets(LOCAL_TENANT) == []
    assert store.release_held(10) == 1
    assert claim(store).record.id == waiting.id


def test_a_disabled_target_of_one_tenant_is_none_of_another(store: DeliveryStore, clock: FakeClock) -> None:
    gone(store, clock)
    store.create(a_delivery(clock, tenant="other"))
    assert claim(store).record.tenant == "other"


def test_a_redelivery_goes_through_and_enables_its_target(store: DeliveryStore, clock: FakeClock) -> None:
    refused = gone(store, clock)
    waiting = [a_delivery(clock) for _ in range(5)]
    for record in waiting:
        store.create(record)
    assert nothing_is_due(store)
    assert store.reopen(refused.reopened(clock()))
    assert not store.reopen(refused.reopened(clock()))
    given = claim(store)
    assert (given.record.id, given.record.round, given.record.attempts) == (refused.id, 2, refused.attempts)
    assert not store.reopen(given.record.reopened(clock()))
    store.settle(given, [TOOK_IT], DELIVERED)
    assert store.disabled_targets(LOCAL_TENANT) == []
    assert [store.release_held(3) for _ in range(3)] == [3, 2, 0]
    assert {claim(store).record.id, claim(store).record.id} < {record.id for record in waiting}


def test_a_test_goes_to_a_disabled_target(store: DeliveryStore, clock: FakeClock) -> None:
    gone(store, clock)
    test = new_test_delivery(LOCAL_TENANT, URL, now_ms=clock(), expires_ms=clock() + 1000)
    store.create(test)
    assert claim(store).record == test


def test_lists(store: DeliveryStore, clock: FakeClock) -> None:
    job_id = new_job_id()
    of_job = [a_delivery(clock, URL + str(n), job_id=job_id, batch_id=BATCH_ID) for n in range(3)]
    of_batch = a_delivery(clock, name="batch.completed", job_id=None, batch_id=BATCH_ID)
    foreign = a_delivery(clock, tenant="other")
    for record in (*of_job, of_batch, foreign):
        store.create(record)
    given = claim(store, Limits(9, 9, 9))
    store.settle(given, [BROKE], FAILED)
    everything = sorted((record.id for record in (*of_job, of_batch)), reverse=True)

    def listed(**wanted: object) -> list[str]:
        query = replace(DeliveryQuery(LOCAL_TENANT, 10), **wanted)  # type: ignore[arg-type]
        return [record.id for record in store.list_deliveries(query)]

    assert listed() == everything
    assert listed(limit=2) == everything[:2]
    assert listed(before_id=everything[1]) == everything[2:]
    assert listed(job_id=job_id) == sorted((record.id for record in of_job), reverse=True)
    assert listed(batch_id=BATCH_ID) == everything
    failed = [given.record.id] if given.record.tenant == LOCAL_TENANT else []
    assert listed(status=DeliveryStatus.FAILED) == failed
    assert listed(status=DeliveryStatus.PENDING) == [found for found in everything if found not in failed]
    assert listed(status=DeliveryStatus.FAILED, batch_id=BATCH_ID) == failed
    assert listed(tenant="other", job_id=job_id) == []
    assert store.of_object(LOCAL_TENANT, job_id) == sorted(record.id for record in of_job)
    assert store.of_object(LOCAL_TENANT, BATCH_ID) == sorted(everything)
    assert store.of_object("other", BATCH_ID) == []


def test_what_is_overdue(store: DeliveryStore, clock: FakeClock) -> None:
    assert store.overdue() == Overdue(0, None)
    first, second, third = (a_delivery(clock, f"https://r{number}.example/") for number in range(3))
    for record in (first, second):
        store.create(replace(record, next_ms=clock()))
    store.create(replace(third, next_ms=clock() + 60_000))
    assert store.overdue() == Overdue(2, clock())
    clock.advance(5)
    given = claim(store)
    assert store.overdue().count == 1
    store.settle(given, [BROKE], later(clock, 1))
    clock.advance(2)
    assert store.overdue() == Overdue(2, clock() - 7000)
    given = claim(store)
    store.give_back(given, retry_after_s=60)
    assert store.overdue().count == 1
    for record in (first, second, third):
        store.drop(record.id)
    assert store.overdue() == Overdue(0, None)


def test_what_waits_for_a_disabled_target_is_not_overdue(store: DeliveryStore, clock: FakeClock) -> None:
    gone(store, clock)
    store.create(a_delivery(clock))
    assert nothing_is_due(store)
    assert store.overdue() == Overdue(0, None)


def test_a_dropped_record_leaves_no_trace(store: DeliveryStore, clock: FakeClock) -> None:
    waiting, flying = a_delivery(clock), a_delivery(clock)
    store.create(flying)
    given = claim(store)
    store.create(waiting)
    for record in (waiting, flying):
        store.drop(record.id)
        assert store.get(record.id) is None
    assert store.settle(given, [TOOK_IT], DELIVERED) is None
    clock.advance(LEASE_S * 100_000)
    assert nothing_is_due(store)
    assert store.lost_claims(10) == []
    assert store.unarchived(10, grace_s=0) == []
    assert store.expired(10) == []
    assert store.list_deliveries(DeliveryQuery(LOCAL_TENANT, 10)) == []
    assert not store.archived(waiting)


def test_a_change_is_owed_to_storage_until_it_is_there(store: DeliveryStore, clock: FakeClock) -> None:
    store.create(a_delivery(clock))
    first = store.settle(claim(store), [BROKE], later(clock, 0))
    assert first is not None
    second = store.settle(claim(store), [TOOK_IT], DELIVERED)
    assert second is not None
    assert store.archived(first)
    clock.advance(9)
    assert store.unarchived(10, grace_s=10) == []
    clock.advance(1)
    assert store.unarchived(10, grace_s=10) == [first.id]
    assert store.archived(second)
    assert store.unarchived(10, grace_s=10) == []
    assert store.archived(first)  # whose writer was slow, and wrote it over the second
    clock.advance(10)
    assert store.unarchived(10, grace_s=10) == [first.id]


def test_the_log_keeps_the_last_forty_attempts(store: DeliveryStore, clock: FakeClock) -> None:
    store.create(a_delivery(clock))
    for number in range(45):
        after = store.settle(claim(store), [replace(BROKE, at_ms=number)], later(clock, 0))
    assert after is not None
    assert [attempt.at_ms for attempt in after.attempts] == list(range(5, 45))


def test_what_is_kept_long_enough_is_found(store: DeliveryStore, clock: FakeClock) -> None:
    record = a_delivery(clock, expires_ms=clock() + 1000)
    store.create(record)
    assert store.expired(10) == []
    clock.advance(1)
    assert store.expired(10) == [record]


def test_senders_hear_of_new_secrets(store: DeliveryStore, clock: FakeClock) -> None:
    versions = set()
    for _ in range(2):
        store.renew_secrets_version(LOCAL_TENANT)
        store.create(a_delivery(clock))
        versions.add(claim(store).secrets_version)
    assert len(versions) == 2
    store.create(a_delivery(clock, tenant="other"))
    assert claim(store).secrets_version == ""


def test_a_rebuild_ends_only_if_nothing_was_lost_meanwhile(store: DeliveryStore) -> None:
    assert not store.is_rebuilt()
    token = store.begin_rebuild()
    assert not store.end_rebuild("another")
    assert not store.is_rebuilt()
    assert store.end_rebuild(token)
    assert store.is_rebuilt()
    assert not store.end_rebuild(token)
    store.check()


def test_a_claim_whose_answer_was_lost_is_given_again(request: pytest.FixtureRequest, clock: FakeClock) -> None:
    settings = settings_beside(request.getfixturevalue("stores"))
    real = RedisDeliveryStore(settings, clock)
    real._redis.flushdb()
    for _ in range(2):
        real.create(a_delivery(clock))
    first = real._run("claim", clock(), clock() + 1000, "token", 2, 8, 9)
    assert real._run("claim", clock(), clock() + 1000, "token", 2, 8, 9) == first
    assert real._run("claim", clock(), clock() + 1000, "another", 2, 8, 9)[1] != first[1]
