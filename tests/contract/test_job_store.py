"""What every store of job records must do with one job; the memory and the Redis one pass the same tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.jobs.announcements import Announcement
from shared.jobs.store import ClaimRefusal, JobQuery, JobStore, Settlement
from shared.names import LOCAL_TENANT, new_job_id
from shared.schemas import JobOptions, JobStatus, WebhookEvent
from tests.clock import FakeClock
from tests.contract.records import LEASE_S, claim, end, make_record


def test_a_record_comes_back_as_it_was_written(store: JobStore) -> None:
    options = JobOptions(reference="SKU-7/0042 Ω", max_faces=3, landmarks=False, keep_image=True)
    record = make_record(options)
    assert store.create(record)
    assert store.get(record.id) == record


def test_a_terminal_record_comes_back_as_it_was_written(store: JobStore) -> None:
    record = replace(end(make_record(), JobStatus.REJECTED), attempts=2, started_ms=17, run=4)
    assert store.create(record)
    assert store.get(record.id) == record
    assert store.queue_position(record) is None


def test_creating_twice_changes_nothing(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    claim(store, record.id)
    assert not store.create(record)
    found = store.get(record.id)
    assert found is not None
    assert found.status is JobStatus.RUNNING


def test_only_one_of_two_claims_is_given(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    first = claim(store, record.id)
    assert first.record.attempts == 1
    assert first.record.status is JobStatus.RUNNING
    assert store.claim(record.id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY


def test_a_claim_of_nothing_is_refused(store: JobStore) -> None:
    assert store.claim(new_job_id(), lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.ABSENT


def test_a_lease_that_ran_out_is_given_to_another_with_another_token(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    first = claim(store, record.id)
    clock.advance(LEASE_S - 0.001)
    assert store.claim(record.id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY
    clock.advance(0.001)
    second = claim(store, record.id)
    assert second.record.attempts == 2
    assert second.token != first.token
    assert second.record.started_ms == first.record.started_ms


def test_the_stale_worker_cannot_give_back_what_another_holds(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    stale = claim(store, record.id)
    clock.advance(LEASE_S)
    claim(store, record.id)
    assert not store.release(stale, retry_after_s=1, charge=False)
    found = store.get(record.id)
    assert found is not None
    assert found.status is JobStatus.RUNNING


def test_attempts_run_out(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    for _ in range(3):
        claim(store, record.id)
        clock.advance(LEASE_S)
    assert store.claim(record.id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.EXHAUSTED


@pytest.mark.parametrize(("charge", "attempts"), [(False, 0), (True, 1)])
def test_a_released_job_is_due_again_after_its_pause(
    store: JobStore, clock: FakeClock, charge: bool, attempts: int
) -> None:
    record = make_record()
    store.create(record)
    assert store.release(claim(store, record.id), retry_after_s=5, charge=charge)
    found = store.get(record.id)
    assert found is not None
    assert (found.status, found.attempts) == (JobStatus.QUEUED, attempts)
    clock.advance(4.999)
    assert store.due_doorbells(record.queue, 10) == []
    clock.advance(0.001)
    assert store.due_doorbells(record.queue, 10) == [record.id]


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_terminal])
def test_a_job_ends_once(store: JobStore, status: JobStatus) -> None:
    record = make_record()
    store.create(record)
    ended = end(claim(store, record.id).record, status)
    assert store.settle(ended) is Settlement.SETTLED
    assert store.get(record.id) == ended
    assert store.settle(end(ended, JobStatus.CANCELLED)) is Settlement.ALREADY
    assert store.get(record.id) == ended
    assert store.claim(record.id, lease_s=LEASE_S, max_attempts=3) is ClaimRefusal.BUSY


def test_a_queued_job_that_ends_leaves_the_queue(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    store.settle(end(record, JobStatus.CANCELLED))
    clock.advance(3600)
    assert store.queued_count(record.queue) == 0
    assert store.due_doorbells(record.queue, 10) == []
    assert store.expired_leases(10, grace_s=1) == []


def test_an_outcome_of_an_earlier_run_is_superseded(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    failed = end(claim(store, record.id).record, JobStatus.FAILED)
    store.settle(failed)
    assert store.reopen(record.id, run=2)
    assert store.settle(failed) is Settlement.SUPERSEDED
    found = store.get(record.id)
    assert found == record.reopened(2)


def test_an_outcome_of_a_later_run_than_known_is_believed(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    later = end(replace(record, run=2))
    assert store.settle(later) is Settlement.SETTLED
    assert store.get(record.id) == later


def test_an_outcome_without_a_record(store: JobStore) -> None:
    assert store.settle(end(make_record())) is Settlement.ABSENT


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.REJECTED, JobStatus.CANCELLED])
def test_only_a_failed_job_is_opened_again(store: JobStore, status: JobStatus) -> None:
    record = make_record()
    store.create(record)
    assert not store.reopen(record.id, run=2)
    store.settle(end(record, status))
    assert not store.reopen(record.id, run=2)


def test_two_retries_open_one_run(store: JobStore) -> None:
    record = make_record()
    store.create(record)
    store.settle(end(record, JobStatus.FAILED))
    assert store.reopen(record.id, run=2)
    assert not store.reopen(record.id, run=2)


def test_a_dropped_record_leaves_no_trace(store: JobStore, clock: FakeClock) -> None:
    record = make_record(JobOptions(reference="gone"))
    store.create(record)
    claim(store, record.id)
    store.drop(record.id, record.tenant)
    clock.advance(7200)
    assert store.get(record.id) is None
    assert store.missing([record.id]) == [record.id]
    assert store.expired_leases(10, grace_s=1) == []
    assert store.expired_jobs(10) == []
    for query in (
        JobQuery(LOCAL_TENANT, 10),
        JobQuery(LOCAL_TENANT, 10, status=JobStatus.RUNNING),
        JobQuery(LOCAL_TENANT, 10, reference="gone"),
    ):
        assert store.list_jobs(query) == []


def test_only_what_nobody_holds_is_exhausted(store: JobStore, clock: FakeClock) -> None:
    record = make_record()
    store.create(record)
    for _ in range(3):
        assert store.exhausted(record.id, max_attempts=3) is None
        held = claim(store, record.id)
        assert store.exhausted(record.id, max_attempts=3) is None
        clock.advance(LEASE_S)
    found = store.exhausted(record.id, max_attempts=3)
    assert found == held.record
    store.settle(end(held.record, JobStatus.FAILED))
    assert store.exhausted(record.id, max_attempts=3) is None
    assert store.exhausted(new_job_id(), max_attempts=3) is None


CALLED_BACK = JobOptions(webhook_url="https://portal.example/")


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_terminal])
def test_an_end_is_to_be_announced_until_somebody_did(store: JobStore, clock: FakeClock, status: JobStatus) -> None:
    record = make_record(CALLED_BACK)
    store.create(record)
    claim(store, record.id)
    assert store.due_announcements(9, grace_s=0) == []
    assert store.settle(end(record, status)) is Settlement.SETTLED
    told = Announcement(LOCAL_TENANT, record.id)
    assert store.due_announcements(9, grace_s=5) == []
    clock.advance(5)
    assert store.due_announcements(9, grace_s=5) == [told]
    assert store.due_announcements(0, grace_s=5) == []
    noted_ms = store.noted_ms(told)
    assert noted_ms == clock() - 5000
    store.announced(told, noted_ms - 1)
    assert store.due_announcements(9, grace_s=0) == [told]
    store.announced(told, noted_ms)
    store.announced(told, noted_ms)
    assert store.due_announcements(9, grace_s=0) == []
    assert store.noted_ms(told) is None


def test_an_end_that_comes_while_the_one_before_is_announced_stays_to_be_announced(
    store: JobStore, clock: FakeClock
) -> None:
    record = make_record(CALLED_BACK)
    store.create(record)
    store.settle(end(record, JobStatus.FAILED))
    told = Announcement(LOCAL_TENANT, record.id)
    noted_ms = store.noted_ms(told)
    assert noted_ms is not None
    clock.advance(0.001)
    store.reopen(record.id, run=2)
    store.settle(replace(end(record), run=2))
    store.announced(told, noted_ms)
    assert store.due_announcements(9, grace_s=0) == [told]


def test_an_end_that_nobody_asked_to_hear_of_is_not_announced(store: JobStore) -> None:
    only_failures = JobOptions(webhook_url="https://portal.example/", webhook_events=[WebhookEvent.JOB_FAILED])
    for options in (JobOptions(), only_failures):
        record = make_record(options)
        store.create(record)
        store.settle(end(record))
    assert store.due_announcements(9, grace_s=0) == []


def test_a_record_that_is_written_ended_is_to_be_announced_again(store: JobStore) -> None:
    record = end(make_record(CALLED_BACK))
    store.create(record)
    assert store.due_announcements(9, grace_s=0) == [Announcement(LOCAL_TENANT, record.id)]
