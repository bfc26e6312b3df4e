"""Whatever happens in whatever order: what is owed and not deleted comes to a receiver that takes it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.deliveries.record import DeliveryRecord, DeliveryStatus
from shared.deliveries.store import DeliveryClaim
from shared.names import LOCAL_TENANT
from shared.storage import layout
from shared.wire import Trouble
from tests.deliveries import BODY, URL, Answers, Office, an_event, objects_of, store_of, stored
from tests.orders import TIMES

NEVER_MS = 4_000_000_000_000
JOB_IDS = [f"job_01m83a000000000000000000{n:02d}" for n in range(3)]
"""Always the same: what is drawn must not hang on chance."""


class Deliveries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.events = [an_event(self.office.clock, job_id=job_id, expires_ms=NEVER_MS) for job_id in JOB_IDS]
        self.owed: dict[str, DeliveryRecord] = {}
        self.deleted: set[str] = set()
        self.received: set[str] = set()
        self.abandoned: list[DeliveryClaim] = []
        self.office.upkeep.rebuild_if_lost()

    def one_of_those_owed(self, number: int) -> DeliveryRecord:
        return self.owed[sorted(self.owed)[number % len(self.owed)]]

    def send(self, claim: DeliveryClaim, answer: int | Trouble) -> None:
        client = Answers([answer])
        self.office.sender(client).deliver(claim)
        if answer == 200:
            self.received |= {headers["webhook-id"] for _, _, headers in client.sent}

    @rule(number=st.integers(0, 2), other_target=st.booleans())
    def owe(self, number: int, other_target: bool) -> None:
        event = self.events[number]
        record = self.office.desk.owe(event, URL + str(other_target), BODY)
        if event.object_id not in self.deleted:
            self.owed[record.id] = record

    @rule(answer=st.sampled_from([200, 302, 410, 500, Trouble.TIMEOUT]))
    def attempt(self, answer: int | Trouble) -> None:
        if claim := self.office.desk.claim():
            self.send(claim, answer)

    @rule()
    def stop_a_sender(self) -> None:
        if claim := self.office.desk.claim():
            self.abandoned.append(claim)

    @precondition(lambda self: self.abandoned)
    @rule(answer=st.sampled_from([200, 500]))
    def continue_a_sender(self, answer: int) -> None:
        self.send(self.abandoned.pop(), answer)

    @rule(hours=st.sampled_from([0.001, 0.02, 1, 11]))
    def pass_time(self, hours: float) -> None:
        self.office.clock.advance(hours * 3600)
        self.office.upkeep.due()

    @rule()
    def lose_records(self) -> None:
        store_of(self.office).forget_everything()

    @rule()
    def rebuild(self) -> None:
        self.office.upkeep.rebuild_if_lost()

    @rule(outage=st.sampled_from(["records", "storage"]))
    def answer_in_an_outage(self, outage: str) -> None:
        claim = self.office.desk.claim()
        if claim is None:
            return
        away = store_of(self.office) if outage == "records" else objects_of(self.office)

        def goes_away() -> int:
            away.away = True
            return 200

        client = Answers([goes_away])
        self.office.sender(client).deliver(claim)
        away.away = False
        self.received |= {headers["webhook-id"] for _, _, headers in client.sent}

    @precondition(lambda self: self.owed)
    @rule(number=st.integers(0, 5))
    def redeliver(self, number: int) -> None:
        self.office.upkeep.rebuild_if_lost()
        self.office.desk.redeliver(LOCAL_TENANT, self.one_of_those_owed(number).id)

    @precondition(lambda self: self.owed)
    @rule(number=st.integers(0, 5))
    def delete(self, number: int) -> None:
        object_id = self.one_of_those_owed(number).object_id
        self.office.objects.put(layout.tombstone_key(LOCAL_TENANT, object_id), b"")
        self.office.desk.forget_about(LOCAL_TENANT, object_id)
        self.deleted.add(object_id)
        self.owed = {key: record for key, record in self.owed.items() if record.object_id != object_id}

    @invariant()
    def what_counts_as_delivered_was_received(self) -> None:
        for record in self.owed.values():
            found = self.office.store.get(record.id)
            if found is not None and found.status is DeliveryStatus.DELIVERED:
                assert found.webhook_id in self.received
                assert any(attempt.is_success for attempt in found.attempts)

    def teardown(self) -> None:
        """Let a receiver that takes everything, and a person who sends again what failed, have their time."""
        office = self.office
        for _ in range(40):
            office.upkeep.rebuild_if_lost()
            office.upkeep.due()
            while claim := office.desk.claim():
                self.send(claim, 200)
            for record in self.owed.values():
                if office.find(record).status is DeliveryStatus.FAILED:
                    office.desk.redeliver(LOCAL_TENANT, record.id)
            office.clock.advance(3600)
        for record in self.owed.values():
            assert office.find(record).status is DeliveryStatus.DELIVERED
            assert record.webhook_id in self.received
        left = {record.object_id for record in self.owed.values()}
        assert {key.split("/")[2].partition(".")[0] for key in stored(office)} == left
        for object_id in self.deleted:
            assert office.store.of_object(LOCAL_TENANT, object_id) == []


Deliveries.TestCase.settings = settings(max_examples=60 * TIMES, stateful_step_count=30, deadline=None)
TestDeliveries = Deliveries.TestCase
