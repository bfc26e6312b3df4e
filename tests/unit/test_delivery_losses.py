"""Deliveries when senders, records, storage or what they are about are lost: memory adapters, no request leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import pytest

from shared.deliveries.archive import delivery_key
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.deliveries.record import Attempt, DeliveryRecord, DeliveryStatus, Verdict
from shared.deliveries.store import DeliveryClaim, DeliveryQuery
from shared.errors import DeliveryNotFound, RecordsRebuilding
from shared.names import LOCAL_TENANT
from shared.storage import layout
from tests.clock import FakeClock
from tests.deliveries import BATCH_ID, Answers, Office, objects_of, store_of, stored

PENDING, DELIVERED, FAILED = DeliveryStatus


@pytest.fixture
def office() -> Office:
    office = Office()
    office.upkeep.rebuild_if_lost()
    return office


# Losses


def test_an_attempt_whose_sender_was_lost_is_made_again_and_the_log_says_so(office: Office) -> None:
    record = office.owe()
    assert office.desk.claim() is not None
    office.clock.advance(59)
    assert office.upkeep.due() == {}
    office.clock.advance(1)
    assert office.upkeep.due()["interrupted"] == 1
    assert office.send_due(Answers([200])) == 1
    assert office.log_of(record) == [(None, "interrupted"), (200, None)]
    attempt = office.find(record).attempts[0]
    assert (attempt.at_ms, attempt.duration_ms) == (office.clock() - 60_000, None)


@pytest.mark.parametrize("asked", ["again", "test"])
def test_what_a_client_has_asked_for_outlives_a_redis_that_goes_back_a_second(office: Office, asked: str) -> None:
    record = office.owe()
    assert office.send_due(Answers([410])) == 1
    store = store_of(office)
    kept = deepcopy(store._state)
    if asked == "again":
        office.desk.redeliver(record.tenant, record.id)
    else:
        record = office.desk.owe_test(record.tenant, "https://receiver.example/other")
    store._state = kept
    office.upkeep.audit()
    assert office.send_due(Answers([200])) == 1
    assert office.find(record).status is DELIVERED
    assert office.upkeep.audit() == {}


def test_a_delivery_that_no_record_tells_of_expires_all_the_same(office: Office) -> None:
    record = office.owe()
    store_of(office).drop(record.id)
    office.clock.advance(30 * 86_400)
    office.upkeep.audit()
    assert stored(office) == []


def test_what_ends_every_sender_is_given_up_in_the_end(office: Office) -> None:
    record = office.owe(expires_ms=office.clock() + 30 * 86_400_000)
    while office.find(record).status is PENDING:
        office.desk.claim()
        office.clock.advance(36_000 * 1.2)
        office.upkeep.due()
    assert office.log_of(record) == [(None, "interrupted")] * (3 + 8)


def test_the_log_outlives_the_records(office: Office) -> None:
    pending, ended = office.owe(), office.owe()
    office.send_due(Answers([500, 200]))
    before = {record.id: office.find(record) for record in (pending, ended)}
    store_of(office).forget_everything()
    with pytest.raises(RecordsRebuilding):
        office.find(pending)
    with pytest.raises(RecordsRebuilding):
        office.desk.list_deliveries(DeliveryQuery(LOCAL_TENANT, 10))
    assert office.upkeep.rebuild_if_lost() == {"restored": 1, "restored_ended": 1}
    assert {record.id: office.find(record) for record in (pending, ended)} == before
    office.clock.advance(5)
    assert office.send_due(Answers([200])) == 1


def test_records_lost_while_it_was_sent(office: Office) -> None:
    record = office.owe()

    def loses() -> int:
        store_of(office).forget_everything()
        return 200

    assert office.send_due(Answers([loses])) == 1
    office.upkeep.rebuild_if_lost()
    assert (office.find(record).status, office.log_of(record)) == (DELIVERED, [(200, None)])


@pytest.mark.parametrize("outage", ["records", "storage"])
def test_a_dependency_away_when_the_answer_came(office: Office, outage: str) -> None:
    record = office.owe()
    away = store_of(office) if outage == "records" else objects_of(office)

    def takes_away() -> int:
        away.away = True
        return 200

    client = Answers([takes_away])
    sender_claim = office.desk.claim()
    assert sender_claim is not None
    office.sender(client).deliver(sender_claim)
    away.away = False
    office.clock.advance(60)
    done = office.upkeep.due()
    assert done == ({"interrupted": 1} if outage == "records" else {"archived": 1})
    assert office.send_due(client) == 0
    office.clock.advance(60)
    office.upkeep.due()
    store_of(office).forget_everything()
    office.upkeep.rebuild_if_lost()
    assert (office.find(record).status, office.log_of(record)) == (DELIVERED, [(200, None)])


def test_a_body_that_cannot_be_read_now_costs_no_attempt(office: Office) -> None:
    record = office.owe()
    claim = office.desk.claim()
    assert claim is not None
    objects_of(office).away = True
    office.sender(Answers([200])).deliver(claim)
    objects_of(office).away = False
    assert office.send_due(Answers([200])) == 0
    office.clock.advance(10)
    assert office.send_due(Answers([200])) == 1
    assert office.log_of(record) == [(200, None)]


# Forgetting


def test_what_is_deleted_is_not_sent_and_leaves_nothing(office: Office) -> None:
    record, kept = office.owe(), office.owe()
    office.objects.put(layout.tombstone_key(LOCAL_TENANT, record.object_id), b"")
    office.desk.forget_about(LOCAL_TENANT, record.object_id)
    client = Answers([200])
    assert office.send_due(client) == 1
    assert client.sent[0][2]["webhook-id"] == kept.webhook_id
    assert stored(office) == [delivery_key(kept)]
    with pytest.raises(DeliveryNotFound):
        office.find(record)


def test_what_is_deleted_while_it_is_sent_does_not_come_back(office: Office) -> None:
    record = office.owe()

    def deletes() -> int:
        office.objects.put(layout.tombstone_key(LOCAL_TENANT, record.object_id), b"")
        office.desk.forget_about(LOCAL_TENANT, record.object_id)
        return 200

    office.send_due(Answers([deletes]))
    assert stored(office) == []
    office.upkeep.due()
    with pytest.raises(DeliveryNotFound):
        office.find(record)


def test_a_rebuild_brings_back_nothing_that_was_deleted_or_has_expired(office: Office) -> None:
    deleted = office.owe()
    expired = office.owe(expires_ms=office.clock() + 1000)
    office.objects.put(layout.tombstone_key(LOCAL_TENANT, deleted.object_id), b"")
    office.objects.put("deliveries/local/stray", b"")
    store_of(office).forget_everything()
    office.clock.advance(1)
    assert office.upkeep.rebuild_if_lost() == {}
    assert stored(office) == ["deliveries/local/stray"]
    with pytest.raises(DeliveryNotFound):
        office.find(expired)


def test_a_rebuild_brings_back_nothing_of_a_deleted_batch(office: Office) -> None:
    office.owe(batch_id=BATCH_ID)
    objects_of(office).put(layout.tombstone_key(LOCAL_TENANT, BATCH_ID), b"0")  # what its deletion did not come to yet
    store_of(office).forget_everything()
    office.upkeep.rebuild_if_lost()
    assert (office.list_all(), office.desk.claim(), stored(office)) == ([], None, [])


def test_a_redelivery_outlives_the_records(office: Office) -> None:
    record = office.owe()
    office.send_due(Answers([200]))
    office.clock.advance(1)
    office.desk.redeliver(LOCAL_TENANT, record.id)
    store_of(office).forget_everything()
    office.upkeep.rebuild_if_lost()
    assert office.send_due(Answers([200])) == 1
    assert office.log_of(record) == [(200, None), (200, None)]


class DeletesBetween(MemoryDeliveryStore):
    """A DELETE comes just before a record is written, and just after an attempt was noted."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.delete: Callable[[], None] = lambda: None

    def create(self, record: DeliveryRecord) -> bool:
        self.delete()
        return super().create(record)

    def settle(self, claim: DeliveryClaim, attempts: Sequence[Attempt], verdict: Verdict) -> DeliveryRecord | None:
        after = super().settle(claim, attempts, verdict)
        self.delete()
        return after


