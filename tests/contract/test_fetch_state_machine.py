"""Whatever happens in whatever order: a photo at a URL that its server gives is measured once, or its job was ended.

Over the memory store and a real Redis alike.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from shared.errors import AlreadyFinished
from shared.fetches.desk import FetchDesk
from shared.fetches.store import FetchClaim
from shared.fetches.tickets import PhotoUrl
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.storage import layout
from shared.wire import Trouble
from tests.contract.conftest import AnyCore
from tests.core import Core
from tests.fetches import Answer, Given, Servers
from tests.tallies import assert_adds_up
from worker.fetching import Fetcher

TENANTS = (LOCAL_TENANT, "other")
ANSWERS: list[Answer] = [Given(), Given(404), Given(503, retry_after="20"), Trouble.TIMEOUT, Given(body=b"text")]


class Fetches(RuleBasedStateMachine):
    any_core: AnyCore

    def __init__(self) -> None:
        super().__init__()
        self.core: Core = self.any_core.make()
        self.desk = FetchDesk(self.core.jobs, jitter=lambda: 0.0)
        self.asked: dict[str, JobRecord] = {}
        self.batches: dict[str, BatchRecord] = {}
        self.deleted: set[str] = set()
        self.sleeping: list[FetchClaim] = []
        self.core.reconciler.round()

    def one_of(self, number: int) -> JobRecord:
        return self.asked[sorted(self.asked)[number % len(self.asked)]]

    def find(self, record: JobRecord) -> JobRecord:
        return self.core.jobs.find(record.tenant, record.id)

    def fetch(self, claim: FetchClaim, answer: Answer) -> None:
        Fetcher(self.desk, Servers([answer])).fetch(claim)

    @rule(tenant=st.sampled_from(TENANTS), host=st.sampled_from("ab"))
    def ask(self, tenant: str, host: str) -> None:
        photo = PhotoUrl(f"https://{host}.example/photo.jpg")
        record = self.core.jobs.accept(tenant, photo, JobOptions(), QueueName.INTERACTIVE)
        self.asked[record.id] = record

    @rule(tenant=st.sampled_from(TENANTS), count=st.integers(1, 3))
    def ask_for_batch(self, tenant: str, count: int) -> None:
        with self.core.batches.begin(tenant, BatchSource.URL, JobOptions()) as writer:
            for number in range(count):
                writer.add_awaited(JobOptions(), url=f"https://a.example/{number}.jpg")
            batch = writer.commit()
        self.batches[batch.id] = batch
        for item in self.core.batches.items(tenant, batch.id, limit=10):
            self.asked[item.id] = item

    @rule(answer=st.sampled_from(ANSWERS))
    def fetch_one(self, answer: Answer) -> None:
        if claim := self.desk.claim():
            self.fetch(claim, answer)

    @rule()
    def stop_a_fetcher(self) -> None:
        if claim := self.desk.claim():
            self.sleeping.append(claim)

    @precondition(lambda self: self.sleeping)
    @rule(answer=st.sampled_from(ANSWERS))
    def continue_a_fetcher(self, answer: Answer) -> None:
        self.fetch(self.sleeping.pop(), answer)

    @rule(has_stored=st.booleans())
    def kill_a_fetcher(self, has_stored: bool) -> None:
        claim = self.desk.claim()
        if claim and has_stored:
            record = claim.record
            self.core.objects.put(layout.upload_key(record.tenant, record.id, record.batch_id), b"\xff\xd8\xff photo")

    @rule()
    def measure(self) -> None:
        self.core.work()
        self.core.work_in_bulk()

    @rule(seconds=st.sampled_from([1, 6, 31, 61, 125]))
    def pass_time(self, seconds: int) -> None:
        self.core.clock.advance(seconds)
        self.core.reconciler.round()

    @rule()
    def sweep(self) -> None:
        self.core.reconciler.sweep()

    @rule(is_rebuilt=st.booleans())
    def lose_records(self, is_rebuilt: bool) -> None:
        self.core.lose_records()
        if is_rebuilt:
            self.core.reconciler.round()

    @precondition(lambda self: self.asked)
    @rule(number=st.integers(0, 20))
    def cancel(self, number: int) -> None:
        record = self.one_of(number)
        try:
            self.core.jobs.cancel(record.tenant, record.id)
        except AlreadyFinished:
            assert self.find(record).status.is_terminal

    @precondition(lambda self: self.asked)
    @rule(number=st.integers(0, 20))
    def delete(self, number: int) -> None:
        record = self.one_of(number)
        self.core.jobs.delete(record.tenant, record.id)
        del self.asked[record.id]
        self.deleted.add(record.id)

    @precondition(lambda self: self.batches)
    @rule(number=st.integers(0, 20))
    def cancel_batch(self, number: int) -> None:
        self.core.reconciler.round()
        batch = self.batches[sorted(self.batches)[number % len(self.batches)]]
        if self.core.batches.find(batch.tenant, batch.id).status is not BatchStatus.COMPLETED:
            self.core.batches.cancel(batch.tenant, batch.id)

    @invariant()
    def what_was_counted_adds_up(self) -> None:
        assert_adds_up(self.core.store)

    @invariant()
    def what_was_asked_for_is_known(self) -> None:
        for record in self.asked.values():
            assert self.find(record).status is not JobStatus.FAILED

    @invariant()
    def what_is_queued_has_its_photo(self) -> None:
        for record in self.asked.values():
            if self.find(record).status is JobStatus.QUEUED:
                assert self.core.jobs.archive.is_uploaded(record.tenant, record.id)

    def teardown(self) -> None:
        """Let servers that answer, and workers that measure, have their time; then nothing is open or left over."""
        core = self.core
        for _ in range(14):
            core.reconciler.round()
            while claim := self.desk.claim():
                self.fetch(claim, Given())
            while core.work() or core.work_in_bulk():
                pass
            core.clock.advance(61)
        core.reconciler.sweep()
        core.reconciler.audit()
        for record in self.asked.values():
            assert self.find(record).status in {JobStatus.SUCCEEDED, JobStatus.REJECTED, JobStatus.CANCELLED}
        for job_id in self.deleted:
            assert core.store.get(job_id) is None
        for batch in self.batches.values():
            assert not core.batches.find(batch.tenant, batch.id).open_items
        assert core.stored("tickets/") + core.stored("uploads/") == []


def test_photos_at_urls_in_any_order_of_things(any_core: AnyCore) -> None:
    Fetches.any_core = any_core
    run_state_machine_as_test(
        Fetches, settings=settings(max_examples=any_core.examples // 2, stateful_step_count=30, deadline=None)
    )
