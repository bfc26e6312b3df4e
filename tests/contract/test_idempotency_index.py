"""What every index of idempotency keys does, in memory and in Redis."""

from __future__ import annotations

import secrets
import threading
from collections import Counter

import pytest

from shared.errors import KeyTaken, RecordsRebuilding
from shared.jobs.idempotency import (
    KEPT_S,
    LOCK_S,
    IdempotencyIndex,
    KeyMark,
    KeySlot,
    KnownRequest,
    Reservation,
    confirm_key,
    kept_until_ms,
)
from shared.jobs.store import JobStore
from shared.names import LOCAL_TENANT, new_batch_id, new_job_id
from tests.clock import FakeClock
from tests.contract.records import fill, make_batch, make_record

SLOT = KeySlot.of(LOCAL_TENANT, "order-7")
MINE, THEIRS = "mine", "theirs"


@pytest.fixture
def index(store: JobStore) -> IdempotencyIndex:
    assert store.end_rebuild(store.begin_rebuild())
    return store.idempotency


def until(clock: FakeClock) -> int:
    return clock() + round(KEPT_S * 1000)


def confirm(index: IdempotencyIndex, clock: FakeClock, object_id: str, token: str = MINE) -> bool:
    return index.confirm(KeyMark(SLOT, "print", token), object_id, until_ms=until(clock))


def restore(index: IdempotencyIndex, clock: FakeClock, object_id: str) -> None:
    index.restore(KeyMark(SLOT, "print"), object_id, until_ms=until(clock))


def reserve(index: IdempotencyIndex, token: str = MINE) -> Reservation | KnownRequest:
    return index.reserve(SLOT, token, lock_s=LOCK_S)


def test_a_new_key_is_held_by_one(index: IdempotencyIndex) -> None:
    assert reserve(index) is Reservation.RESERVED
    assert reserve(index, THEIRS) is Reservation.IN_FLIGHT
    assert reserve(index) is Reservation.RESERVED  # whoever holds it may say so again


def test_a_lock_is_over_in_time_and_can_be_renewed(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index)
    clock.advance(LOCK_S - 1)
    assert reserve(index) is Reservation.RESERVED
    clock.advance(LOCK_S - 1)
    assert reserve(index, THEIRS) is Reservation.IN_FLIGHT
    clock.advance(2)
    assert reserve(index, THEIRS) is Reservation.RESERVED
    assert reserve(index) is Reservation.IN_FLIGHT


def test_a_confirmed_key_is_known_to_everyone(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index)
    job_id = new_job_id()
    assert confirm(index, clock, job_id)
    known = KnownRequest(job_id, "print")
    assert [reserve(index), reserve(index, THEIRS), reserve(index)] == [known] * 3
    assert confirm(index, clock, job_id)  # said twice, as after a lost answer


def test_a_confirmed_key_outlives_the_lock_and_ends_after_its_time(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index)
    confirm(index, clock, new_job_id())
    clock.advance(KEPT_S - 1)
    assert isinstance(reserve(index, THEIRS), KnownRequest)
    clock.advance(1)
    assert reserve(index, THEIRS) is Reservation.RESERVED


def test_a_lost_lock_is_not_confirmed(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index)
    clock.advance(LOCK_S)
    assert reserve(index, THEIRS) is Reservation.RESERVED
    assert not confirm(index, clock, new_job_id())
    other = new_job_id()
    assert confirm(index, clock, other, THEIRS)
    assert not confirm(index, clock, new_job_id())
    assert reserve(index) == KnownRequest(other, "print")


def test_a_lock_that_ran_out_and_that_nobody_took_is_confirmed(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index)
    clock.advance(LOCK_S)
    assert confirm(index, clock, new_job_id())


def test_a_mark_that_is_no_ones_is_refused_by_name(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index, THEIRS)
    with pytest.raises(KeyTaken):
        confirm_key(index, KeyMark(SLOT, "print", MINE), make_record())


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_released_key_is_new(index: IdempotencyIndex, clock: FakeClock, confirmed: bool) -> None:
    reserve(index)
    if confirmed:
        confirm(index, clock, new_job_id())
    index.release(SLOT, THEIRS)
    assert reserve(index, THEIRS) is not Reservation.RESERVED
    index.release(SLOT, MINE)
    index.release(SLOT, MINE)
    assert reserve(index, THEIRS) is Reservation.RESERVED


@pytest.mark.parametrize("object_id", [new_job_id(), new_batch_id()])
def test_a_forgotten_object_takes_its_key_with_it(index: IdempotencyIndex, clock: FakeClock, object_id: str) -> None:
    reserve(index)
    confirm(index, clock, object_id)
    index.forget(new_job_id())
    assert isinstance(reserve(index, THEIRS), KnownRequest)
    index.forget(object_id)
    index.forget(object_id)
    assert reserve(index, THEIRS) is Reservation.RESERVED


