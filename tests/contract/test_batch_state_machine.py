"""Random orders of everything that can happen to batches, with every process dying anywhere, over both stores.

Whatever the order: the counts of a batch are those of its items' records, it is complete once for each run and only
when nothing is open, what was deleted stays deleted, and once faults stop, every item of every accepted batch ends,
and receivers have been told of every end, each once.
"""

from __future__ import annotations

import io
from contextlib import suppress
from itertools import islice
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from shared.admission.limits import TenantLimits
from shared.admission.store import NOTHING
from shared.clock import system_clock
from shared.deliveries.archive import DELIVERIES
from shared.deliveries.store import DeliveryQuery
from shared.errors import AlreadyFinished, BatchNotFound, JobNotFound, NotFinished, RecordsRebuilding, UploadGone
from shared.jobs.batch_record import BatchSource
from shared.jobs.batch_store import ItemQuery
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.lifecycle import Upload
from shared.jobs.manifest import ManifestFile, item_record
from shared.jobs.record import LEGAL_MOVES
from shared.jobs.store import Claim
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions, JobStatus, WebhookEvent
from shared.storage import layout
from tests.core import PHOTO, Core
from tests.orders import TIMES
from tests.tallies import assert_adds_up

WORKED_OUT = st.sampled_from([JobStatus.SUCCEEDED, JobStatus.REJECTED, JobStatus.FAILED])
TOLD = JobOptions(webhook_url="https://portal.example/", webhook_events=list(WebhookEvent))
REFUSED = (AlreadyFinished, BatchNotFound, JobNotFound, NotFinished, RecordsRebuilding, UploadGone)


