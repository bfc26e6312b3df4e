"""Batches made under an idempotency key: the manifest carries it through deaths and losses."""

from __future__ import annotations

import io

import pytest

from shared.errors import KeyTaken, RecordsUnavailable
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.idempotency import KEPT_S, LOCK_S, KeyMark, KeySlot, KnownRequest, Reservation
from shared.jobs.lifecycle import Upload
from shared.names import LOCAL_TENANT
from shared.schemas import JobOptions
from tests.core import PHOTO, Core

MARK = KeyMark(KeySlot.of(LOCAL_TENANT, "portal-1"), "print", "mine")
ANOTHER = "another"


@pytest.fixture
def core() -> Core:
    core = Core()
    core.reconciler.round()
    return core


def begin(core: Core) -> BatchWriter:
    writer = core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions(), extra={"whom": "to call"})
    writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions(reference="1"))
    return writer


def accept(core: Core) -> BatchRecord:
    assert reserve(core, MARK.token) is Reservation.RESERVED
    with begin(core) as writer:
        return writer.commit(MARK)


def reserve(core: Core, token: str = ANOTHER) -> Reservation | KnownRequest:
    return core.store.idempotency.reserve(MARK.slot, token, lock_s=LOCK_S)


def test_the_key_of_a_batch_is_known(core: Core) -> None:
    batch = accept(core)
    assert reserve(core) == KnownRequest(batch.id, "print")
    head = core.batches.archive.head(LOCAL_TENANT, batch.id)
    assert head is not None
    assert head.extra["whom"] == "to call"
    assert head.mark == KeyMark(MARK.slot, "print")


def test_the_key_of_a_batch_is_made_again_after_a_loss(core: Core) -> None:
    batch = accept(core)
    core.lose_records()
    core.reconciler.round()
    assert reserve(core) == KnownRequest(batch.id, "print")


def test_killed_between_the_manifest_and_the_key(core: Core) -> None:
    reserve(core, MARK.token)
    batch = accept(core)
    core.batches.forget(batch.id)  # as if neither the key nor a record had been written
    assert reserve(core, "killed") is Reservation.RESERVED
    core.reconciler.sweep()
    assert reserve(core) == KnownRequest(batch.id, "print")
    assert core.find_batch(batch.id).total == 1


def test_accepted_though_the_key_could_not_be_noted(core: Core) -> None:
    reserve(core, MARK.token)
    with begin(core) as writer:
        core.set_records_away(True)
        batch = writer.commit(MARK)
    with pytest.raises(RecordsUnavailable):
        reserve(core)
    core.set_records_away(False)
    core.reconciler.sweep()
    assert reserve(core) == KnownRequest(batch.id, "print")


def test_a_batch_whose_key_was_lost_is_taken_back(core: Core) -> None:
    reserve(core, "the quicker one")
    with pytest.raises(KeyTaken), begin(core) as writer:
        writer.commit(MARK)
    assert core.stored() == []
    core.reconciler.sweep()
    assert core.batches.store.due(10, grace_s=0) == []
    assert reserve(core) is Reservation.IN_FLIGHT


def test_deleting_a_batch_forgets_its_key(core: Core) -> None:
    batch = accept(core)
    core.batches.delete(LOCAL_TENANT, batch.id)
    assert reserve(core) is Reservation.RESERVED
    core.lose_records()
    core.reconciler.round()
    core.reconciler.sweep()
    assert reserve(core) is Reservation.RESERVED


def test_the_key_of_an_old_batch_is_not_made_again(core: Core) -> None:
    batch = accept(core)
    core.clock.now_ms = batch.created_ms + round(KEPT_S * 1000)
    core.lose_records()
    core.reconciler.round()
    assert core.find_batch(batch.id).id == batch.id
    assert reserve(core) is Reservation.RESERVED
