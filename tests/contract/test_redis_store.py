"""What only Redis can get wrong."""

from __future__ import annotations

import pytest
import redis

from shared.admission.limits import TenantLimits
from shared.admission.store import NOTHING, Take
from shared.errors import RecordsUnavailable, UnreadableObject
from shared.fetches.store import FetchLimits
from shared.fetches.tickets import FetchFrom
from shared.jobs.redis_store import RedisJobStore
from shared.jobs.store import Claim, Settlement
from shared.names import LOCAL_TENANT
from shared.schemas import JobStatus
from stack.stack import Stack
from tests.clock import FakeClock
from tests.contract.conftest import settings_beside
from tests.contract.records import LEASE_S, claim, end, make_record


def test_a_full_redis_can_be_emptied(request: pytest.FixtureRequest) -> None:
    stores = request.getfixturevalue("stores")
    real = RedisJobStore(settings_beside(stores))
    records = [make_record() for _ in range(3)]
    for record in records:
        real.create(record)
    with redis.Redis.from_url(stores.settings_env["FACEFIT_REDIS_URL"]) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(RecordsUnavailable):
                real.create(make_record())
            held = claim(real, records[0].id)
            assert real.settle(end(held.record)) is Settlement.SETTLED
            real.drop(records[1].id, LOCAL_TENANT)
        finally:
            client.config_set("maxmemory", 0)
    assert real.missing([record.id for record in records]) == [records[1].id]


def test_a_lost_lease_comes_back_though_redis_is_full(stores: Stack, clock: FakeClock) -> None:
    real = RedisJobStore(settings_beside(stores), clock)
    record = make_record()
    real.create(record)
    claim(real, record.id)
    clock.advance(LEASE_S + 1)
    with redis.Redis.from_url(stores.settings_env["FACEFIT_REDIS_URL"]) as client:
        client.config_set("maxmemory", 1)
        try:
            assert record.id in real.expired_leases(1000, grace_s=10)
            assert record.id not in real.expired_leases(1000, grace_s=10)
        finally:
            client.config_set("maxmemory", 0)
    clock.advance(11)
    assert record.id in real.expired_leases(1000, grace_s=10)


def test_a_record_of_a_later_version_costs_no_attempt(stores: Stack, clock: FakeClock) -> None:
    settings = settings_beside(stores)
    real = RedisJobStore(settings, clock)
    record = make_record()
    real.create(record)
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        options = client.hget(f"facefit:job:{record.id}", "options")
        client.hset(f"facefit:job:{record.id}", "options", b'{"an_option_of_tomorrow": true}')
        with pytest.raises(UnreadableObject):
            claim(real, record.id)
        client.hset(f"facefit:job:{record.id}", "options", options)
    found = real.get(record.id)
    assert found is not None
    assert (found.status, found.attempts) == (JobStatus.QUEUED, 0)


def test_a_claim_whose_answer_was_lost_is_given_again(request: pytest.FixtureRequest) -> None:
    real = RedisJobStore(settings_beside(request.getfixturevalue("stores")))
    record = make_record()
    real.create(record)
    now = record.created_ms
    first = real._link.run("claim", record.id, now, now + 1000, "token", 3)
    assert real._link.run("claim", record.id, now, now + 1000, "token", 3) == first
    assert real._link.run("claim", record.id, now, now + 1000, "another", 3) == b"busy"


def test_what_was_admitted_leaves_nothing_behind_that_stays(stores: Stack, clock: FakeClock) -> None:
    settings = settings_beside(stores)
    store = RedisJobStore(settings, clock)
    take, limits = Take(photos=1, jobs=1, size_bytes=9, batches=1), TenantLimits()
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushdb()
        for token in "abc":
            store.admissions.admit(LOCAL_TENANT, token, take, limits, lease_s=LEASE_S)
        assert all(client.ttl(key) > 0 for key in client.keys("facefit:*"))
        assert len(client.keys("facefit:*")) == 3
        store.admissions.settle(LOCAL_TENANT, "a", size_bytes=9)
        store.admissions.admit(LOCAL_TENANT, "b", NOTHING, limits, lease_s=LEASE_S)
        clock.advance(90_000)
        store.admissions.admit(LOCAL_TENANT, "d", NOTHING, limits, lease_s=LEASE_S)
        assert client.keys("facefit:*") == []


