"""Photos at URLs: what each answer of a server leads to, and what survives whom."""

from __future__ import annotations

import logging
import threading

import pytest

from shared.errors import JobNotFound
from shared.fetches.desk import FetchDesk
from shared.fetches.tickets import PhotoUrl, decode_ticket, encode_ticket, photo_in_line
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.storage import layout
from shared.targets import Rule, TargetForbidden
from shared.wire import Trouble
from tests.core import PHOTO
from tests.fetches import URL, Answer, FetchCore, Given, Interrupted, Servers
from worker.fetching import Fetcher

BUSY = Given(503, b"")


@pytest.fixture
def core() -> FetchCore:
    made = FetchCore()
    made.reconciler.round()
    return made


def urls(count: int) -> list[str]:
    return [f"https://photos.example/{number}.jpg?signature=secret" for number in range(count)]


# What each answer leads to


def test_a_photo_is_fetched_and_measured(core: FetchCore) -> None:
    record = core.ask(options=JobOptions(max_faces=2))
    client = Servers()
    assert core.fetch_due(client) == 1
    assert client.asked == [URL]
    assert core.find(record.id) == record.queued()
    assert core.objects.get(layout.upload_key(LOCAL_TENANT, record.id)) == PHOTO
    assert core.stored("tickets/") == []
    assert core.doorbell.take(QueueName.INTERACTIVE) == record.id
    core.measure(record.id)
    assert core.code_of(record) == "succeeded"
    assert core.stored("uploads/") == []


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (Given(404), "fetch_failed", "the server answered 404."),
        (Given(403), "fetch_failed", "the server answered 403."),
        (Given(401), "fetch_failed", "the server answered 401."),
        (Given(410), "fetch_failed", "the server answered 410."),
        (Given(204), "fetch_failed", "the server answered 204."),
        (Given(206), "fetch_failed", "the server answered 206."),
        (Given(301), "fetch_failed", "the server answered 301, a redirect, which is not followed."),
        (Given(307), "fetch_failed", "the server answered 307, a redirect, which is not followed."),
        (Given(body=b""), "fetch_failed", "the server answered with nothing."),
        (Given(body=b"<html>sign in</html>"), "unsupported_format", "none of JPEG, PNG, WebP, HEIC or AVIF."),
        (Given(body=b"GIF89a"), "unsupported_format", "none of JPEG, PNG, WebP, HEIC or AVIF."),
        (Given(body=PHOTO.ljust(20_000_001)), "image_too_large", "The photo has more than 20 MB."),
        (TargetForbidden("10.0.0.7 is forbidden", Rule.PRIVATE), "fetch_forbidden", "may not be fetched from there"),
    ],
)
def test_an_answer_that_is_final(core: FetchCore, answer: Answer, code: str, says: str) -> None:
    record = core.ask()
    client = Servers([answer])
    assert core.fetch_due(client) == 1
    ended = core.find(record.id)
    assert ended.status is JobStatus.REJECTED
    assert (core.code_of(record), ended.attempts, ended.started_ms) == (code, 0, None)
    assert says in core.message_of(record)
    assert ended.error is not None
    assert [hint.code for hint in ended.error.retake] == [code]
    assert core.stored() == [layout.outcome_key(LOCAL_TENANT, record.id, 1)]
    core.clock.advance(3600)
    assert core.fetch_due(client) == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Given(500), "answered 500."),
        (Given(503), "answered 503."),
        (Given(429), "answered 429."),
        (Given(408), "answered 408."),
        (Trouble.CONNECT, "could not be connected to."),
        (Trouble.TIMEOUT, "took too long."),
        (Trouble.LOOK_UP, "could not be looked up."),
        (Trouble.TLS, "no secure connection"),
        (Trouble.BROKEN, "broke off."),
    ],
)
def test_an_answer_that_may_pass_is_asked_for_four_times(core: FetchCore, answer: Answer, says: str) -> None:
    record = core.ask()
    client = Servers([answer])
    for wait_s in (5, 30, 120):
        assert core.fetch_due(client) == 1
        assert core.code_of(record) == "awaiting_upload"
        core.clock.advance(wait_s - 0.001)
        assert core.fetch_due(client) == 0
        core.clock.advance(0.001)
    assert core.fetch_due(client) == 1
    assert core.code_of(record) == "fetch_failed"
    assert says in core.message_of(record)
    core.clock.advance(3600)
    assert core.fetch_due(client) == 0
    assert len(client.asked) == 4