def deleting(office: Office, record: DeliveryRecord) -> DeletesBetween:
    def delete() -> None:
        office.objects.put(layout.tombstone_key(LOCAL_TENANT, record.object_id), b"")
        office.desk.forget_about(LOCAL_TENANT, record.object_id)

    assert isinstance(office.store, DeletesBetween)
    office.store.delete = delete
    return office.store


def test_a_deletion_in_the_middle_of_a_rebuild() -> None:
    office = Office(make_store=DeletesBetween)
    record = office.owe()
    store = deleting(office, record)
    store.forget_everything()
    office.upkeep.rebuild_if_lost()
    assert store.get(record.id) is None
    assert store.is_rebuilt()


def test_a_deletion_between_an_attempt_and_its_note_in_storage() -> None:
    office = Office(make_store=DeletesBetween)
    deleting(office, office.owe())
    assert office.send_due(Answers([200])) == 1
    assert stored(office) == []


def test_a_sender_that_is_slow_to_tell_storage_does_not_undo_what_came_after(office: Office) -> None:
    record = office.owe()
    office.send_due(Answers([500]))
    earlier = office.find(record)
    office.clock.advance(5)
    office.send_due(Answers([200]))
    office.desk.put_away(earlier, office.archive_body(record))
    office.clock.advance(15)
    office.upkeep.due()
    store_of(office).forget_everything()
    office.upkeep.rebuild_if_lost()
    assert office.log_of(record) == [(500, "status"), (200, None)]
    assert office.desk.claim() is None


