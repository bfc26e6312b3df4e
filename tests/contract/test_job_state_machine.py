"""Random orders of everything that can happen to jobs, with every process dying anywhere, over both stores.

The model knows only what clients were told. Whatever the order: what has ended stays as it ended unless it is retried,
what was deleted stays deleted, and once faults stop, everything accepted ends.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Jobs
from hypothesis.stateful import RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from shared.admission.limits import TenantLimits
from shared.admission.store import NOTHING
from shared.errors import AlreadyFinished, JobNotFound, NotFinished, ObjectMissing, UploadGone
from shared.jobs.record import LEGAL_MOVES
from shared.jobs.store import Claim
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from tests.core import Core
from tests.orders import TIMES
from tests.tallies import assert_adds_up

WORKED_OUT = st.sampled_from([JobStatus.SUCCEEDED, JobStatus.REJECTED, JobStatus.FAILED])


class LifeOfJobs(RuleBasedStateMachine):
    make_core: ClassVar[Any] = Core
    jobs = Jobs("jobs")
    claims = Jobs("claims")

    @initialize()
    def start(self) -> None:
        self.core: Core = type(self).make_core()
        self.seen: dict[str, JobStatus] = {}
        self.deleted: set[str] = set()
        self.retried: set[str] = set()
        self.core.reconciler.round()

    # What clients do

    @rule(target=jobs, keep_image=st.booleans(), answered=st.booleans())
    def accept(self, keep_image: bool, answered: bool) -> str:
        record = self.core.accept(JobOptions(keep_image=keep_image))
        if not answered:  # killed after storing, before recording
            self.core.store.drop(record.id, LOCAL_TENANT)
            for cleanup in self.core.store.due_cleanups(10_000, grace_s=0):
                if cleanup.job_id == record.id:
                    self.core.store.cleaned(cleanup)
        self.seen[record.id] = JobStatus.QUEUED
        return record.id

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        with suppress(AlreadyFinished, JobNotFound):
            assert self.core.jobs.cancel(LOCAL_TENANT, job).status is JobStatus.CANCELLED

    @rule(job=jobs)
    def retry(self, job: str) -> None:
        with suppress(AlreadyFinished, NotFinished, UploadGone, JobNotFound):
            self.core.jobs.retry(LOCAL_TENANT, job)
            self.retried.add(job)

    @rule(job=jobs)
    def delete(self, job: str) -> None:
        with suppress(JobNotFound):
            self.core.jobs.delete(LOCAL_TENANT, job)
            self.deleted.add(job)

    # What workers do, and how they die

    @rule(target=claims)
    def take_a_message(self) -> Claim | None:
        job_id = self.core.doorbell.take(QueueName.INTERACTIVE)
        return self.core.jobs.claim(job_id) if job_id else None

    @rule(target=claims, job=jobs)
    def take_a_duplicate(self, job: str) -> Claim | None:
        return self.core.jobs.claim(job)

    @rule(claim=consumes(claims), status=WORKED_OUT)
    def finish(self, claim: Claim | None, status: JobStatus) -> None:
        if claim and self.core.jobs.read_upload(claim.record):
            self.core.jobs.finish(claim.record.ended(status, at_ms=self.core.clock()), b"{}")

    @rule(claim=claims, status=WORKED_OUT)
    def die_after_writing_the_outcome(self, claim: Claim | None, status: JobStatus) -> None:
        if claim:
            self.core.jobs.archive.write_outcome(claim.record.ended(status, at_ms=self.core.clock()), b"{}")

    @rule(claim=claims, status=WORKED_OUT)
    def die_before_paying_the_debt(self, claim: Claim | None, status: JobStatus) -> None:
        if claim:
            ended = self.core.jobs.archive.write_outcome(claim.record.ended(status, at_ms=self.core.clock()), b"{}")
            self.core.store.settle(ended)

    @rule(claim=consumes(claims), charge=st.booleans())
    def give_back(self, claim: Claim | None, charge: bool) -> None:
        if claim:
            self.core.jobs.give_back(claim, retry_after_s=1, charge=charge)

    # What befalls everyone

    @rule(seconds=st.sampled_from([1.0, 11.0, 41.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.core.clock.advance(seconds)

    @rule()
    def messages_are_lost(self) -> None:
        self.core.doorbell.rung.clear()

    @rule()
    def records_are_lost(self) -> None:
        self.core.lose_records()

    @rule(what=st.sampled_from(["round", "sweep", "audit"]))
    def upkeep(self, what: str) -> None:
        getattr(self.core.reconciler, what)()

    # What must hold

    @invariant()
    def what_is_open_is_what_the_records_say(self) -> None:
        admissions = self.core.store.admissions
        usage = admissions.admit(LOCAL_TENANT, "nobody", NOTHING, TenantLimits(), lease_s=1).usage
        records = filter(None, map(self.core.store.get, self.seen))
        assert usage.jobs == sum(not record.status.is_terminal for record in records)

    @invariant()
    def what_was_counted_adds_up(self) -> None:
        assert_adds_up(self.core.store)

    @invariant()
    def every_move_is_legal_and_nothing_deleted_returns(self) -> None:
        for job, before in list(self.seen.items()):
            try:
                now = self.core.find(job).status
            except JobNotFound:
                continue
            assert job not in self.deleted
            self.seen[job] = now
            if before.is_terminal and now is not before:
                assert before is JobStatus.FAILED
                assert job in self.retried
            elif now is not before:
                assert now in LEGAL_MOVES[before]

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        self.core.settle_down()
        for job in self.seen:
            keys = [key for key in self.core.stored() if job in key]
            if job in self.deleted:
                assert keys == [layout.tombstone_key(LOCAL_TENANT, job)]
                continue
            record = self.core.find(job)
            assert record.status.is_terminal
            assert (layout.upload_key(LOCAL_TENANT, job) in keys) == record.needs_upload
            if record.status is JobStatus.SUCCEEDED:
                assert self._result(job) in {b"{}", b'{"faces":[]}'}

    def _result(self, job: str) -> bytes:
        try:
            return self.core.jobs.result_json(self.core.find(job))
        except ObjectMissing as error:
            raise AssertionError(job) from error


@pytest.mark.timeout(300 * TIMES)
def test_random_lives_of_jobs(any_core: Any) -> None:
    machine = type("LifeOfJobsOverAStore", (LifeOfJobs,), {"make_core": staticmethod(any_core.make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=any_core.examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
