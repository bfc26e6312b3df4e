"""When what was deleted may be purged, what a purge covers, and what a receipt says of it."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.errors import DeletionNotFound, StorageUnavailable
from shared.jobs.batch_record import BatchRecord
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT, new_job_id
from shared.purges.erasers import Eraser, NothingToErase
from shared.purges.ledger import Purge, PurgeKind, PurgeLedger
from shared.purges.receipts import Receipt, find_receipt
from shared.purges.upkeep import PurgeDuty, PurgeRequests
from tests.core import Core

PROMISE_S = 900.0
LONGEST_SWEEP_S = 60.0


class Recorded:
    """An eraser that notes when it was called, and fails when told to."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.at_ms: list[int] = []
        self.fails = False

    def erase(self) -> None:
        if self.fails:
            raise StorageUnavailable("read-only")
        self.at_ms.append(self.core.clock())


class Upkeep:
    """What the upkeep process does about purges, at times that a test sets."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.requests = PurgeRequests(core.jobs)
        self.storage = Recorded(core)
        kinds: dict[PurgeKind, Eraser] = {PurgeKind.RECORDS: NothingToErase(), PurgeKind.STORAGE: self.storage}
        self.duties = [
            PurgeDuty(core.objects, core.settings, kind, eraser, core.clock) for kind, eraser in kinds.items()
        ]

    def ask(self) -> Counter[str]:
        began_ms = self.core.clock()
        self.core.reconciler.sweep()
        return self.requests.ask(began_ms)

    def purge(self) -> Counter[str]:
        return sum((duty.run() for duty in self.duties), Counter[str]())

    def pass_time(self, seconds: float, step_s: float = 10.0) -> None:
        for number in range(round(seconds / step_s)):
            self.core.clock.advance(step_s)
            self.core.reconciler.due()
            if number % round(LONGEST_SWEEP_S / step_s) == 0:
                self.ask()
            try:
                self.purge()
            except StorageUnavailable:
                continue


@pytest.fixture
def rebuilt(core: Core) -> Core:
    core.reconciler.round()
    return core


@pytest.fixture
def upkeep(rebuilt: Core) -> Upkeep:
    return Upkeep(rebuilt)


def receipt(core: Core, deleted: JobRecord | BatchRecord) -> Receipt:
    return find_receipt(core.jobs, deleted.tenant, deleted.id)


def deleted_job(core: Core) -> JobRecord:
    job = core.accept()
    core.jobs.delete(job.tenant, job.id)
    return job


def test_a_deletion_is_purged_from_both_stores_in_time(upkeep: Upkeep) -> None:
    core = upkeep.core
    job = deleted_job(core)
    deleted_ms = core.clock()
    assert receipt(core, job) == Receipt(job.id, deleted_ms, None, None)
    upkeep.pass_time(PROMISE_S)
    found = receipt(core, job)
    assert found.records_ms is not None
    assert found.storage_ms is not None
    assert deleted_ms < upkeep.storage.at_ms[0] <= found.storage_ms <= deleted_ms + PROMISE_S * 1000


def test_a_deletion_just_after_a_purge_is_purged_in_time_too(upkeep: Upkeep) -> None:
    core = upkeep.core
    deleted_job(core)
    while not upkeep.storage.at_ms:
        upkeep.pass_time(10)
    later = deleted_job(core)
    upkeep.pass_time(PROMISE_S)
    found = receipt(core, later)
    assert found.storage_ms is not None
    assert found.storage_ms >= upkeep.storage.at_ms[1] > found.deleted_ms


def test_a_batch_is_purged_in_time(upkeep: Upkeep) -> None:
    core = upkeep.core
    batch = core.accept_batch(["a", "b"])
    core.batches.delete(batch.tenant, batch.id)
    deleted_ms = core.clock()
    assert receipt(core, batch).storage_ms is None
    upkeep.pass_time(PROMISE_S)
    found = receipt(core, batch)
    assert found.storage_ms is not None
    assert found.storage_ms <= deleted_ms + PROMISE_S * 1000
    assert core.stored("uploads/") == []


def test_no_purge_covers_a_deletion_whose_objects_are_not_deleted_yet(upkeep: Upkeep) -> None:
    core = upkeep.core
    job = deleted_job(core)
    core.clock.advance(LONGEST_SWEEP_S * 3)  # nobody has paid the debt
    assert upkeep.ask() == Counter()
    core.reconciler.due()
    core.clock.advance(LONGEST_SWEEP_S * 3)
    assert upkeep.ask() == Counter(purges_wanted=1)
    upkeep.purge()
    assert receipt(core, job).storage_ms is not None


def test_no_purge_covers_a_batch_whose_objects_are_not_deleted_yet(upkeep: Upkeep) -> None:
    core = upkeep.core
    batch = core.accept_batch(["a"])
    core.batches.delete(batch.tenant, batch.id)
    core.clock.advance(LONGEST_SWEEP_S * 3)
    assert upkeep.requests.ask(core.clock()) == Counter()  # without the sweep that purges it


def test_nothing_is_asked_while_records_are_rebuilt(upkeep: Upkeep) -> None:
    core = upkeep.core
    deleted_job(core)
    core.lose_records()  # and with them the debt
    core.clock.advance(PROMISE_S)
    assert upkeep.ask() == Counter()


def test_where_nothing_is_deleted_nothing_is_written_or_erased(upkeep: Upkeep) -> None:
    upkeep.core.accept()
    upkeep.pass_time(PROMISE_S)
    assert upkeep.core.stored("purges/") == []
    assert upkeep.storage.at_ms == []


def test_deletions_are_purged_once(upkeep: Upkeep) -> None:
    deleted_job(upkeep.core)
    upkeep.pass_time(PROMISE_S * 3)
    assert len(upkeep.storage.at_ms) == 1


def test_photos_are_purged_though_nobody_deletes_a_job(rebuilt: Core) -> None:
    eraser = Recorded(rebuilt)
    duty = PurgeDuty(rebuilt.objects, rebuilt.settings, PurgeKind.STORAGE, eraser, rebuilt.clock, unasked=True)
    for _ in range(1000):
        rebuilt.clock.advance(1)
        duty.run()
    assert len(eraser.at_ms) == 4
    assert rebuilt.stored("purges/") == []


def test_a_purge_that_fails_is_not_noted_and_is_done_again(upkeep: Upkeep) -> None:
    core = upkeep.core
    job = deleted_job(core)
    upkeep.storage.fails = True
    upkeep.pass_time(PROMISE_S)
    assert receipt(core, job).storage_ms is None
    assert receipt(core, job).records_ms is not None
    upkeep.storage.fails = False
    upkeep.pass_time(LONGEST_SWEEP_S)
    assert receipt(core, job).storage_ms is not None


def test_another_upkeep_asks_for_what_one_that_died_left(upkeep: Upkeep) -> None:
    core = upkeep.core
    job = deleted_job(core)
    upkeep.ask()
    successor = Upkeep(core)
    successor.pass_time(PROMISE_S)
    assert receipt(core, job).storage_ms is not None


def test_a_receipt_tells_of_the_first_purge_that_covers_it(rebuilt: Core) -> None:
    job = deleted_job(rebuilt)
    deleted_ms = rebuilt.clock()
    ledger = PurgeLedger(rebuilt.objects)
    for covers_ms, ended_ms in ((-1, 10), (0, 70), (500, 90)):
        ledger.note(PurgeKind.STORAGE, Purge(deleted_ms + covers_ms, deleted_ms + ended_ms))
    assert receipt(rebuilt, job) == Receipt(job.id, deleted_ms, None, deleted_ms + 70)


def test_receipts_are_of_one_tenant_and_of_what_was_deleted(rebuilt: Core) -> None:
    job, other = deleted_job(rebuilt), rebuilt.accept()
    for tenant, deleted_id in (("other", job.id), (LOCAL_TENANT, other.id), (LOCAL_TENANT, new_job_id())):
        with pytest.raises(DeletionNotFound):
            find_receipt(rebuilt.jobs, tenant, deleted_id)
    for not_an_id in ("", "x", f"../{job.tenant}/{job.id}", f"{job.id}/"):
        with pytest.raises(DeletionNotFound):
            find_receipt(rebuilt.jobs, LOCAL_TENANT, not_an_id)


def test_what_is_remembered_of_purges_outlives_tombstones_and_ends(upkeep: Upkeep) -> None:
    core = upkeep.core
    job = deleted_job(core)
    upkeep.pass_time(PROMISE_S)
    core.clock.advance(core.settings.retention_s + 86_400)
    assert upkeep.requests.forget_old() == Counter()
    assert receipt(core, job).storage_ms is not None
    core.clock.advance(2 * 86_400)
    assert upkeep.requests.forget_old() == Counter(purges_forgotten=2)
    assert core.stored("purges/") == ["purges/wanted"]