def test_a_delivery_that_cannot_be_read_stops_no_other(office: Office) -> None:
    damaged, whole = office.owe(), office.owe()
    for _ in range(2):
        claim = office.desk.claim()
        assert claim is not None
        office.store.settle(claim, [Attempt(office.clock(), 200, 1, None)], Verdict(DELIVERED, 1, 0))
    objects_of(office).put(delivery_key(damaged), b"no delivery")
    office.clock.advance(15)
    office.upkeep.due()
    assert office.store.unarchived(10, grace_s=0) == [damaged.id]
    assert office.desk.archive.read(whole)[0].status is DELIVERED
    office.clock.advance(8 * 86_400)
    office.upkeep.due()
    assert stored(office) == []


def test_what_is_kept_long_enough_goes(office: Office) -> None:
    record = office.owe()
    office.clock.advance(7 * 86_400)
    with pytest.raises(DeliveryNotFound):
        office.find(record)
    assert office.upkeep.due()["expired"] == 1
    assert stored(office) == []


def test_former_secrets_are_deleted_once_they_sign_nothing(office: Office) -> None:
    secrets = office.desk.secrets
    for _ in range(3):
        secrets.rotate(LOCAL_TENANT)
        office.clock.advance(3600)
    kept = stored(office, "webhook-secrets/")
    assert office.upkeep.audit() == {}
    assert stored(office, "webhook-secrets/") == kept
    office.clock.advance(2 * 86_400)
    signing = secrets.signing(LOCAL_TENANT, "a")
    assert office.upkeep.audit()["secrets_forgotten"] == len(kept) - 1
    assert secrets.signing(LOCAL_TENANT, "b") == signing


def test_a_delivery_of_an_item_is_not_written_again_once_its_batch_is_deleted(office: Office) -> None:
    record = office.owe(batch_id=BATCH_ID)
    body = office.archive_body(record)
    objects_of(office).put(layout.tombstone_key(LOCAL_TENANT, BATCH_ID), b"1")
    office.desk.forget_about(LOCAL_TENANT, BATCH_ID)
    office.desk.archive.delete(record)  # as the purge of its batch does
    office.desk.put_away(record, body)  # a sender that stood still meanwhile
    assert stored(office) == []
