"""`Idempotency-Key` over memory adapters: what a client sees, and what is left behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from api.app import create_app
from api.context import Services
from api.idempotency import Fingerprint, HeldKey
from api.problems import ProblemError
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from shared.errors import RecordsUnavailable, StorageUnavailable
from shared.jobs.idempotency import KEPT_S, LOCK_S, KeyMark, KeySlot, Reservation
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.record import new_record
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import JobOptions
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.clock import FakeClock
from tests.core import Core
from tests.unit.submitting import JPEG, RESULT, finish, finish_soon, form, losing_answers_of, problem

OTHER_JPEG = JPEG + b"another"


def post(api: FlaskClient, key: str | None = "order-7", query: str = "", **fields: Any) -> TestResponse:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post(f"/v1/jobs{query}", data=form(**fields), headers=headers)


def made(core: Core) -> list[str]:
    """Every job that was ever accepted and not deleted, by its photo."""
    owners = (layout.owner_of(key) for key in core.stored(layout.UPLOADS))
    return [owner[1] for owner in owners if owner]


def replayed(response: TestResponse) -> bool:
    assert response.status_code == 202, response.text
    assert response.headers.get("Idempotent-Replayed") in {None, "true"}
    return "Idempotent-Replayed" in response.headers


def stands(object_id: str) -> bool:
    return True


def bury(object_id: str) -> None:
    raise AssertionError(object_id)


def api_over(core: Core) -> FlaskClient:
    waiters = Waiters(core.store, places=1)
    return create_app(Services(core.jobs, core.desk, waiters, core.settings)).test_client()


@pytest.fixture
def aging_core() -> Core:
    """A core whose clock is moved by hand, from now on: the age of a job is told by its id."""
    core = Core(clock=FakeClock(system_clock()), settings=Settings(max_wait_s=0.05))
    core.reconciler.round()
    return core


# The same request


def test_the_same_request_is_answered_alike_and_accepted_once(api: FlaskClient, live_core: Core) -> None:
    first = post(api, reference="a")
    again = post(api, reference="a")
    assert (replayed(first), replayed(again)) == (False, True)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.get_json() == first.get_json()
    assert again.headers["Retry-After"] == first.headers["Retry-After"]
    assert made(live_core) == [first.get_json()["id"]]
    assert live_core.doorbell.depth(QueueName.INTERACTIVE) == 1


def test_a_replay_tells_of_the_job_as_it_is_now(api: FlaskClient, live_core: Core) -> None:
    first = post(api)
    finish(live_core)
    again = post(api)
    assert replayed(again)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.get_json()["result"] == orjson.loads(RESULT)


def test_a_replay_waits_like_the_first(api: FlaskClient, live_core: Core) -> None:
    first = post(api)
    worker = finish_soon(live_core)
    again = api.post("/v1/jobs", data=form(), headers={"Idempotency-Key": "order-7", "Prefer": "wait=20"})
    worker.join()
    assert (again.status_code, again.headers["Preference-Applied"]) == (200, "wait=20")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.get_json()["id"] == first.get_json()["id"]


def test_without_a_key_every_request_is_new(api: FlaskClient, live_core: Core) -> None:
    assert not replayed(post(api, None))
    assert not replayed(post(api, None))
    assert len(made(live_core)) == 2
    assert live_core.stored(layout.OPTIONS) == []


def test_without_a_key_the_index_is_not_asked() -> None:
    class HasNoIndex(MemoryJobStore):
        idempotency: Any = None  # whatever is asked of it fails

    core = Core(clock=system_clock, make_store=HasNoIndex)
    core.reconciler.round()
    assert not replayed(post(api_over(core), None))
    assert post(api_over(core)).status_code == 500


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("order-7", '"order-7"'),
        ('"order-7"', '  "order-7"  '),
        ('"a,b"', '"a,b"'),
        (r'"say \"a\" \\"', r'"say \"a\" \\"'),
        (r"back\slash", r'"back\\slash"'),
        ("k" * 255, f'"{"k" * 255}"'),
        ("two words; and more", '"two words; and more"'),
    ],
)
def test_the_quoted_and_the_bare_form_are_equal(api: FlaskClient, first: str, second: str) -> None:
    assert not replayed(post(api, first))
    assert replayed(post(api, second))


def test_keys_that_differ_are_different(api: FlaskClient, live_core: Core) -> None:
    keys = ["a", "A", "a b", '"a\\\\b"', '"a,"', "a;"]
    assert [replayed(post(api, key)) for key in keys] == [False] * len(keys)
    assert len(made(live_core)) == len(keys)


def test_what_means_the_same_is_the_same_request(api: FlaskClient, live_core: Core) -> None:
    post(api, query="?reference=a&landmarks=true")
    assert replayed(post(api, reference="a", max_faces="1"))
    raw = {"Idempotency-Key": "order-7", "Content-Type": "image/jpeg"}
    assert replayed(api.post("/v1/jobs?reference=a", data=JPEG, headers=raw))
    assert len(made(live_core)) == 1


# Another request


@pytest.mark.parametrize(
    "other", [{"reference": "b"}, {"image": (io.BytesIO(OTHER_JPEG), "a.jpg")}, {"max_faces": "2"}]
)
def test_another_request_under_the_same_key(api: FlaskClient, live_core: Core, other: dict[str, Any]) -> None:
    first = post(api, reference="a")
    problem(post(api, **{"reference": "a", **other}), 422, "idempotency_key_reused")
    assert made(live_core) == [first.get_json()["id"]]
    again = post(api, reference="a")
    assert (replayed(again), again.headers["Location"]) == (True, first.headers["Location"])


def test_a_key_of_another_route_is_reused(live_core: Core) -> None:
    fingerprints = [Fingerprint(route).add(b"{}").text() for route in ("POST /v1/jobs", "POST /v1/batches")]
    slot = KeySlot.of(LOCAL_TENANT, "k")
    held = HeldKey(live_core.store.idempotency, slot, stands, bury)
    held.reserve()
    index = live_core.store.idempotency
    held.settle(
        lambda: fingerprints[0], find=lambda _: None, make=lambda mark: confirmed(index, mark, new_job_id(), live_core)
    )
    other = HeldKey(index, slot, stands, bury)
    other.reserve()
    with pytest.raises(ProblemError) as refused:
        other.settle(lambda: fingerprints[1], find=lambda _: None, make=lambda _: "never")
    assert refused.value.kind.code == "idempotency_key_reused"


def confirmed(index: Any, mark: KeyMark | None, object_id: str, core: Core) -> str:
    assert mark is not None
    assert index.confirm(mark, object_id, until_ms=core.clock() + 1_000_000)
    return object_id


def test_a_fingerprint_tells_where_one_part_ends() -> None:
    def of(*parts: bytes) -> str:
        fingerprint = Fingerprint("route")
        for part in parts:
            fingerprint.add(part)
        return fingerprint.text()

    assert len({of(b"ab", b"c"), of(b"a", b"bc"), of(b"abc"), of(b"abc", b""), Fingerprint("routeabc").text()}) == 5
    body = io.BytesIO(b"x" * 200_000)
    body.seek(7)
    assert Fingerprint("r").add_file(body).text() == Fingerprint("r").add_file(io.BytesIO(b"x" * 200_000)).text()
    assert body.tell() == 0


# Headers that are no key


@pytest.mark.parametrize(
    "key",
    [
        *("", " ", '""', "a,b", '"a","b"', '"a" "b"', '"a', 'a"', '"a"b"', '"a\\b"', '"a";p=1', "clé", "a\tb", "a\x7f"),
        *("k" * 256, f'"{"k" * 256}"'),
    ],
)
def test_headers_that_are_no_key(api: FlaskClient, live_core: Core, key: str) -> None:
    body = problem(post(api, key), 400, "invalid_request")
    assert body["errors"][0]["field"] == "Idempotency-Key"
    assert made(live_core) == []


def test_two_headers_are_no_key(api: FlaskClient) -> None:
    headers = Headers([("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    body = problem(api.post("/v1/jobs", data=form(), headers=headers), 400, "invalid_request")
    assert body["errors"][0]["field"] == "Idempotency-Key"


# In flight


def test_a_key_that_another_request_holds(api: FlaskClient, live_core: Core) -> None:
    slot = KeySlot.of(LOCAL_TENANT, "order-7")
    assert live_core.store.idempotency.reserve(slot, "another", lock_s=LOCK_S) is Reservation.RESERVED
    response = post(api)
    problem(response, 409, "idempotency_in_flight")
    assert int(response.headers["Retry-After"]) >= 1
    assert made(live_core) == []
    assert not replayed(post(api, "order-8"))
    live_core.store.idempotency.release(slot, "another")
    assert not replayed(post(api))


def test_a_dead_request_holds_its_key_for_two_minutes(aging_core: Core) -> None:
    slot = KeySlot.of(LOCAL_TENANT, "order-7")
    aging_core.store.idempotency.reserve(slot, "killed", lock_s=LOCK_S)
    with api_over(aging_core) as api:
        aging_core.clock.advance(119)
        problem(post(api), 409, "idempotency_in_flight")
        aging_core.clock.advance(1)
        assert not replayed(post(api))


def test_many_at_once_are_accepted_once(api: FlaskClient, live_core: Core) -> None:
    start = threading.Barrier(12)
    answers: list[TestResponse] = []

    def send() -> None:
        client = api.application.test_client()
        start.wait()
        answers.append(post(client, reference="a"))

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = [answer for answer in answers if answer.status_code == 202]
    for refused in (answer for answer in answers if answer.status_code != 202):
        problem(refused, 409, "idempotency_in_flight")
    assert [replayed(answer) for answer in accepted].count(False) == 1
    assert {answer.get_json()["id"] for answer in accepted} == set(made(live_core))
    assert len(made(live_core)) == 1
    assert replayed(post(api, reference="a"))


def test_a_slow_request_keeps_its_key(aging_core: Core) -> None:
    index, slot = aging_core.store.idempotency, KeySlot.of(LOCAL_TENANT, "k")
    slow = HeldKey(index, slot, stands, bury, aging_core.clock)
    slow.reserve()
    for _ in slow.keeping(range(4)):
        aging_core.clock.advance(LOCK_S / 2 + 1)
    assert index.reserve(slot, "another", lock_s=LOCK_S) is Reservation.IN_FLIGHT


def test_a_request_that_stood_still_for_too_long_makes_nothing(aging_core: Core) -> None:
    index, slot = aging_core.store.idempotency, KeySlot.of(LOCAL_TENANT, "k")
    slow = HeldKey(index, slot, stands, bury, aging_core.clock)
    slow.reserve()
    aging_core.clock.advance(LOCK_S + 1)
    assert index.reserve(slot, "another", lock_s=LOCK_S) is Reservation.RESERVED
    with pytest.raises(ProblemError) as refused:
        slow.settle(lambda: "print", find=lambda _: None, make=lambda _: pytest.fail("made"))
    assert refused.value.kind.code == "idempotency_in_flight"
    slow.release()
    assert index.reserve(slot, "a third", lock_s=LOCK_S) is Reservation.IN_FLIGHT


# What goes wrong does not use up the key


def wrong_option(api: FlaskClient, core: Core) -> None:
    problem(post(api, max_faces="0"), 400, "invalid_request")


def no_image(api: FlaskClient, core: Core) -> None:
    problem(post(api, image=(io.BytesIO(b"GIF89a"), "a.jpg")), 415, "unsupported_format")


def forbidden_target(api: FlaskClient, core: Core) -> None:
    problem(post(api, webhook_url="https://127.0.0.1/hook"), 400, "webhook_target_forbidden")


def storage_away(api: FlaskClient, core: Core) -> None:
    core.objects.away = True
    problem(post(api), 503, "unavailable")
    core.objects.away = False


def records_away(api: FlaskClient, core: Core) -> None:
    core.set_records_away(True)
    problem(post(api), 503, "unavailable")
    core.set_records_away(False)


def records_away_once_stored(api: FlaskClient, core: Core) -> None:
    class TakesRedisAlong(type(core.objects)):  # type: ignore[misc]
        def put(self, key: str, body: Any, *, content_type: str = "") -> None:
            super().put(key, body, content_type=content_type)
            core.set_records_away(key.startswith(layout.UPLOADS))

        def delete(self, key: str) -> None:
            super().delete(key)
            core.set_records_away(False)

    core.objects.__class__ = TakesRedisAlong
    problem(post(api), 503, "unavailable")
    core.objects.__class__ = TakesRedisAlong.__base__


@pytest.mark.parametrize(
    "fail",
    [wrong_option, no_image, forbidden_target, storage_away, records_away, records_away_once_stored],
)
def test_a_request_that_failed_leaves_its_key(
    api: FlaskClient, live_core: Core, fail: Callable[[FlaskClient, Core], None]
) -> None:
    fail(api, live_core)
    assert live_core.stored() == []
    first = post(api, reference="mended")
    assert not replayed(first)
    assert replayed(post(api, reference="mended"))
    assert made(live_core) == [first.get_json()["id"]]


# What was refused and may have been left behind


def refused_and_left_behind(api: FlaskClient, core: Core) -> str:
    """The photo of a request that was answered by 503, and is stored all the same."""
    core.objects.__class__ = losing_answers_of(layout.UPLOADS)
    problem(post(api), 503, "unavailable")
    core.objects.__class__ = MemoryObjectStore
    core.objects.away = False
    (left,) = made(core)
    return left


@pytest.mark.parametrize("changed", [{}, {"reference": "another request"}], ids=["the same", "another"])
@pytest.mark.parametrize("is_swept", [False, True])
def test_what_could_not_be_taken_back_is_buried_by_the_next_request(
    api: FlaskClient, live_core: Core, is_swept: bool, changed: dict[str, str]
) -> None:
    left = refused_and_left_behind(api, live_core)
    if is_swept:
        assert live_core.reconciler.sweep() == {"restored": 1}
    again = post(api, **changed)
    assert not replayed(again)
    assert made(live_core) == [again.get_json()["id"]]
    assert api.get(f"/v1/jobs/{left}").status_code == 404
    assert replayed(post(api, **changed))


def test_what_shows_after_it_was_buried_is_deleted(api: FlaskClient, live_core: Core) -> None:
    """A store that stood still may do what it was asked to long after everybody has given up."""
    left = refused_and_left_behind(api, live_core)
    late = {key: live_core.objects.get(key) for key in live_core.stored() if left in key}
    again = post(api)
    for key, body in late.items():
        live_core.objects.put(key, body)
    assert live_core.reconciler.sweep() == {"deleted_again": 1}
    assert made(live_core) == [again.get_json()["id"]]
    assert replayed(post(api))


def test_a_deletion_that_comes_late_takes_nothing_that_was_accepted(api: FlaskClient, live_core: Core) -> None:
    left = refused_and_left_behind(api, live_core)
    again = post(api)
    live_core.objects.delete(layout.upload_key(LOCAL_TENANT, left))
    finish(live_core)
    assert api.get(again.headers["Location"]).get_json()["status"] == "succeeded"


def test_what_cannot_be_buried_now_is_not_made_twice(api: FlaskClient, live_core: Core) -> None:
    refused_and_left_behind(api, live_core)
    live_core.objects.away = True
    problem(post(api), 503, "unavailable")
    live_core.objects.away = False
    again = post(api)
    assert made(live_core) == [again.get_json()["id"]]


def test_a_key_that_could_not_be_noted_waits_for_the_sweep(
    api: FlaskClient, live_core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RecordsUnavailable

    with monkeypatch.context() as failing:
        failing.setattr(live_core.store.idempotency, "confirm", lost)
        left = refused_and_left_behind(api, live_core)
    problem(post(api), 409, "idempotency_in_flight")
    live_core.reconciler.sweep()
    again = post(api)
    assert (replayed(again), again.get_json()["id"]) == (True, left)
    assert made(live_core) == [left]


def test_options_that_were_left_behind_leave_the_key(api: FlaskClient, live_core: Core) -> None:
    """Nothing was begun that would be measured."""
    live_core.objects.away = True
    problem(post(api), 503, "unavailable")
    live_core.objects.away = False
    assert live_core.stored(layout.DELETED) == []
    assert not replayed(post(api))
    assert live_core.stored(layout.DELETED) == []


def test_a_photo_that_the_sweep_has_found_is_accepted_though_the_store_did_not_answer(
    api: FlaskClient, live_core: Core
) -> None:
    class IsSweptMeanwhile(MemoryObjectStore):
        def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
            super().put(key, body, content_type=content_type)
            if key.startswith(layout.UPLOADS):
                assert live_core.reconciler.sweep() == {"restored": 1}
                raise StorageUnavailable(key)

    live_core.objects.__class__ = IsSweptMeanwhile
    first = post(api)
    live_core.objects.__class__ = MemoryObjectStore
    assert not replayed(first)
    assert made(live_core) == [first.get_json()["id"]]
    assert replayed(post(api))


# The end of a key


def test_delete_forgets_the_key(api: FlaskClient, live_core: Core) -> None:
    first = post(api).headers["Location"]
    assert api.delete(first).status_code == 204
    again = post(api, reference="whatever")
    assert not replayed(again)
    assert again.headers["Location"] != first
    assert live_core.stored(layout.OPTIONS) == [f"options/local/{again.get_json()['id']}"]


def test_a_key_is_over_after_a_day_though_its_job_is_not(aging_core: Core) -> None:
    with api_over(aging_core) as api:
        first = post(api)
        aging_core.clock.advance(KEPT_S - 60)
        assert replayed(post(api))
        aging_core.lose_records()
        aging_core.reconciler.round()
        assert replayed(post(api))
        aging_core.clock.advance(61)
        assert api.get(first.headers["Location"]).status_code == 200
        aging_core.lose_records()
        aging_core.reconciler.round()
        assert not replayed(post(api, reference="another request"))


def test_a_key_does_not_outlive_its_job(aging_core: Core) -> None:
    core = Core(clock=aging_core.clock, settings=Settings(retention_s=3600))
    core.reconciler.round()
    with api_over(core) as api:
        first = post(api)
        core.clock.advance(3599 - 60)
        assert replayed(post(api))
        core.clock.advance(62)
        problem(api.get(first.headers["Location"]), 404, "not_found")
        assert not replayed(post(api))


# Deaths and losses


def test_after_a_loss_keys_wait_for_the_rebuild(api: FlaskClient, live_core: Core) -> None:
    first = post(api, reference="a")
    finish(live_core)
    live_core.lose_records()
    problem(post(api, reference="a"), 503, "unavailable")
    problem(post(api, "a new one"), 503, "unavailable")
    assert not replayed(post(api, None))
    live_core.reconciler.round()
    again = post(api, reference="a")
    assert (replayed(again), again.get_json()["id"]) == (True, first.get_json()["id"])
    assert again.get_json()["status"] == "succeeded"
    problem(post(api, reference="b"), 422, "idempotency_key_reused")


def mark_of(api: FlaskClient, core: Core) -> KeyMark:
    """The mark of the request that `post` sends."""
    job_id = post(api).get_json()["id"]
    mark = core.jobs.archive.kept_mark(LOCAL_TENANT, job_id)
    assert mark is not None
    api.delete(f"/v1/jobs/{job_id}")
    return mark


def stored_by_a_dead_process(core: Core, mark: KeyMark) -> str:
    """A photo whose API was killed before it noted the key or wrote a record."""
    core.store.idempotency.reserve(mark.slot, "killed", lock_s=LOCK_S)
    record = new_record(new_job_id(), LOCAL_TENANT, JobOptions(), retention_s=core.settings.retention_s)
    core.jobs.archive.keep_options(record, mark)
    core.objects.put(layout.upload_key(LOCAL_TENANT, record.id), JPEG)
    return record.id


@pytest.mark.parametrize("what", ["sweep", "audit"])
def test_killed_once_the_photo_is_stored(api: FlaskClient, live_core: Core, what: str) -> None:
    job_id = stored_by_a_dead_process(live_core, mark_of(api, live_core))
    problem(post(api), 409, "idempotency_in_flight")
    getattr(live_core.reconciler, what)()
    again = post(api)
    assert (replayed(again), again.get_json()["id"]) == (True, job_id)
    assert made(live_core) == [job_id]


def test_killed_before_the_record_was_written(api: FlaskClient, live_core: Core) -> None:
    mark = mark_of(api, live_core)
    job_id = stored_by_a_dead_process(live_core, mark)
    live_core.store.idempotency.restore(mark, job_id, until_ms=live_core.clock() + 1_000_000)
    live_core.doorbell.rung.clear()
    again = post(api)
    assert (replayed(again), again.get_json()["id"]) == (True, job_id)
    assert api.get(again.headers["Location"]).status_code == 200
    assert live_core.doorbell.depth(QueueName.INTERACTIVE) == 1


def test_killed_before_the_photo_was_stored(aging_core: Core) -> None:
    with api_over(aging_core) as api:
        mark = mark_of(api, aging_core)
        job_id = stored_by_a_dead_process(aging_core, mark)
        aging_core.objects.delete(layout.upload_key(LOCAL_TENANT, job_id))
        aging_core.reconciler.sweep()
        aging_core.reconciler.audit()
        problem(post(api), 409, "idempotency_in_flight")
        aging_core.clock.advance(LOCK_S)
        assert not replayed(post(api))
        aging_core.clock.advance(3600)
        aging_core.reconciler.audit()
        assert len(aging_core.stored(layout.OPTIONS)) == 1


def test_what_a_frozen_redis_wrote_after_the_client_heard_503_is_no_job(api: FlaskClient, live_core: Core) -> None:
    refused = post(api).get_json()["id"]
    for key in (layout.upload_key(LOCAL_TENANT, refused), layout.options_key(LOCAL_TENANT, refused)):
        live_core.objects.delete(key)  # taken back, while its record and its key come late
    again = post(api)
    assert not replayed(again)
    assert made(live_core) == [again.get_json()["id"]]
    assert replayed(post(api))


def test_what_is_kept_of_a_key(api: FlaskClient, live_core: Core) -> None:
    job_id = post(api, "secret-order-7", reference="a").get_json()["id"]
    kept = live_core.objects.get(layout.options_key(LOCAL_TENANT, job_id))
    assert b"secret" not in kept
    assert set(orjson.loads(kept)["idempotency"]) == {"key", "fingerprint"}
    assert orjson.loads(kept)["options"] == {"reference": "a"}
    assert live_core.jobs.archive.kept_mark(LOCAL_TENANT, job_id) is not None


# The rest of the API


def test_the_original_endpoint_takes_no_key(aging_core: Core) -> None:
    with api_over(aging_core) as api:
        for _ in range(2):
            response = api.post("/face-coordinates", data=form(), headers={"Idempotency-Key": "a,b"})
            assert not replayed(response)
    assert len(made(aging_core)) == 2
    assert aging_core.stored(layout.OPTIONS) == []


def test_the_openapi_document_tells_of_it(api: FlaskClient) -> None:
    operation = api.get("/openapi.json").get_json()["paths"]["/v1/jobs"]["post"]
    header = next(entry for entry in operation["parameters"] if entry["name"] == "Idempotency-Key")
    assert (header["in"], header["required"], header["schema"]["maxLength"]) == ("header", False, 255)
    assert "`idempotency_in_flight`" in operation["responses"]["409"]["description"]
    assert "`idempotency_key_reused`" in operation["responses"]["422"]["description"]
    assert "Idempotent-Replayed" in operation["responses"]["202"]["headers"]
    assert "Idempotent-Replayed" in operation["responses"]["200"]["headers"]
