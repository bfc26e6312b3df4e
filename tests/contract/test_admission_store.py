"""What every store of admissions must do; the memory and the Redis one pass the same tests."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shared.admission.limits import LimitKind, TenantLimits
from shared.admission.store import NOTHING, Decision, Take, Usage
from shared.jobs.store import JobStore
from shared.names import LOCAL_TENANT
from shared.schemas import JobStatus
from tests.clock import FakeClock
from tests.contract.conftest import AnyCore
from tests.contract.records import end, fill, make_batch, make_items, make_record

NO_LIMITS = TenantLimits()
PHOTO = Take(photos=1, jobs=1, size_bytes=100)
LEASE_S = 180.0


def ask(
    store: JobStore, token: str, take: Take = PHOTO, limits: TenantLimits = NO_LIMITS, tenant: str = LOCAL_TENANT
) -> Decision:
    return store.admissions.admit(tenant, token, take, limits, lease_s=LEASE_S)


def usage(store: JobStore, tenant: str = LOCAL_TENANT) -> Usage:
    return ask(store, "nobody", NOTHING, tenant=tenant).usage


def admitted(store: JobStore, tokens: Iterable[str], take: Take, limits: TenantLimits) -> list[str]:
    return [token for token in tokens if ask(store, token, take, limits).refused is None]


def test_what_is_taken_counts(store: JobStore) -> None:
    decision = ask(store, "a", Take(photos=2, jobs=3, size_bytes=400, batches=5))
    assert decision.refused is None
    assert decision.usage == usage(store)
    assert (decision.usage.photos, decision.usage.jobs) == (2, 3)
    assert (decision.usage.size_bytes, decision.usage.batches) == (400, 5)


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (TenantLimits(photos_per_minute=5), LimitKind.PHOTOS),
        (TenantLimits(open_jobs=5), LimitKind.JOBS),
        (TenantLimits(bytes_per_day=500), LimitKind.BYTES),
        (TenantLimits(open_batches=5), LimitKind.BATCHES),
    ],
)
def test_no_more_is_admitted_than_the_limit(store: JobStore, limits: TenantLimits, refused: LimitKind) -> None:
    take = Take(photos=1, jobs=1, size_bytes=100, batches=1)
    assert admitted(store, "abcdefgh", take, limits) == list("abcde")
    before = usage(store)
    decision = ask(store, "x", take, limits)
    assert decision.refused is refused
    assert decision.usage == before == usage(store)
    # It is another tenant's own affair, and of what is not limited there is no end.
    assert ask(store, "y", take, limits, tenant="other").refused is None
    assert ask(store, "z", take).refused is None


def test_a_limit_that_is_not_asked_of_refuses_nothing(store: JobStore) -> None:
    limits = TenantLimits(photos_per_minute=1, open_jobs=9)
    assert ask(store, "a", PHOTO, limits).refused is None
    assert ask(store, "b", Take(jobs=3, batches=1), limits).refused is None
    assert ask(store, "c", NOTHING, TenantLimits(open_jobs=1)).refused is None


def test_a_minute_slides(store: JobStore, clock: FakeClock) -> None:
    limits = TenantLimits(photos_per_minute=3)
    clock.now_ms = 1_000_000_000
    for second, token in enumerate("abc"):
        assert ask(store, token, PHOTO, limits).refused is None, second
        clock.advance(10)
    decision = ask(store, "d", PHOTO, limits)
    assert (decision.refused, decision.retry_ms) == (LimitKind.PHOTOS, 31_000)
    assert decision.usage.photos_free_ms == 31_000
    clock.advance(30.999)
    assert ask(store, "d", PHOTO, limits).refused is LimitKind.PHOTOS
    clock.advance(0.001)
    assert ask(store, "d", PHOTO, limits).refused is None
    assert ask(store, "e", PHOTO, limits).retry_ms == 10_000


def test_no_minute_ever_holds_more_than_the_limit(store: JobStore, clock: FakeClock) -> None:
    limits = TenantLimits(photos_per_minute=5)
    times = []
    for number in range(400):
        if ask(store, str(number), PHOTO, limits).refused is None:
            times.append(clock())
        clock.advance(0.437)
    assert len(times) > 10
    assert all(later - earlier > 60_000 for earlier, later in zip(times, times[5:], strict=False))


def test_a_day_of_bytes_slides(store: JobStore, clock: FakeClock) -> None:
    limits = TenantLimits(bytes_per_day=1000)
    assert ask(store, "a", Take(size_bytes=900), limits).refused is None
    decision = ask(store, "b", Take(size_bytes=200), limits)
    assert decision.refused is LimitKind.BYTES
    assert 86_400_000 < decision.retry_ms <= 87_000_000
    assert ask(store, "c", Take(size_bytes=100), limits).refused is None
    clock.advance(decision.retry_ms / 1000)
    assert ask(store, "b", Take(size_bytes=200), limits).refused is None


def test_large_numbers_are_counted_to_the_last(store: JobStore) -> None:
    limit = 2**50
    assert ask(store, "a", Take(size_bytes=limit - 1), TenantLimits(bytes_per_day=limit)).refused is None
    assert usage(store).size_bytes == limit - 1
    assert ask(store, "b", Take(size_bytes=2), TenantLimits(bytes_per_day=limit)).refused is LimitKind.BYTES
    assert ask(store, "b", Take(size_bytes=1), TenantLimits(bytes_per_day=limit)).refused is None


def test_what_never_fits_says_so_by_the_whole_span(store: JobStore) -> None:
    assert ask(store, "a", Take(photos=2), TenantLimits(photos_per_minute=1)).retry_ms == 60_000
    assert ask(store, "a", Take(size_bytes=2), TenantLimits(bytes_per_day=1)).retry_ms == 86_400_000
    assert ask(store, "a", Take(jobs=2), TenantLimits(open_jobs=1)).retry_ms == 0


def test_the_longest_wait_is_told(store: JobStore) -> None:
    limits = TenantLimits(photos_per_minute=1, bytes_per_day=100)
    assert ask(store, "a", PHOTO, limits).refused is None
    decision = ask(store, "b", PHOTO, limits)
    assert decision.refused is LimitKind.PHOTOS
    assert decision.retry_ms > 86_400_000


def test_the_same_call_twice_counts_once(store: JobStore) -> None:
    limits = TenantLimits(photos_per_minute=1, open_jobs=1, bytes_per_day=100)
    first = ask(store, "a", PHOTO, limits)
    assert ask(store, "a", PHOTO, limits) == first
    assert first.refused is None


def test_more_is_taken_under_the_same_token_or_all_of_it_lost(store: JobStore) -> None:
    limits = TenantLimits(open_jobs=10)
    assert ask(store, "a", Take(jobs=4, batches=1), limits).refused is None
    assert ask(store, "b", Take(jobs=5), limits).refused is None
    assert ask(store, "a", Take(jobs=5, batches=1), limits).usage.jobs == 10
    assert ask(store, "a", Take(jobs=6, batches=1), limits).refused is LimitKind.JOBS
    assert (usage(store).jobs, usage(store).batches) == (5, 0)


def test_what_is_given_back_counts_no_more(store: JobStore, clock: FakeClock) -> None:
    ask(store, "a")
    clock.advance(5)
    ask(store, "b")
    assert ask(store, "a", NOTHING).usage == usage(store)
    assert (usage(store).photos, usage(store).jobs, usage(store).size_bytes) == (1, 1, 100)
    ask(store, "a", NOTHING)
    ask(store, "b", NOTHING)
    assert usage(store) == Usage(0, 0, 0, 0, 0, 0)


def test_what_is_given_back_after_its_minute_takes_nothing_from_others(store: JobStore, clock: FakeClock) -> None:
    ask(store, "a")
    clock.advance(62)
    ask(store, "b")
    ask(store, "a", NOTHING)
    assert (usage(store).photos, usage(store).size_bytes) == (1, 100)


def test_a_settled_request_holds_no_place_and_had_as_many_bytes_as_it_had(store: JobStore) -> None:
    ask(store, "a")
    assert store.admissions.settle(LOCAL_TENANT, "a", size_bytes=77)
    assert not store.admissions.settle(LOCAL_TENANT, "a", size_bytes=55)
    assert (usage(store).photos, usage(store).jobs, usage(store).size_bytes) == (1, 0, 77)


def test_the_place_of_a_request_that_died_is_free_after_its_lease(store: JobStore, clock: FakeClock) -> None:
    limits = TenantLimits(open_jobs=1, open_batches=1)
    take = Take(jobs=1, batches=1)
    assert ask(store, "a", take, limits).refused is None
    clock.advance(LEASE_S / 2)
    assert store.admissions.keep(LOCAL_TENANT, "a", lease_s=LEASE_S)
    clock.advance(LEASE_S - 0.001)
    assert ask(store, "b", take, limits).refused is LimitKind.JOBS
    clock.advance(0.001)
    assert not store.admissions.keep(LOCAL_TENANT, "a", lease_s=LEASE_S)
    assert ask(store, "b", take, limits).refused is None
    assert not store.admissions.settle(LOCAL_TENANT, "a", size_bytes=0)


def test_open_jobs_are_counted_from_their_records(store: JobStore) -> None:
    records = [make_record() for _ in range(4)]
    for record in records:
        store.create(record)
    assert usage(store).jobs == 4
    store.claim(records[0].id, lease_s=LEASE_S, max_attempts=3)
    assert usage(store).jobs == 4
    store.settle(end(records[0], JobStatus.FAILED))
    store.drop(records[1].id, LOCAL_TENANT)
    assert usage(store).jobs == 2
    store.reopen(records[0].id, run=2)
    assert usage(store).jobs == 3
    assert usage(store, "other").jobs == 0
    limits = TenantLimits(open_jobs=4)
    assert admitted(store, "ab", PHOTO, limits) == ["a"]


def test_open_batches_are_counted_from_their_records(store: JobStore) -> None:
    batches = [make_batch(2), make_batch(1), make_batch(1, tenant="other")]
    items = [fill(store, batch) for batch in batches]
    assert (usage(store).batches, usage(store).jobs) == (2, 3)
    assert (usage(store, "other").batches, usage(store, "other").jobs) == (1, 1)
    for item in items[0]:
        store.settle(end(item, JobStatus.FAILED))
    assert (usage(store).batches, usage(store).jobs) == (1, 1)
    store.batches.unseal(batches[0].id)
    assert usage(store).batches == 2
    store.batches.seal(batches[0].id)
    assert usage(store).batches == 1
    store.batches.drop(batches[1].id)
    store.batches.drop_items([item.id for item in items[1]])
    assert (usage(store).batches, usage(store).jobs) == (0, 0)


def test_what_is_open_is_right_again_after_a_loss(any_core: AnyCore) -> None:
    core = any_core.make()
    core.reconciler.round()
    jobs = [core.accept() for _ in range(3)]
    core.accept_batch(["one", "two"])
    core.accept_batch(["three"])
    core.measure(jobs[0].id)
    before = usage(core.store)
    assert (before.jobs, before.batches) == (5, 2)
    core.lose_records()
    assert (usage(core.store).jobs, usage(core.store).batches) == (0, 0)
    core.reconciler.round()
    assert (usage(core.store).jobs, usage(core.store).batches) == (5, 2)


def test_items_take_the_places_that_were_held_for_them(store: JobStore) -> None:
    batch = make_batch(3)
    items = make_items(batch)
    ask(store, "a", Take(jobs=3, batches=1, batch_id=batch.id))
    assert (usage(store).jobs, usage(store).batches) == (3, 1)
    store.batches.create(batch)
    for item in items:
        assert (usage(store).jobs, usage(store).batches) == (3, 1)
        store.create(item)
    store.batches.seal(batch.id)
    assert (usage(store).jobs, usage(store).batches) == (3, 1)
    store.admissions.settle(LOCAL_TENANT, "a", size_bytes=0)
    assert (usage(store).jobs, usage(store).batches) == (3, 1)