def test_forgetting_an_object_leaves_the_key_to_a_later_one(index: IdempotencyIndex, clock: FakeClock) -> None:
    first, second = new_job_id(), new_job_id()
    confirm(index, clock, first)
    clock.advance(KEPT_S)
    confirm(index, clock, second)
    index.forget(first)
    assert reserve(index) == KnownRequest(second, "print")


def test_dropping_a_record_forgets_its_key(store: JobStore, index: IdempotencyIndex, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    confirm(index, clock, record.id)
    store.drop(record.id, record.tenant)
    assert reserve(index, THEIRS) is Reservation.RESERVED
    index.release(SLOT, THEIRS)
    batch = make_batch(2)
    fill(store, batch)
    confirm(index, clock, batch.id)
    store.batches.drop(batch.id)
    assert reserve(index, THEIRS) is Reservation.RESERVED


def test_dropping_what_has_no_key_leaves_all_keys(store: JobStore, index: IdempotencyIndex, clock: FakeClock) -> None:
    confirm(index, clock, new_job_id())
    record = make_record()
    store.create(record)
    store.drop(record.id, record.tenant)
    assert isinstance(reserve(index), KnownRequest)


def test_what_storage_says_stands_over_a_lock(index: IdempotencyIndex, clock: FakeClock) -> None:
    reserve(index)
    job_id = new_job_id()
    restore(index, clock, job_id)
    assert reserve(index) == KnownRequest(job_id, "print")
    assert confirm(index, clock, job_id)  # its holder was alive after all
    assert not confirm(index, clock, new_job_id())


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_objects_in_storage_the_later_stands(index: IdempotencyIndex, clock: FakeClock, turned: bool) -> None:
    earlier, later = sorted([new_job_id(), new_job_id()])
    for object_id in (later, earlier) if turned else (earlier, later):
        restore(index, clock, object_id)
    assert reserve(index) == KnownRequest(later, "print")
    index.forget(earlier)
    assert reserve(index) == KnownRequest(later, "print")


def test_what_was_confirmed_stands_over_what_storage_says(index: IdempotencyIndex, clock: FakeClock) -> None:
    refused, told, dead = sorted([new_job_id() for _ in range(3)])
    reserve(index)
    confirm(index, clock, told)
    restore(index, clock, refused)
    restore(index, clock, dead)
    assert reserve(index) == KnownRequest(told, "print")


def test_what_is_over_by_now_is_not_noted(index: IdempotencyIndex, clock: FakeClock) -> None:
    index.restore(KeyMark(SLOT, "print"), new_job_id(), until_ms=clock())
    assert index.confirm(KeyMark(SLOT, "print", MINE), new_job_id(), until_ms=clock())
    assert reserve(index, THEIRS) is Reservation.RESERVED


@pytest.mark.parametrize("other", [KeySlot.of("another", "order-7"), KeySlot.of(LOCAL_TENANT, "order-8")])
def test_keys_of_others_are_others(index: IdempotencyIndex, clock: FakeClock, other: KeySlot) -> None:
    reserve(index)
    confirm(index, clock, new_job_id())
    assert index.reserve(other, THEIRS, lock_s=LOCK_S) is Reservation.RESERVED
    index.release(other, THEIRS)
    assert isinstance(reserve(index), KnownRequest)


def test_nothing_is_reserved_before_the_records_are_complete(store: JobStore, clock: FakeClock) -> None:
    with pytest.raises(RecordsRebuilding):
        reserve(store.idempotency)
    restore(store.idempotency, clock, job_id := new_job_id())
    token = store.begin_rebuild()
    with pytest.raises(RecordsRebuilding):
        reserve(store.idempotency)
    assert store.end_rebuild(token)
    assert reserve(store.idempotency) == KnownRequest(job_id, "print")


def test_of_many_at_once_one_holds_the_key(index: IdempotencyIndex) -> None:
    start = threading.Barrier(8)
    answers: list[Reservation | KnownRequest] = []

    def compete() -> None:
        start.wait()
        answers.append(reserve(index, secrets.token_hex(8)))

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {Reservation.RESERVED: 1, Reservation.IN_FLIGHT: 7}


def test_a_key_is_kept_for_a_day_or_as_long_as_what_it_made() -> None:
    day_ms = 24 * 3600 * 1000
    assert kept_until_ms(5, 5 + 7 * day_ms) == 5 + day_ms
    assert kept_until_ms(5, 5 + day_ms // 2) == 5 + day_ms // 2


def test_no_key_is_written_down() -> None:
    assert "order-7" not in str(SLOT)
    assert KeyMark.from_kept(LOCAL_TENANT, KeyMark(SLOT, "print", MINE).as_kept()) == KeyMark(SLOT, "print")