def test_a_server_that_recovers_is_believed(core: FetchCore) -> None:
    record = core.ask()
    client = Servers([BUSY, Trouble.TIMEOUT, Given()])
    for _ in range(3):
        core.fetch_due(client)
        core.clock.advance(30)
    assert core.code_of(record) == "queued"


def test_pauses_are_longer_by_chance_and_never_shorter(core: FetchCore) -> None:
    core.fetches = FetchDesk(core.jobs, jitter=lambda: 1.0)
    core.ask()
    core.fetch_due(Servers([BUSY]))
    core.clock.advance(5.999)
    assert core.fetches.claim() is None
    core.clock.advance(0.001)
    assert core.fetches.claim() is not None


@pytest.mark.parametrize(
    ("asked", "waits_s"), [("90", 90), ("1", 5), ("99999", 600), ("Sun, 18 Nov 2046 12:00:00 GMT", 600), ("soon", 5)]
)
def test_retry_after_is_honoured_within_reason(core: FetchCore, asked: str, waits_s: float) -> None:
    core.ask()
    core.fetch_due(Servers([Given(429, retry_after=asked)]))
    core.clock.advance(waits_s - 0.001)
    assert core.fetches.claim() is None
    core.clock.advance(0.001)
    assert core.fetches.claim() is not None


# Items


def test_a_batch_of_urls_goes_through(core: FetchCore) -> None:
    batch = core.ask_for_batch(urls(5))
    assert core.find_batch(batch.id).status is BatchStatus.RUNNING
    assert core.count(batch) == {JobStatus.AWAITING_UPLOAD: 5}
    client = Servers([Given(), Given(404), Given()])
    assert core.fetch_due(client) == 5
    assert client.asked == urls(5)  # each its own, read by its place in the manifest
    assert core.count(batch) == {JobStatus.QUEUED: 4, JobStatus.REJECTED: 1}
    while core.doorbell.depth(QueueName.BULK):
        core.work_in_bulk()
    assert core.find_batch(batch.id).status is BatchStatus.COMPLETED
    assert core.count(batch) == {JobStatus.SUCCEEDED: 4, JobStatus.REJECTED: 1}
    assert core.stored("uploads/") == []


def test_urls_with_options_of_their_own_and_any_script(core: FetchCore) -> None:
    odd = [
        f"https://photos.example/{name}?x={'ü' * n}" for n, name in enumerate(("ファイル", "fichier-é", "a b", "😀"))
    ]
    core.ask_for_batch(odd)
    client = Servers()
    core.fetch_due(client)
    assert client.asked == odd


def test_items_not_fetched_by_the_deadline_end_as_such(core: FetchCore) -> None:
    batch = core.ask_for_batch(urls(3))
    claims = [core.claim(), core.claim(), core.claim()]
    items = core.items(batch.id)
    core.objects.put(layout.upload_key(LOCAL_TENANT, items[0].id, batch.id), PHOTO)  # and its fetcher was killed
    core.fetches.give_back(claims[1])
    assert batch.deadline_ms is not None
    core.clock.now_ms = batch.deadline_ms + 61_000
    core.reconciler.round()
    assert [core.code_of(item) for item in items] == ["queued", "fetch_failed", "fetch_failed"]
    assert "in the time there was" in core.message_of(items[1])


def test_a_cancelled_batch_is_not_fetched(core: FetchCore) -> None:
    batch = core.ask_for_batch(urls(20))
    claim = core.claim()
    core.batches.archive.mark_cancelled(LOCAL_TENANT, batch.id, core.clock())
    core.store.batches.cancel(batch.id, at_ms=core.clock())  # and whoever did so was killed
    client = Servers()
    assert core.fetch_due(client) == 0
    Fetcher(core.fetches, client).fetch(claim)
    core.clock.advance(31)
    core.reconciler.round()
    assert core.count(batch) == {JobStatus.CANCELLED: 20}
    assert core.stored("uploads/") == []
    assert len(client.asked) == 1


def test_a_deleted_batch_is_not_fetched(core: FetchCore) -> None:
    batch = core.ask_for_batch(urls(20))
    claim = core.claim()
    core.batches.delete(LOCAL_TENANT, batch.id)
    client = Servers()
    assert core.fetch_due(client) == 0
    Fetcher(core.fetches, client).fetch(claim)
    assert core.stored("uploads/") == []


