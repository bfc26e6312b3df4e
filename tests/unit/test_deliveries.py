"""The life of a delivery over memory adapters and a clock that stands still; no request leaves."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from shared.clock import system_clock
from shared.deliveries.record import Attempt, DeliveryStatus, is_delivery_id
from shared.deliveries.schedule import SCHEDULE_S, retry_after_s, verdict_after
from shared.deliveries.store import DeliveryQuery
from shared.errors import DeliveryNotFound, RecordsUnavailable, StorageUnavailable
from shared.names import LOCAL_TENANT, job_id_time
from shared.storage import layout
from shared.wire import Trouble
from tests.deliveries import BATCH_ID, BODY, URL, Answers, Office, a_delivery, an_event, objects_of, store_of, stored

PENDING, DELIVERED, FAILED = DeliveryStatus


@pytest.fixture
def office() -> Office:
    office = Office()
    office.upkeep.rebuild_if_lost()
    return office


# Owing


def test_an_event_is_owed_once_however_often_it_is_noticed(office: Office) -> None:
    event = an_event(office.clock)
    first = office.desk.owe(event, URL, BODY)
    office.clock.advance(3600)
    assert office.desk.owe(event, URL, b"{}") == first
    assert is_delivery_id(first.id)
    assert office.archive_body(first) == BODY
    assert stored(office) == [f"deliveries/local/{event.job_id}.{first.id}"]
    others = [
        office.desk.owe(event, URL + "2", BODY),
        office.desk.owe(replace(event, run=2), URL, BODY),
        office.desk.owe(replace(event, name="job.failed"), URL, BODY),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4
    assert others[0].webhook_id == first.webhook_id
    assert len({first.webhook_id, *(other.webhook_id for other in others[1:])}) == 3


def test_ids_sort_as_those_of_the_jobs_do(office: Office) -> None:
    record = office.owe()
    assert record.job_id is not None
    made = f"job_{record.id.removeprefix('dlv_')}"
    assert job_id_time(made) == job_id_time(record.job_id)


def test_a_batch_has_events_of_its_own_and_of_its_jobs(office: Office) -> None:
    own = office.owe(name="batch.completed", job_id=None, batch_id=BATCH_ID)
    of_job = office.owe(batch_id=BATCH_ID)
    assert own.object_id == BATCH_ID
    assert of_job.object_id == of_job.job_id
    listed = office.desk.list_deliveries(DeliveryQuery(LOCAL_TENANT, 10, batch_id=BATCH_ID))
    assert {record.id for record in listed} == {own.id, of_job.id}


def test_what_was_delivered_is_not_owed_again_after_a_loss(office: Office) -> None:
    event = an_event(office.clock)
    office.desk.owe(event, URL, BODY)
    client = Answers([200])
    assert office.send_due(client) == 1
    store_of(office).forget_everything()
    record = office.desk.owe(event, URL, BODY)
    assert (record.status, office.send_due(client)) == (DELIVERED, 0)


def test_nothing_is_owed_about_what_was_deleted(office: Office) -> None:
    event = an_event(office.clock)
    office.objects.put(layout.tombstone_key(LOCAL_TENANT, event.object_id), b"")
    record = office.desk.owe(event, URL, BODY)
    assert stored(office) == []
    with pytest.raises(DeliveryNotFound):
        office.find(record)


def test_a_test_that_was_refused_leaves_nothing(office: Office) -> None:
    store_of(office).away = True
    with pytest.raises(RecordsUnavailable):
        office.desk.owe_test(LOCAL_TENANT, URL)
    store_of(office).away = False
    assert stored(office) == []


def test_storage_away_means_not_owed(office: Office) -> None:
    event = an_event(office.clock)
    objects_of(office).away = True
    with pytest.raises(StorageUnavailable):
        office.desk.owe(event, URL, BODY)
    assert office.send_due(Answers([200])) == 0
    objects_of(office).away = False
    office.desk.owe(event, URL, BODY)
    assert office.send_due(Answers([200])) == 1


# The schedule


def test_every_attempt_is_on_the_stated_schedule(office: Office) -> None:
    record = office.owe()
    client = Answers([500])
    at_s = []
    began_ms = office.clock()
    while (found := office.find(record)).status is PENDING:
        assert found.next_ms is not None
        office.clock.now_ms = found.next_ms - 1
        assert office.send_due(client) == 0 or found.next_ms == began_ms
        office.clock.now_ms = found.next_ms
        office.send_due(client)
        at_s.append((office.clock() - began_ms) / 1000)
    pauses = [round(later - earlier) for earlier, later in zip([0, *at_s], at_s, strict=False)]
    assert pauses == [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000]
    assert office.log_of(record) == [(500, "status")] * 8
    assert office.find(record).status is FAILED
    ids = {headers["webhook-id"] for _, _, headers in client.sent}
    assert ids == {record.webhook_id}


@given(jitter=st.floats(0, 1), step=st.integers(0, 6), asked_s=st.floats(0, 1e9) | st.none())
def test_a_pause_is_never_shorter_than_stated_nor_than_asked_for_and_has_a_bound(
    jitter: float, step: int, asked_s: float | None
) -> None:
    record = replace(a_delivery(lambda: 0), step=step)
    verdict = verdict_after(
        record, Attempt(0, 503, 1, "status"), now_ms=0, retry_after_s=asked_s, jitter=lambda: jitter
    )
    assert verdict.next_ms is not None
    stated_ms = SCHEDULE_S[step + 1] * 1000
    asked_ms = min(36_000.0, asked_s or 0) * 1000
    assert max(stated_ms, asked_ms) - 1 <= verdict.next_ms <= max(1.2 * stated_ms, asked_ms) + 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Wed, 21 Oct 2015 07:29:00 GMT", 60),
        ("Wednesday, 21-Oct-15 07:29:00 GMT", 60),
        ("Wed Oct 21 07:29:00 2015", 60),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
        (None, None),
        ("Wed, 99 Oct 2015 07:29:00 GMT", None),
        ("Wed, 21 Oct 99999999999 07:29:00 GMT", None),
        ("Wed, 21 Oct 2015 99999999999999999999:29:00 GMT", None),
        ("Wed, 21 Oct 2015 07:29:00 +99999999999999999999", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now_ms=1_445_412_480_000) == seconds


def test_a_receiver_that_asks_for_time_gets_it(office: Office) -> None:
    record = office.owe()
    office.send_due(Answers([503], retry_after="90"))
    assert office.find(record).next_ms == office.clock() + 90_000


# What is sent, and what is noted


def test_what_was_taken_is_delivered_whatever_its_receiver_asks_for(office: Office) -> None:
    record = office.owe()
    office.send_due(Answers([200], retry_after="Wed, 21 Oct 99999999999 07:29:00 GMT"))
    assert office.log_of(record) == [(200, None)]


def test_what_is_sent_is_signed_and_the_same_each_time(office: Office) -> None:
    made, _ = office.desk.secrets.rotate(LOCAL_TENANT)
    office.clock.now_ms = system_clock()  # which the verifier goes by
    record = office.owe()
    client = Answers([500, Trouble.TIMEOUT, 200])
    for _ in range(3):
        office.send_due(client)
        office.clock.advance(301)
    office.clock.advance(-903)
    assert [(url, body) for url, body, _ in client.sent] == [(URL, BODY)] * 3
    _, _, headers = client.sent[0]
    assert headers["Content-Type"] == "application/json"
    assert Webhook(made.text).verify(BODY, dict(headers)) == orjson.loads(BODY)
    assert office.log_of(record) == [(500, "status"), (None, "timeout"), (200, None)]
    assert office.find(record).status is DELIVERED


def test_a_secret_asked_for_twice_does_not_end_the_one_that_receivers_have(office: Office) -> None:
    secrets = office.desk.secrets
    held, *lost = (secrets.rotate(LOCAL_TENANT)[0] for _ in range(3))
    assert secrets.signing(LOCAL_TENANT, "1") == [lost[1].text, lost[0].text, held.text]
    for _ in range(5):
        secrets.rotate(LOCAL_TENANT)
    assert len(secrets.signing(LOCAL_TENANT, "2")) == 4, "the header does not grow with whoever asks"
    office.clock.advance(86_401)
    assert len(secrets.signing(LOCAL_TENANT, "3")) == 1


def test_a_redirect_is_a_failure(office: Office) -> None:
    record = office.owe()
    office.send_due(Answers([302]))
    assert (office.log_of(record), office.find(record).status) == ([(302, "redirect")], PENDING)


def test_gone_ends_it_and_disables_the_target(office: Office) -> None:
    record, waiting = office.owe(), office.owe()
    client = Answers([410])
    assert office.send_due(client) == 1
    refused, other = sorted((office.find(record), office.find(waiting)), key=lambda found: found.status)
    assert (refused.status, other.status) == (FAILED, PENDING)
    assert other.next_ms == office.clock() + 86_400_000
    client.script = [200]
    assert office.send_due(client) == 0
    office.desk.redeliver(LOCAL_TENANT, refused.id)
    assert office.send_due(client) == 1
    assert office.store.disabled_targets(LOCAL_TENANT) == []
    assert office.upkeep.due()["released"] == 1
    assert office.send_due(client) == 1
    assert [office.find(found).status for found in (record, waiting)] == [DELIVERED, DELIVERED]


def test_a_disabled_target_is_asked_again_after_a_day(office: Office) -> None:
    office.owe()
    office.send_due(Answers([410]))
    waiting = office.owe()
    assert office.send_due(Answers([200])) == 0
    office.clock.advance(86_400)
    office.upkeep.due()
    assert office.send_due(Answers([200])) == 1
    assert office.find(waiting).status is DELIVERED


def test_a_redelivery_has_the_same_webhook_id_and_a_schedule_of_its_own(office: Office) -> None:
    record = office.owe()
    client = Answers([200, 500, 200])
    office.send_due(client)
    again = office.desk.redeliver(LOCAL_TENANT, record.id)
    assert (again.status, again.next_ms, again.round) == (PENDING, office.clock(), 2)
    office.send_due(client)
    assert office.find(record).next_ms == office.clock() + 5_000
    office.clock.advance(5)
    office.send_due(client)
    assert {headers["webhook-id"] for _, _, headers in client.sent} == {record.webhook_id}
    assert office.log_of(record) == [(200, None), (500, "status"), (200, None)]
    with pytest.raises(DeliveryNotFound):
        office.desk.redeliver("other", record.id)