class LifeOfBatches(RuleBasedStateMachine):
    make_core: ClassVar[Any] = Core
    batches = Bundle("batches")
    claims = Bundle("claims")

    @initialize()
    def start(self) -> None:
        self.core: Core = type(self).make_core()
        self.core.clock.now_ms = system_clock()  # deadlines follow from ids, which are made with the machine's time
        self.items: dict[str, list[str]] = {}
        self.seen: dict[str, JobStatus] = {}
        self.retried: set[str] = set()
        self.deleted_batches: set[str] = set()
        self.deleted_items: set[str] = set()
        self.core.reconciler.round()

    def begin(self, source: BatchSource) -> BatchWriter:
        return self.core.batches.begin(LOCAL_TENANT, source, TOLD)

    def noted(self, manifest: ManifestFile) -> str:
        batch_id = manifest.head.batch_id
        records = [item_record(manifest.head, item, index) for index, item in enumerate(manifest.items())]
        self.items[batch_id] = [record.id for record in records]
        self.seen |= {record.id: record.status for record in records}
        return batch_id

    # What clients do, and how the API dies

    @rule(target=batches, size=st.integers(1, 4), written=st.none() | st.integers(-1, 4))
    def accept(self, size: int, written: int | None) -> str:
        """Make a batch; the API may die when the manifest is there and so many records (-1: not the batch's own)."""
        with self.begin(BatchSource.UPLOAD) as writer:
            for _ in range(size):
                writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), TOLD)
            batch_id = self.noted(writer._manifest)
            if written is None:
                writer.commit()
                return batch_id
            head = writer._manifest.head
            self.core.batches.archive.keep(head, writer._manifest.finished())
            if written >= 0:
                self.core.store.batches.create(head.record())
                records = (item_record(head, item, index) for index, item in enumerate(writer._manifest.items()))
                self.core.store.batches.create_items(list(islice(records, written)))
            writer._is_over = True
        return batch_id

    @rule(size=st.integers(1, 3))
    def die_before_the_manifest(self, size: int) -> None:
        writer = self.begin(BatchSource.UPLOAD)
        for _ in range(size):
            writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), TOLD)
        writer._manifest.__exit__(None, None, None)

    @rule(target=batches, size=st.integers(1, 4), uploaded=st.integers(0, 4), is_started=st.booleans())
    def expect(self, size: int, uploaded: int, is_started: bool) -> str:
        with self.begin(BatchSource.PRESIGNED) as writer:
            for _ in range(size):
                writer.add_awaited(JobOptions(), size_bytes=len(PHOTO), content_type="image/jpeg")
            batch_id = self.noted(writer._manifest)
            writer.commit()
        for job_id in self.items[batch_id][:uploaded]:
            self.core.objects.put(layout.upload_key(LOCAL_TENANT, job_id, batch_id), PHOTO)
        if is_started:
            self.start_batch(batch_id)
        return batch_id

    @rule(batch=batches)
    def start_batch(self, batch: str) -> None:
        with suppress(*REFUSED):
            self.core.batches.start(LOCAL_TENANT, batch)

    @rule(batch=batches)
    def cancel(self, batch: str) -> None:
        with suppress(*REFUSED):
            self.core.batches.cancel(LOCAL_TENANT, batch)

    @rule(batch=batches)
    def die_after_marking_it_cancelled(self, batch: str) -> None:
        with suppress(*REFUSED):
            self.core.find_batch(batch)
            self.core.batches.archive.mark_cancelled(LOCAL_TENANT, batch, self.core.clock())
            self.core.store.batches.cancel(batch, at_ms=self.core.clock())

    @rule(batch=batches)
    def retry(self, batch: str) -> None:
        with suppress(*REFUSED):
            self.core.batches.retry(LOCAL_TENANT, batch)
            self.retried |= set(self.items[batch])

    @rule(batch=batches)
    def die_in_a_retry(self, batch: str) -> None:
        with suppress(*REFUSED):
            self.core.find_batch(batch)
            self.core.store.batches.unseal(batch)
            self.retried |= set(self.items[batch])
            self.core.jobs.retry(LOCAL_TENANT, self.items[batch][0])

    @rule(batch=batches, place=st.integers(0, 3))
    def cancel_item(self, batch: str, place: int) -> None:
        with suppress(*REFUSED):
            self.core.jobs.cancel(LOCAL_TENANT, self.items[batch][place % len(self.items[batch])])

    @rule(batch=batches, place=st.integers(0, 3))
    def delete_item(self, batch: str, place: int) -> None:
        job_id = self.items[batch][place % len(self.items[batch])]
        with suppress(*REFUSED):
            self.core.jobs.delete(LOCAL_TENANT, job_id)
            self.deleted_items.add(job_id)

    @rule(batch=batches, to_the_end=st.booleans())
    def delete(self, batch: str, to_the_end: bool) -> None:
        with suppress(*REFUSED):
            if to_the_end:
                self.core.batches.delete(LOCAL_TENANT, batch)
                self.deleted_batches.add(batch)
            else:  # killed after the tombstone, with one item dropped: nobody was told that it is deleted
                self.core.find_batch(batch)
                self.core.batches.archive.mark_deleted(LOCAL_TENANT, batch, self.core.clock())
                self.core.store.batches.drop(batch)
                self.core.store.batches.drop_items(self.items[batch][:1])
                self.core.reconciler.sweep()
                self.deleted_batches.add(batch)

    # What workers do, and how they die

    @rule(target=claims)
    def take_a_message(self) -> Claim | None:
        if self.core.doorbell.take(QueueName.BULK) is None:
            return None
        taken = self.core.store.take(QueueName.BULK, 2, grace_s=10)
        return self.core.jobs.claim(taken[0]) if taken else None

    @rule()
    def work(self) -> None:
        self.core.work_in_bulk()

    @rule(claim=consumes(claims), status=WORKED_OUT)
    def finish(self, claim: Claim | None, status: JobStatus) -> None:
        if claim and self.core.jobs.read_upload(claim.record):
            ended = claim.record.ended(status, at_ms=self.core.clock())
            self.core.jobs.finish(ended, b"{}")
            self.core.jobs.finish(ended, b"{}")

    @rule(claim=claims, status=WORKED_OUT)
    def die_after_writing_the_outcome(self, claim: Claim | None, status: JobStatus) -> None:
        if claim:
            self.core.jobs.archive.write_outcome(claim.record.ended(status, at_ms=self.core.clock()), b"{}")

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
        store = self.core.store
        usage = store.admissions.admit(LOCAL_TENANT, "nobody", NOTHING, TenantLimits(), lease_s=1).usage
        items = filter(None, (store.get(job_id) for job_ids in self.items.values() for job_id in job_ids))
        assert usage.jobs == sum(not item.status.is_terminal for item in items)
        batches = filter(None, map(store.batches.get, self.items))
        assert usage.batches == sum(batch.completed_ms is None for batch in batches)

    @invariant()
    def what_was_counted_adds_up(self) -> None:
        assert_adds_up(self.core.store)

    @invariant()
    def counts_are_those_of_the_records(self) -> None:
        for batch_id in self.items:
            batch = self.core.store.batches.get(batch_id)
            if batch is None:
                continue
            records = [self.core.store.get(job_id) for job_id in self.items[batch_id]]
            statuses = [record.status for record in records if record is not None]
            assert {status: count for status, count in batch.counts.items() if count} == {
                status: statuses.count(status) for status in statuses
            }
            assert [item.id for item in self.core.store.batches.items(ItemQuery(batch_id, 100))] == [
                record.id for record in records if record is not None
            ]

    @invariant()
    def a_batch_is_complete_once_for_each_run(self) -> None:
        for batch_id in self.items:
            batch = self.core.store.batches.get(batch_id)
            if batch is None:
                continue
            assert batch.completions == (batch.run if batch.completed_ms is not None else batch.run - 1)
            if batch.completed_ms is not None:
                assert batch.sealed
                assert batch.open_items == 0
                assert sum(batch.counts.values()) + batch.gone == batch.total

    @invariant()
    def every_move_is_legal_and_nothing_deleted_returns(self) -> None:
        for batch_id, job_ids in self.items.items():
            if batch_id in self.deleted_batches:
                with pytest.raises(BatchNotFound):
                    self.core.find_batch(batch_id)
            for job_id in job_ids:
                self._check_item(batch_id, job_id)

    def _check_item(self, batch_id: str, job_id: str) -> None:
        before = self.seen[job_id]
        try:
            now = self.core.find(job_id).status
        except JobNotFound:
            batch = self.core.store.batches.get(batch_id)
            if batch is not None and batch.sealed:  # else its records are still being written
                assert job_id in self.deleted_items
            return
        assert batch_id not in self.deleted_batches
        assert job_id not in self.deleted_items
        self.seen[job_id] = now
        if before.is_terminal and now is not before:
            assert before is JobStatus.FAILED
            assert job_id in self.retried
        elif now is not before and now is not JobStatus.AWAITING_UPLOAD:
            assert now in LEGAL_MOVES[before]

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        self.core.clock.advance(24 * 3600 + 120)
        self.core.settle_down()
        self.core.reconciler.sweep()
        assert self.core.reconciler.audit() == {}
        known = {layout.tombstone_key(LOCAL_TENANT, deleted) for deleted in self.deleted_batches | self.deleted_items}
        for batch_id, job_ids in self.items.items():
            if batch_id in self.deleted_batches:
                continue
            known |= {
                layout.batch_prefix(LOCAL_TENANT, batch_id) + name for name in ("manifest", "started", "cancelled")
            }
            batch = self.core.find_batch(batch_id)
            assert batch.completed_ms is not None
            self._check_told(batch_id, [WebhookEvent.BATCH_COMPLETED])
            assert batch.gone == len(self.deleted_items.intersection(job_ids))
            for job_id in set(job_ids) - self.deleted_items:
                record = self.core.find(job_id)
                assert record.status.is_terminal
                known |= {layout.outcome_key(LOCAL_TENANT, job_id, run) for run in range(1, record.run + 1)}
                self._check_told(
                    job_id, [ended.announced_event for ended, _ in self.core.jobs.archive.ends(LOCAL_TENANT, job_id)]
                )
                known |= {layout.rerun_key(LOCAL_TENANT, job_id, run) for run in range(2, record.run + 1)}
                if record.needs_upload:
                    known.add(layout.upload_key(LOCAL_TENANT, job_id, batch_id))
        stored = set(self.core.stored())
        assert {key for key in stored if not key.startswith(DELIVERIES)} <= known
        told = {key.split("/")[2].partition(".")[0] for key in stored if key.startswith(DELIVERIES)}
        gone = {job_id for batch_id in self.deleted_batches for job_id in self.items[batch_id]}
        assert told.isdisjoint(self.deleted_batches | self.deleted_items | gone)

    def _check_told(self, object_id: str, events: list[WebhookEvent | None]) -> None:
        """Every end is owed to the receiver, each once."""
        owed = self.core.desk.store.list_deliveries(DeliveryQuery(LOCAL_TENANT, 1000))
        assert sorted(found.event for found in owed if found.object_id == object_id) == sorted(filter(None, events))


@pytest.mark.timeout(600 * TIMES)
def test_random_lives_of_batches(any_core: Any) -> None:
    machine = type("LifeOfBatchesOverAStore", (LifeOfBatches,), {"make_core": staticmethod(any_core.make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=any_core.examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