# Cancelled and deleted


def during(core: FetchCore, happens: str, record: JobRecord) -> Given:
    if happens == "cancelled":
        core.jobs.cancel(LOCAL_TENANT, record.id)
    else:
        core.jobs.delete(LOCAL_TENANT, record.id)
    return Given()


@pytest.mark.parametrize("happens", ["cancelled", "deleted"])
def test_a_job_that_ends_before_it_is_fetched_is_not_fetched(core: FetchCore, happens: str) -> None:
    record = core.ask()
    during(core, happens, record)
    assert core.fetch_due(Servers()) == 0
    assert core.stored("tickets/") == []


@pytest.mark.parametrize("happens", ["cancelled", "deleted"])
def test_what_is_fetched_while_its_job_ends_is_not_kept(core: FetchCore, happens: str) -> None:
    record = core.ask()
    assert core.fetch_due(Servers([lambda: during(core, happens, record)])) == 1
    assert core.stored("tickets/") + core.stored("uploads/") == []
    assert core.doorbell.depth(QueueName.INTERACTIVE) == 0
    if happens == "cancelled":
        assert core.code_of(record) == "cancelled"
    else:
        with pytest.raises(JobNotFound):
            core.find(record.id)


@pytest.mark.parametrize("happens", ["cancelled", "deleted"])
def test_what_is_stored_while_its_job_ends_is_deleted_again(happens: str) -> None:
    """The last moment: after the lease was seen to hold, before the photo is in storage."""
    objects = Interrupted()
    core = FetchCore(objects=objects)
    record = core.ask()
    objects.before = lambda: during(core, happens, record)
    core.fetch_due(Servers())
    assert core.stored("tickets/") + core.stored("uploads/") == []


def test_a_job_cancelled_by_somebody_who_died_is_not_fetched_again(core: FetchCore) -> None:
    record = core.ask()
    core.fetch_due(Servers([BUSY]))
    core.clock.advance(5)
    core.jobs.archive.write_outcome(record.ended(JobStatus.CANCELLED, at_ms=core.clock()), b"")
    client = Servers()
    core.fetch_due(client)
    assert (core.code_of(record), client.asked) == ("cancelled", [])


# What survives whom


def test_a_job_cancelled_by_somebody_who_died_ends_cancelled(core: FetchCore) -> None:
    record = core.ask()
    core.jobs.archive.write_outcome(record.ended(JobStatus.CANCELLED, at_ms=core.clock()), b"")
    core.fetch_due(Servers())
    core.work()
    assert core.code_of(record) == "cancelled"
    assert core.stored("uploads/") == []


def test_a_fetcher_killed_before_it_stored_is_followed_by_another(core: FetchCore) -> None:
    record = core.ask()
    core.claim()
    core.clock.advance(core.settings.fetch_lease_s)
    client = Servers()
    assert core.fetch_due(client) == 1
    assert (core.code_of(record), len(client.asked)) == ("queued", 1)


def test_a_fetcher_killed_after_it_stored_is_not_followed_by_another_fetch(core: FetchCore) -> None:
    record = core.ask()
    core.claim()
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), PHOTO)
    core.clock.advance(core.settings.fetch_lease_s)
    client = Servers()
    core.fetch_due(client)
    assert (core.code_of(record), client.asked, core.stored("tickets/")) == ("queued", [], [])


def test_a_fetcher_killed_after_it_queued_leaves_a_ticket_that_is_swept(core: FetchCore) -> None:
    record = core.ask()
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), PHOTO)
    core.store.batches.arrive([record.id])
    assert core.reconciler.sweep() == {"tickets_deleted": 1}
    assert core.stored("tickets/") == []
    assert core.code_of(record) == "queued"


def test_an_empty_upload_of_a_killed_writer_is_no_photo(core: FetchCore) -> None:
    record = core.ask()
    core.claim()
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), b"")
    core.clock.advance(core.settings.fetch_lease_s)
    client = Servers()
    core.fetch_due(client)
    assert (core.code_of(record), len(client.asked)) == ("queued", 1)
    assert core.objects.get(layout.upload_key(LOCAL_TENANT, record.id)) == PHOTO


def test_a_photo_that_ends_every_fetcher_ends_itself(core: FetchCore) -> None:
    record = core.ask()
    for _ in range(3 + 4):
        assert core.code_of(record) == "awaiting_upload"
        core.claim()
        core.clock.advance(core.settings.fetch_lease_s)
    client = Servers()
    core.fetch_due(client)
    assert (core.code_of(record), client.asked) == ("fetch_failed", [])
    assert "interrupted" in core.message_of(record)


