"""The life of a job over memory adapters: every write that may be the last, and every meeting of two writers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import (
    AlreadyFinished,
    JobNotFound,
    NotFinished,
    RecordsRebuilding,
    RecordsSilent,
    RecordsUnavailable,
    StorageUnavailable,
    UploadGone,
)
from shared.jobs.store import Claim, JobQuery
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import PHOTO, Core
from tests.late_writes import WritesLate


def no_deletion(*_: str) -> None:
    raise StorageUnavailable


def claimed(core: Core, job_id: str) -> Claim:
    claim = core.jobs.claim(job_id)
    assert claim is not None
    return claim


def test_an_accepted_photo_is_stored_recorded_and_rung_for(core: Core) -> None:
    record = core.accept()
    assert core.objects.get(layout.upload_key(LOCAL_TENANT, record.id)) == PHOTO
    assert core.store.get(record.id) == record
    assert core.doorbell.rung[QueueName.INTERACTIVE] == [record.id]
    assert record.expires_ms - record.created_ms == 7 * 24 * 3600 * 1000


def test_options_are_kept_only_when_there_is_something_to_keep(core: Core) -> None:
    core.accept()
    record = core.accept(JobOptions(reference="r"))
    assert core.stored(layout.OPTIONS) == [layout.options_key(LOCAL_TENANT, record.id)]


def test_without_storage_nothing_is_accepted(core: Core) -> None:
    core.objects.away = True
    with pytest.raises(StorageUnavailable):
        core.accept()
    core.objects.away = False
    assert core.stored() == []
    assert not core.doorbell.rung[QueueName.INTERACTIVE]


def test_a_refused_photo_that_is_written_after_its_deletion_is_never_measured() -> None:
    core = Core(objects=WritesLate(layout.UPLOADS))
    core.reconciler.round()
    with pytest.raises(StorageUnavailable):
        core.accept(JobOptions(reference="r"))
    assert len(core.stored(layout.UPLOADS)) == 1
    core.settle_down()
    assert core.jobs.list_jobs(JobQuery(LOCAL_TENANT, 10)) == []
    assert core.stored(layout.UPLOADS) == []


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.REJECTED])
def test_an_end_with_a_long_head_outlives_the_records(core: Core, status: JobStatus) -> None:
    job = core.accept(JobOptions(webhook_url="https://hooks.example.com/" + 1500 * "\u8a66", reference=128 * "\u8a66"))
    assert core.work(status) is not None
    core.lose_records()
    core.settle_down()
    assert core.find(job.id).status is status
    assert core.find(job.id).options == job.options


def test_a_failed_photo_whose_deletion_is_owed_is_not_run_again(core: Core) -> None:
    job = core.accept(JobOptions(measure_and_delete=True))
    for _ in range(core.settings.max_attempts):
        claimed(core, job.id)
        core.clock.advance(core.settings.lease_s + 1)
    delete, core.objects.delete = core.objects.delete, no_deletion  # type: ignore[method-assign]
    core.jobs.give_up_if_exhausted(job.id)
    core.objects.delete = delete  # type: ignore[method-assign]
    assert len(core.stored(layout.UPLOADS)) == 1
    with pytest.raises(UploadGone):
        core.jobs.retry(LOCAL_TENANT, job.id)
    assert core.find(job.id).status is JobStatus.FAILED


def test_without_records_nothing_is_accepted_and_nothing_stays(core: Core) -> None:
    core.set_records_away(True)
    with pytest.raises(RecordsUnavailable):
        core.accept(JobOptions(reference="r"))
    assert core.stored() == []


@pytest.mark.parametrize(("kind", "reads"), [(RecordsUnavailable, 1), (RecordsSilent, 0)])
def test_records_that_were_silent_for_seconds_are_not_asked_again(
    core: Core, monkeypatch: pytest.MonkeyPatch, kind: type[RecordsUnavailable], reads: int
) -> None:
    asked: list[str] = []

    def create(*_: object) -> None:
        raise kind

    monkeypatch.setattr(type(core.store), "create", create)
    monkeypatch.setattr(type(core.store), "get", lambda _, job_id: asked.append(job_id))
    with pytest.raises(kind):
        core.accept()
    assert len(asked) == reads
    assert core.stored() == []


def test_without_the_doorbell_the_photo_is_accepted_all_the_same(core: Core) -> None:
    core.doorbell.away = True
    record = core.accept()
    core.doorbell.away = False
    core.settle_down()
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_the_upload_goes_once_the_outcome_is_written(core: Core) -> None:
    record = core.accept()
    core.work()
    assert core.stored() == [layout.outcome_key(LOCAL_TENANT, record.id, 1)]
    assert core.jobs.result_json(core.find(record.id)) == b'{"faces":[]}'


def test_a_kept_upload_stays(core: Core) -> None:
    record = core.accept(JobOptions(keep_image=True))
    core.work()
    assert layout.upload_key(LOCAL_TENANT, record.id) in core.stored()


def test_the_second_worker_adopts_what_the_first_wrote(core: Core) -> None:
    record = core.accept()
    slow = claimed(core, record.id)
    core.clock.advance(core.settings.lease_s)
    quick = claimed(core, record.id)
    core.jobs.finish(quick.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b'"quick"')
    adopted = core.jobs.finish(slow.record.ended(JobStatus.REJECTED, at_ms=core.clock()))
    assert adopted.status is JobStatus.SUCCEEDED
    assert core.jobs.result_json(core.find(record.id)) == b'"quick"'


def test_a_stale_worker_may_be_first_and_then_everyone_has_its_result(core: Core) -> None:
    record = core.accept()
    slow = claimed(core, record.id)
    core.clock.advance(core.settings.lease_s)
    quick = claimed(core, record.id)
    core.jobs.finish(slow.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b'"slow"')
    core.jobs.finish(quick.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b'"quick"')
    assert core.jobs.result_json(core.find(record.id)) == b'"slow"'
    assert core.find(record.id).attempts == 1


def test_a_worker_that_comes_when_all_is_done_finds_nothing_to_do(core: Core) -> None:
    record = core.accept()
    late = claimed(core, record.id)
    core.clock.advance(core.settings.lease_s)
    core.jobs.ring(record)
    core.work()
    core.work()
    assert core.jobs.read_upload(late.record) is None
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_a_record_without_a_photo_is_dropped(core: Core) -> None:
    record = core.accept()
    core.objects.delete(layout.upload_key(LOCAL_TENANT, record.id))
    core.work()
    with pytest.raises(JobNotFound):
        core.find(record.id)


def test_cancelling_a_queued_job(core: Core) -> None:
    record = core.accept()
    cancelled = core.jobs.cancel(LOCAL_TENANT, record.id)
    assert cancelled.status is JobStatus.CANCELLED
    assert core.work() is None
    assert core.stored() == [layout.outcome_key(LOCAL_TENANT, record.id, 1)]


def test_a_worker_adopts_a_cancellation(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    core.jobs.cancel(LOCAL_TENANT, record.id)
    ended = core.jobs.finish(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    assert ended.status is JobStatus.CANCELLED
    assert core.find(record.id).status is JobStatus.CANCELLED


def test_a_cancellation_that_comes_second_says_so(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    # The outcome is written and the worker dies before the record hears of it.
    core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    with pytest.raises(AlreadyFinished):
        core.jobs.cancel(LOCAL_TENANT, record.id)
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def test_retry_gives_three_more_attempts(core: Core) -> None:
    record = core.accept()
    with pytest.raises(NotFinished):
        core.jobs.retry(LOCAL_TENANT, record.id)
    core.work(JobStatus.FAILED)
    reopened = core.jobs.retry(LOCAL_TENANT, record.id)
    assert (reopened.status, reopened.run, reopened.attempts) == (JobStatus.QUEUED, 2, 0)
    core.work()
    assert core.find(record.id).status is JobStatus.SUCCEEDED
    with pytest.raises(AlreadyFinished):
        core.jobs.retry(LOCAL_TENANT, record.id)


def test_retry_needs_the_photo(core: Core) -> None:
    record = core.accept()
    core.work(JobStatus.FAILED)
    core.objects.delete(layout.upload_key(LOCAL_TENANT, record.id))
    with pytest.raises(UploadGone):
        core.jobs.retry(LOCAL_TENANT, record.id)


def test_a_retry_survives_the_loss_of_all_records(core: Core) -> None:
    record = core.accept()
    core.work(JobStatus.FAILED)
    core.jobs.retry(LOCAL_TENANT, record.id)
    core.lose_records()
    assert core.find(record.id).status is JobStatus.QUEUED
    core.settle_down()
    assert core.find(record.id).status is JobStatus.SUCCEEDED
    assert core.find(record.id).run == 2


def test_a_deleted_job_is_gone_everywhere_but_for_its_tombstone(core: Core) -> None:
    record = core.accept(JobOptions(reference="r", keep_image=True))
    core.work()
    core.jobs.delete(LOCAL_TENANT, record.id)
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]
    with pytest.raises(JobNotFound):
        core.find(record.id)
    with pytest.raises(JobNotFound):
        core.jobs.delete(LOCAL_TENANT, record.id)


def test_a_worker_that_finishes_a_deleted_job_deletes_what_it_wrote(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    core.jobs.delete(LOCAL_TENANT, record.id)
    core.jobs.finish(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]


def test_a_deleted_job_stays_deleted_after_the_loss_of_all_records(core: Core) -> None:
    record = core.accept(JobOptions(keep_image=True))
    core.work()
    upload = core.objects.get(layout.upload_key(LOCAL_TENANT, record.id))
    core.jobs.delete(LOCAL_TENANT, record.id)
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), upload)  # it reappears
    core.lose_records()
    with pytest.raises(JobNotFound):
        core.find(record.id)
    core.settle_down()
    with pytest.raises(JobNotFound):
        core.find(record.id)
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]


def test_reads_fall_through_to_storage_and_lists_say_that_they_cannot(core: Core) -> None:
    done, waiting = core.accept(JobOptions(reference="done")), core.accept(JobOptions(reference="waiting"))
    core.work()
    before = core.find(done.id)
    core.lose_records()
    assert core.find(done.id) == before
    # What storage cannot know of a job that waits is when it was accepted to the millisecond: its id says it.
    assert core.find(waiting.id) == waiting
    with pytest.raises(RecordsRebuilding):
        core.jobs.list_jobs(JobQuery(LOCAL_TENANT, 10))
    core.reconciler.round()
    assert [record.id for record in core.jobs.list_jobs(JobQuery(LOCAL_TENANT, 10))] == [waiting.id, done.id]


def test_another_tenants_job_is_not_there(core: Core) -> None:
    record = core.accept()
    for ask in (core.jobs.find, core.jobs.cancel, core.jobs.retry, core.jobs.delete):
        with pytest.raises(JobNotFound):
            ask("another", record.id)


@pytest.mark.parametrize("job_id", ["", "job_", "job_x/../y", "*", new_job_id().upper(), new_job_id() + "0"])
def test_what_is_no_id_is_not_looked_for(core: Core, job_id: str) -> None:
    core.set_records_away(True)
    core.objects.away = True
    with pytest.raises(JobNotFound):
        core.find(job_id)


def test_giving_back_charges_bugs_and_not_dependencies(core: Core) -> None:
    record = core.accept()
    for _ in range(5):
        core.jobs.give_back(claimed(core, record.id), retry_after_s=0, charge=False)
    assert core.find(record.id).attempts == 0
    for _ in range(3):
        core.jobs.give_back(claimed(core, record.id), retry_after_s=0, charge=True)
    ended = core.find(record.id)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "processing_failed"
    assert layout.upload_key(LOCAL_TENANT, record.id) in core.stored()


def test_giving_up_adopts_an_outcome_that_came_in_time(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    for _ in range(2):
        core.clock.advance(core.settings.lease_s)
        claim = claimed(core, record.id)
    core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.clock.advance(core.settings.lease_s)
    assert core.jobs.give_up_if_exhausted(record.id)
    assert core.find(record.id).status is JobStatus.SUCCEEDED


def used_up(core: Core, job_id: str) -> Claim:
    """Hold the third and last attempt at a job."""
    for _ in range(2):
        claimed(core, job_id)
        core.clock.advance(core.settings.lease_s)
    return claimed(core, job_id)


def test_a_job_that_somebody_holds_is_not_given_up(core: Core) -> None:
    record = core.accept()
    used_up(core, record.id)
    assert not core.jobs.give_up_if_exhausted(record.id)
    core.clock.advance(core.settings.lease_s)
    assert core.jobs.give_up_if_exhausted(record.id)


def test_a_stale_worker_that_fails_does_not_end_the_next_run(core: Core) -> None:
    record = core.accept()
    stale = used_up(core, record.id)
    core.clock.advance(core.settings.lease_s)
    core.jobs.give_up_if_exhausted(record.id)
    core.jobs.retry(LOCAL_TENANT, record.id)
    core.jobs.give_back(stale, retry_after_s=1, charge=True)
    assert (core.find(record.id).status, core.find(record.id).run) == (JobStatus.QUEUED, 2)


def test_a_stale_worker_that_fails_does_not_end_what_was_rebuilt(core: Core) -> None:
    record = core.accept()
    stale = used_up(core, record.id)
    core.lose_records()
    core.reconciler.round()
    claimed(core, record.id)
    core.jobs.give_back(stale, retry_after_s=1, charge=True)
    assert core.find(record.id).status is JobStatus.RUNNING


def test_an_expired_job_is_not_there_even_before_the_upkeep_comes(core: Core) -> None:
    record = core.accept()
    core.clock.now_ms = record.expires_ms
    with pytest.raises(JobNotFound):
        core.find(record.id)


def test_a_refused_outcome_that_is_not_there_is_not_taken_for_written(core: Core) -> None:
    class Refusing(MemoryObjectStore):
        def put_if_absent(self, key: str, body: bytes) -> bool:
            del key, body
            return False

    refusing = Core(objects=Refusing())
    claim = claimed(refusing, refusing.accept().id)
    with pytest.raises(StorageUnavailable):
        refusing.jobs.finish(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    assert refusing.find(claim.record.id).status is JobStatus.RUNNING


def test_a_retry_that_meets_a_delete_brings_nothing_back(core: Core) -> None:
    class DeletesMeanwhile(MemoryObjectStore):
        def put_if_absent(self, key: str, body: bytes) -> bool:
            if key.startswith(layout.RERUNS) and (owner := layout.owner_of(key)):
                unlucky.jobs.delete(*owner)
            return super().put_if_absent(key, body)

    unlucky = Core(objects=DeletesMeanwhile())
    record = unlucky.accept(JobOptions(reference="r"))
    unlucky.work(JobStatus.FAILED)
    with pytest.raises(JobNotFound):
        unlucky.jobs.retry(LOCAL_TENANT, record.id)
    assert unlucky.store.get(record.id) is None
    assert unlucky.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]


def test_a_debt_to_storage_is_paid_later_when_storage_is_away(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    ended = core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.store.settle(ended)
    assert layout.upload_key(LOCAL_TENANT, record.id) in core.stored()
    core.clock.advance(61)
    core.reconciler.round()
    assert layout.upload_key(LOCAL_TENANT, record.id) not in core.stored()


def test_attempts_of_an_adopted_outcome_are_its_own(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    ended = replace(claim.record, attempts=2).ended(JobStatus.SUCCEEDED, at_ms=core.clock())
    core.jobs.finish(ended, b"{}")
    assert core.find(record.id).attempts == 2


def test_what_a_worker_wrote_after_a_delete_and_before_it_was_killed_is_purged_by_the_upkeep(core: Core) -> None:
    record = core.accept()
    claim = claimed(core, record.id)
    core.jobs.delete(LOCAL_TENANT, record.id)
    core.jobs.archive.write_outcome(claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()), b"{}")
    core.clock.advance(core.settings.lease_s + core.settings.photo_time_limit_s)
    core.reconciler.round()
    assert core.stored() == [layout.tombstone_key(LOCAL_TENANT, record.id)]
