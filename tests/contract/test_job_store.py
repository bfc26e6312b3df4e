"""What every store of job records must do; the memory and the Redis one pass the same tests."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from shared.errors import RecordsUnavailable
from shared.jobs.record import JobRecord, new_record
from shared.jobs.redis_store import RedisJobStore
from shared.jobs.store import Claim, ClaimRefusal, Cleanup, CleanupKind, JobQuery, JobStore, Settlement
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import JobError, JobOptions, JobStatus
from tests.clock import FakeClock
from tests.contract.conftest import settings_beside

LEASE_S = 40.0


def make_record(options: JobOptions | None = None, queue: QueueName = QueueName.INTERACTIVE) -> JobRecord:
    return new_record(new_job_id(), LOCAL_TENANT, options or JobOptions(), retention_s=3600, queue=queue)


def claim(store: JobStore, job_id: str) -> Claim:
    claimed = store.claim(job_id, lease_s=LEASE_S, max_attempts=3)
    assert isinstance(claimed, Claim)
    return claimed


def end(record: JobRecord, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord:
    error = JobError(code="no_face", message="none") if status is JobStatus.REJECTED else None
    return record.ended(status, at_ms=record.created_ms + 5, error=error)


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


def test_queues_are_apart(store: JobStore, clock: FakeClock) -> None:
    record = make_record(queue=QueueName.BULK)
    store.create(record)
    clock.advance(3600)
    assert store.queued_count(QueueName.BULK) == 1
    assert store.queued_count(QueueName.INTERACTIVE) == 0
    assert store.due_doorbells(QueueName.BULK, 5) == [record.id]
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


def test_a_claim_whose_answer_was_lost_is_given_again(request: pytest.FixtureRequest) -> None:
    real = RedisJobStore(settings_beside(request.getfixturevalue("stores")))
    record = make_record()
    real.create(record)
    now = record.created_ms
    first = real._run("claim", record.id, now, now + 1000, "token", 3)
    assert real._run("claim", record.id, now, now + 1000, "token", 3) == first
    assert real._run("claim", record.id, now, now + 1000, "another", 3) == b"busy"