def test_a_straggler_changes_nothing(core: FetchCore) -> None:
    """A fetcher that slept past its lease and comes back with a bad answer, when another has fetched the photo."""
    record = core.ask()
    sleeps = core.claim()
    core.clock.advance(core.settings.fetch_lease_s)
    core.fetch_due(Servers())
    Fetcher(core.fetches, Servers([Given(404)])).fetch(sleeps)
    assert core.code_of(record) == "queued"
    assert core.is_uploaded(record)


def test_a_straggler_with_an_answer_in_hand_changes_nothing(core: FetchCore) -> None:
    record = core.ask()

    def overtaken() -> Given:
        core.clock.advance(core.settings.fetch_lease_s)
        core.fetch_due(Servers())
        return Given(404)

    core.fetch_due(Servers([overtaken]))
    assert core.code_of(record) == "queued"
    assert core.is_uploaded(record)
    core.measure(record.id)
    assert core.code_of(record) == "succeeded"


def test_an_api_killed_after_the_ticket_is_followed_by_the_sweep(core: FetchCore) -> None:
    record = core.ask(options=JobOptions(reference="x"))
    core.store.drop(record.id, LOCAL_TENANT)
    core.store._state.records.cleanups.clear()  # type: ignore[attr-defined]
    assert core.reconciler.sweep() == {"restored": 1}
    assert core.find(record.id) == record
    core.fetch_due(Servers())
    assert core.code_of(record) == "queued"


@pytest.mark.parametrize("is_measured", [False, True])
def test_a_redis_that_went_back_a_second_destroys_nothing(core: FetchCore, is_measured: bool) -> None:
    """The photo is here and its ticket gone, and Redis knows of neither, nor of any claim."""
    record = core.ask()
    core.fetch_due(Servers())
    if is_measured:
        core.measure(record.id)
    core.store.drop(record.id, LOCAL_TENANT)
    core.store._state.records.cleanups.clear()  # type: ignore[attr-defined]
    core.store.create(record)
    client = Servers()
    core.fetch_due(client)
    assert client.asked == []
    assert core.code_of(record) == ("succeeded" if is_measured else "queued")


def test_a_record_that_a_frozen_redis_wrote_after_the_503_is_dropped(core: FetchCore) -> None:
    record = core.ask()
    core.jobs._take_back(record)
    client = Servers()
    core.fetch_due(client)
    assert client.asked == []
    with pytest.raises(JobNotFound):
        core.find(record.id)


def test_a_lost_redis_is_made_anew_from_tickets_and_manifests(core: FetchCore) -> None:
    single, fetched, ended = core.ask(), core.ask(), core.ask()
    batch = core.ask_for_batch(urls(4))
    items = core.items(batch.id)
    core.objects.put(layout.upload_key(LOCAL_TENANT, fetched.id), PHOTO)
    core.objects.put(layout.upload_key(LOCAL_TENANT, items[2].id, batch.id), PHOTO)
    core.jobs.cancel(LOCAL_TENANT, ended.id)
    before = [core.find(single.id), *core.items(batch.id)]
    core.lose_records()
    assert [core.find(record.id) for record in before] == before
    core.reconciler.round()
    assert [core.code_of(record) for record in (single, fetched, ended)] == ["awaiting_upload", "queued", "cancelled"]
    assert core.count(batch) == {JobStatus.AWAITING_UPLOAD: 3, JobStatus.QUEUED: 1}
    client = Servers()
    core.fetch_due(client)
    assert sorted(client.asked) == sorted([URL, *(url for n, url in enumerate(urls(4)) if n != 2)])
    core.settle_down()
    assert core.find_batch(batch.id).status is BatchStatus.COMPLETED
    assert core.count(batch) == {JobStatus.SUCCEEDED: 4}
    assert core.code_of(fetched) == "succeeded"
    assert core.stored("tickets/") + core.stored("uploads/") == []


def test_records_lost_while_a_photo_is_fetched(core: FetchCore) -> None:
    record = core.ask()

    def loses() -> Given:
        core.lose_records()
        return Given()

    core.fetch_due(Servers([loses]))
    core.reconciler.round()
    assert core.code_of(record) == "awaiting_upload"
    core.fetch_due(Servers())
    assert core.code_of(record) == "queued"