def test_what_was_fetched_leaves_no_keys_behind(stores: Stack, clock: FakeClock) -> None:
    settings = settings_beside(stores)
    store = RedisJobStore(settings, clock)
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushdb()
        records = [make_record().awaiting(FetchFrom(f"r{number}.example:443")) for number in range(20)]
        for record in records:
            store.create(record)
        limits = FetchLimits(1000, 1000, 1000)
        for _ in records[:5]:
            given = store.fetches.claim(limits, lease_s=LEASE_S)
            assert given is not None
            store.fetches.put_off(given, due_ms=clock() + 1000, step=1)
        for record in records[::2]:
            store.batches.arrive([record.id])
        for record in records[1::2]:
            store.drop(record.id, record.tenant)
        clock.advance(2)
        assert store.fetches.claim(limits, lease_s=LEASE_S) is None
        keys = {key.decode() for key in client.keys("facefit:fetch:*")}
        assert {key for key in keys if ":claimed:" not in key} == {"facefit:fetch:turn"}
        assert all(0 < client.ttl(key) <= 10 for key in keys if ":claimed:" in key)
        kept = client.hkeys(f"facefit:job:{records[0].id}")
        assert [name for name in kept if name.startswith(b"fetch")] == []


def test_a_fetch_whose_answer_was_lost_is_given_again(stores: Stack, clock: FakeClock) -> None:
    real = RedisJobStore(settings_beside(stores), clock)
    while real.fetches.claim(FetchLimits(1000, 1000, 1000), lease_s=LEASE_S):
        pass
    for number in range(2):
        real.create(make_record().awaiting(FetchFrom(f"again{number}.example:443")))
    now = clock()
    first = real._link.run("fetch_claim", now, now + 1000, "token", 3, 3, 9)
    assert first
    assert real._link.run("fetch_claim", now, now + 1000, "token", 3, 3, 9) == first
    assert real._link.run("fetch_claim", now, now + 1000, "another", 3, 3, 9)[0] != first[0]
    real.drop(first[0].decode(), LOCAL_TENANT)
    assert real._link.run("fetch_claim", now, now + 1000, "token", 3, 3, 9) == first[:1]


def test_a_server_names_its_line_of_changes_alike_until_another_goes_on(stores: Stack) -> None:
    settings = settings_beside(stores)
    assert RedisJobStore(settings).lineage() == RedisJobStore(settings).lineage() != ""


@pytest.mark.parametrize(("ahead_s", "is_taken"), [(15, False), (25, True)])
def test_clocks_may_differ_by_what_lies_between_a_photos_time_and_its_lease(
    stores: Stack, clock: FakeClock, ahead_s: float, *, is_taken: bool
) -> None:
    """Up to 20 s: 40 of the lease less 20 that a photo may take. Beyond it is measured twice, and still ends once."""
    settings = settings_beside(stores)
    ahead = FakeClock()
    ahead.advance(ahead_s)
    here, there = RedisJobStore(settings, clock), RedisJobStore(settings, ahead)
    record = make_record()
    here.create(record)
    first = claim(here, record.id)
    for hosts_clock in (clock, ahead):
        hosts_clock.advance(settings.photo_time_limit_s)

    second = there.claim(record.id, lease_s=LEASE_S, max_attempts=3)
    assert isinstance(second, Claim) is is_taken
    ends = [here.settle(end(first.record))]
    if isinstance(second, Claim):
        ends.append(there.settle(end(second.record)))
    assert ends.count(Settlement.SETTLED) == 1