def test_records_lost_after_the_photo_was_stored() -> None:
    objects = Interrupted()
    core = FetchCore(objects=objects)
    record = core.ask()
    objects.after = core.lose_records
    Fetcher(core.fetches, Servers()).fetch(core.claim())
    assert core.store.get(record.id) is None
    core.reconciler.round()
    client = Servers()
    core.fetch_due(client)
    assert (core.code_of(record), client.asked) == ("queued", [])
    core.reconciler.sweep()
    assert core.stored("tickets/") == []


def test_storage_that_is_away_is_not_held_against_the_photo(core: FetchCore) -> None:
    record = core.ask()

    def goes_away() -> Given:
        core.objects.away = True
        return Given()

    for _ in range(10):
        assert core.fetch_due(Servers([goes_away])) == 1
        core.objects.away = False
        assert core.code_of(record) == "awaiting_upload"
        core.clock.advance(10)
    core.fetch_due(Servers())
    assert core.code_of(record) == "queued"


def test_records_that_are_away_cost_a_lease(core: FetchCore) -> None:
    record = core.ask()

    def goes_away() -> Given:
        core.set_records_away(True)
        return Given()

    Fetcher(core.fetches, Servers([goes_away])).fetch(core.claim())
    core.set_records_away(False)
    assert core.fetch_due(Servers()) == 0
    core.clock.advance(core.settings.fetch_lease_s)
    assert core.fetch_due(Servers()) == 1
    assert core.code_of(record) == "queued"


def test_a_ticket_that_cannot_be_read_ends_its_job_and_stops_no_other(
    core: FetchCore, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = core.ask(), core.ask()
    core.objects.put(layout.ticket_key(LOCAL_TENANT, damaged.id), b'{"version":1,"link":"https://x/?secret"}')
    for wait_s in (5, 30, 120, 0):
        core.fetch_due(Servers())
        core.clock.advance(wait_s)
    assert (core.code_of(damaged), core.code_of(sound)) == ("fetch_failed", "queued")
    assert "secret" not in caplog.text


def test_nothing_of_a_url_is_logged_but_its_host(core: FetchCore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    core.ask(options=JobOptions(webhook_url="https://hooks.example/?token=secret"))
    core.ask_for_batch(urls(4))
    stop = threading.Event()
    client = Servers([Given(), Given(404), Trouble.TIMEOUT, RuntimeError("a bug"), lambda: _stops(stop)])
    Fetcher(core.fetches, client).run(stop)
    assert len(client.asked) == 5
    assert "photos.example:443" in caplog.text
    assert "a bug" in caplog.text
    assert "secret" not in caplog.text


def _stops(stop: threading.Event) -> Given:
    stop.set()
    return Given()


def test_a_failed_job_is_retried_without_fetching_its_photo_again(core: FetchCore) -> None:
    record = core.ask()
    core.fetch_due(Servers())
    for _ in range(3):
        claim = core.jobs.claim(record.id)
        assert claim is not None
        core.jobs.give_back(claim, retry_after_s=0, charge=True)
    assert core.code_of(record) == "processing_failed"
    assert core.jobs.retry(LOCAL_TENANT, record.id).run == 2
    client = Servers()
    assert (core.fetch_due(client), client.asked) == (0, [])


def test_jobs_that_expire_take_their_tickets_with_them(core: FetchCore) -> None:
    record = core.ask()
    core.clock.now_ms = record.expires_ms
    core.reconciler.round()
    assert core.stored() == []
    assert core.fetch_due(Servers()) == 0


def test_an_audit_of_photos_that_are_awaited_finds_nothing(core: FetchCore) -> None:
    core.ask()
    core.ask_for_batch(urls(3))
    assert core.reconciler.audit() == {}
    assert core.reconciler.sweep() == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"version":2,"url":"x"}', b'{"version":1}'])
def test_what_is_no_ticket_is_refused(body: bytes) -> None:
    assert decode_ticket(encode_ticket(PhotoUrl(URL))) == PhotoUrl(URL)
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_ticket(body)


def test_the_line_of_another_item_is_not_taken() -> None:
    assert photo_in_line(b'{"job":"a","url":"b"}', "a") == PhotoUrl("b")
    with pytest.raises(ValueError, match="another"):
        photo_in_line(b'{"job":"a","url":"b"}', "c")
