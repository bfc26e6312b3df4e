"""`Idempotency-Key` on batches over memory adapters: what a client sees, and what is left behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from shared.errors import StorageUnavailable
from shared.jobs.idempotency import LOCK_S, KeyMark, KeySlot, Reservation
from shared.names import LOCAL_TENANT
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.clock import FakeClock
from tests.core import Core
from tests.unit.submitting import JPEG, large_form, losing_answers_of, problem
from tests.zips import plain_zip

SLOT = KeySlot.of(LOCAL_TENANT, "portal-7")
UPLOADED = [{"reference": name, "size": len(JPEG), "content_type": "image/jpeg"} for name in "abc"]
FETCHED = [{"reference": name, "image_url": f"https://photos.example/{name}.jpg?signature=secret"} for name in "abc"]


def listed(items: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    return {"data": orjson.dumps({"items": items, **options}), "content_type": "application/json"}


def lines(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": b"\n".join(map(orjson.dumps, items)), "content_type": "application/x-ndjson"}


def parts(photos: dict[str, bytes], **fields: str) -> dict[str, Any]:
    return {"data": {"images": [(io.BytesIO(data), name) for name, data in photos.items()], **fields}}


def archive(photos: dict[str, bytes]) -> dict[str, Any]:
    return large_form(plain_zip(photos), "archive")


PHOTOS = {"a.jpg": JPEG, "b.jpg": JPEG + b"b", "page.jpg": b"<html>"}


@dataclass
class Way:
    """A way in: a request that makes a batch of three, and others that are like it and yet not the same."""

    status: int
    request: Callable[[], dict[str, Any]]
    others: list[Callable[[], dict[str, Any]]]


WAYS = {
    "forms": Way(
        201,
        lambda: listed(UPLOADED, max_faces=2),
        [
            lambda: listed(UPLOADED),
            lambda: listed(UPLOADED[:2], max_faces=2),
            lambda: listed(UPLOADED[::-1], max_faces=2),
            lambda: listed([*UPLOADED[:2], {**UPLOADED[2], "size": 7}], max_faces=2),
            lambda: listed(FETCHED, max_faces=2),
        ],
    ),
    "lines": Way(202, lambda: lines(FETCHED), [lambda: lines(FETCHED[1:]), lambda: lines(UPLOADED)]),
    "urls": Way(
        202,
        lambda: listed(FETCHED),
        [lambda: listed([*FETCHED[:2], {**FETCHED[2], "image_url": "https://photos.example/c.jpg?signature=other"}])],
    ),
    "parts": Way(
        202,
        lambda: parts(PHOTOS, max_faces="2"),
        [
            lambda: parts(PHOTOS),
            lambda: parts({**PHOTOS, "b.jpg": JPEG + b"c"}, max_faces="2"),
            lambda: parts({"c.jpg" if name == "a.jpg" else name: data for name, data in PHOTOS.items()}, max_faces="2"),
            lambda: parts(dict(reversed(PHOTOS.items())), max_faces="2"),
            lambda: archive(PHOTOS),
        ],
    ),
    "zip": Way(202, lambda: archive(PHOTOS), [lambda: archive({**PHOTOS, "d/a.jpg": JPEG}), lambda: parts(PHOTOS)]),
}

each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
PRESIGNED, PARTS = WAYS["forms"], WAYS["parts"]


def post(api: FlaskClient, request: dict[str, Any], key: str | None = "portal-7", query: str = "") -> TestResponse:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post(f"/v1/batches{query}", headers=headers, buffered=True, **request)


def replayed(response: TestResponse, way: Way) -> bool:
    assert response.status_code == way.status, response.text
    assert response.headers["Location"] == f"/v1/batches/{response.get_json()['id']}"
    assert response.headers.get("Idempotent-Replayed") in {None, "true"}
    return "Idempotent-Replayed" in response.headers


def told(response: TestResponse) -> dict[str, Any]:
    """Return the body, but of its forms only what does not change from one second to the next."""
    body: dict[str, Any] = response.get_json()
    for item in body.get("items", ()):
        if item["upload"]:
            item["upload"]["fields"] = item["upload"]["fields"]["key"]
    return body


def made(core: Core) -> list[str]:
    """Every batch that was ever accepted and not deleted."""
    return [batch_id for _, batch_id in core.jobs.archive.batches.manifests()]


def api_over(core: Core) -> FlaskClient:
    waiters = Waiters(core.store, places=1)
    return create_app(Services(core.jobs, core.desk, waiters, core.settings)).test_client()


def holds(core: Core, who: str = "another") -> bool:
    """Tell whether the key is free, by taking it."""
    return core.store.idempotency.reserve(SLOT, who, lock_s=LOCK_S) is Reservation.RESERVED


# The same request


@each_way
def test_the_same_request_is_answered_alike_and_accepted_once(api: FlaskClient, live_core: Core, way: Way) -> None:
    first = post(api, way.request())
    stored = live_core.stored()
    again = post(api, way.request())
    assert (replayed(first, way), replayed(again, way)) == (False, True)
    assert again.headers["Location"] == first.headers["Location"]
    assert told(again) == told(first)
    assert again.get_json()["total"] == 3
    assert again.headers.get("Retry-After") == first.headers.get("Retry-After")
    assert made(live_core) == [first.get_json()["id"]]
    assert live_core.stored() == stored


@each_way
def test_without_a_key_every_request_is_new(api: FlaskClient, live_core: Core, way: Way) -> None:
    assert not replayed(post(api, way.request(), None), way)
    assert not replayed(post(api, way.request(), None), way)
    assert len(made(live_core)) == 2


def test_a_replay_tells_of_the_batch_as_it_is_now(api: FlaskClient, live_core: Core) -> None:
    first = post(api, PARTS.request())
    while live_core.work_in_bulk():
        pass
    again = post(api, PARTS.request())
    assert replayed(again, PARTS)
    assert (again.get_json()["status"], again.get_json()["counts"]["succeeded"]) == ("completed", 2)
    assert again.headers["Location"] == first.headers["Location"]
    assert "Retry-After" not in again.headers


def test_a_replay_has_forms_for_what_has_not_come(api: FlaskClient, live_core: Core) -> None:
    first = post(api, PRESIGNED.request()).get_json()
    path = f"/v1/batches/{first['id']}"
    assert live_core.objects.post(first["items"][0]["upload"]["fields"], JPEG)
    api.post(f"{path}/start")
    live_core.work_in_bulk()
    again = post(api, PRESIGNED.request())
    assert replayed(again, PRESIGNED)
    assert int(again.headers["Content-Length"]) == len(again.data)
    items = again.get_json()["items"]
    assert [(item["id"], item["reference"]) for item in items] == [
        (item["id"], item["reference"]) for item in first["items"]
    ]
    assert [item["status"] for item in items] == ["succeeded", "awaiting_upload", "awaiting_upload"]
    assert items[0]["upload"] is None
    for item in items[1:]:
        assert live_core.objects.post(item["upload"]["fields"], JPEG)
    assert api.post(f"{path}/start").get_json()["counts"]["queued"] == 2
    api.delete(f"/v1/jobs/{items[1]['id']}")
    left = post(api, PRESIGNED.request())
    assert [item["reference"] for item in left.get_json()["items"]] == ["a", "c"]


def test_a_replay_of_more_items_than_are_read_at_once(api: FlaskClient, live_core: Core) -> None:
    items = [{**UPLOADED[0], "reference": f"photo {n}"} for n in range(2001)]
    first, again = (post(api, listed(items)) for _ in range(2))
    assert (replayed(first, PRESIGNED), replayed(again, PRESIGNED)) == (False, True)
    assert told(again) == told(first)
    assert [item["item_index"] for item in again.get_json()["items"]] == list(range(2001))


@pytest.mark.parametrize(
    ("first", "second", "query"),
    [
        (listed(UPLOADED), {**listed([]), "data": orjson.dumps({"items": UPLOADED}, option=orjson.OPT_INDENT_2)}, ""),
        (listed(UPLOADED), listed([dict(reversed(item.items())) for item in UPLOADED]), ""),
        (listed(UPLOADED), lines(UPLOADED), ""),
        (listed(UPLOADED), listed(UPLOADED, max_faces=1, landmarks=True), ""),
        (listed(UPLOADED, max_faces=2, require="eye_gap"), lines(UPLOADED), "?require=eye_gap&max_faces=2"),
    ],
    ids=["spaces", "order of names", "lines", "defaults", "query"],
)
def test_what_means_the_same_is_the_same_request(
    api: FlaskClient, live_core: Core, first: dict[str, Any], second: dict[str, Any], query: str
) -> None:
    assert not replayed(post(api, first), PRESIGNED)
    assert replayed(post(api, second, query=query), PRESIGNED)
    assert len(made(live_core)) == 1


def test_an_archives_name_means_nothing(api: FlaskClient) -> None:
    data = plain_zip(PHOTOS)
    for name, is_replay in (("one.zip", False), ("another.zip", True)):
        response = post(api, {"data": {"archive": (io.BytesIO(data), name)}})
        assert replayed(response, WAYS["zip"]) is is_replay


# Another request


@each_way
def test_another_request_under_the_same_key(api: FlaskClient, live_core: Core, way: Way) -> None:
    first = post(api, way.request())
    stored = live_core.stored()
    for other in way.others:
        problem(post(api, other()), 422, "idempotency_key_reused")
    assert live_core.stored() == stored
    again = post(api, way.request())
    assert (replayed(again, way), again.headers["Location"]) == (True, first.headers["Location"])


def test_a_key_of_a_single_photo_is_no_key_of_a_batch(api: FlaskClient, live_core: Core) -> None:
    headers = {"Idempotency-Key": "portal-7"}
    assert api.post("/v1/jobs", data={"image": (io.BytesIO(JPEG), "a.jpg")}, headers=headers).status_code == 202
    problem(post(api, parts({"a.jpg": JPEG})), 422, "idempotency_key_reused")
    post(api, PARTS.request(), "portal-8")
    headers = {"Idempotency-Key": "portal-8"}
    answer = api.post("/v1/jobs", data={"image": (io.BytesIO(JPEG), "a.jpg")}, headers=headers)
    problem(answer, 422, "idempotency_key_reused")
    assert len(made(live_core)) == 1


# In flight


@each_way
def test_a_key_that_another_request_holds(api: FlaskClient, live_core: Core, way: Way) -> None:
    assert holds(live_core)
    response = post(api, way.request())
    problem(response, 409, "idempotency_in_flight")
    assert int(response.headers["Retry-After"]) >= 1
    assert live_core.stored() == []
    live_core.store.idempotency.release(SLOT, "another")
    assert not replayed(post(api, way.request()), way)


@each_way
def test_many_at_once_are_accepted_once(way: Way) -> None:
    # Room for all of them, so that only the key can refuse them.
    live_core = Core(clock=system_clock, settings=Settings(max_batch_uploads=8))
    live_core.reconciler.round()
    api, start = api_over(live_core), threading.Barrier(8)
    answers: list[TestResponse] = []

    def send() -> None:
        client, request = api.application.test_client(), way.request()
        start.wait()
        answers.append(post(client, request))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = [answer for answer in answers if answer.status_code == way.status]
    for refused in (answer for answer in answers if answer.status_code != way.status):
        problem(refused, 409, "idempotency_in_flight")
    assert [replayed(answer, way) for answer in accepted].count(False) == 1
    assert [answer.get_json()["id"] for answer in accepted] == made(live_core) * len(accepted)
    assert replayed(post(api, way.request()), way)
    uploads = [key for key in live_core.stored(layout.UPLOADS) if layout.owner_of(key)]
    assert len(uploads) == (2 if way.status == 202 and way not in (WAYS["lines"], WAYS["urls"]) else 0)


class Aging(MemoryObjectStore):
    """A store in which every photo takes its time, while somebody else tries to get the key."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.meanwhile: Callable[[], object] = lambda: None
        self._turn = threading.Lock()

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        super().put(key, body, content_type=content_type)
        with self._turn:
            self.clock.advance(5)
            self.meanwhile()


class Slow(io.BytesIO):
    """A body that comes slowly."""

    def __init__(self, body: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(body)
        self._meanwhile = meanwhile

    def readinto(self, buffer: Any) -> int:
        self._meanwhile()
        return super().readinto(buffer)


@pytest.fixture
def aging_core() -> Core:
    """A core whose clock is moved by hand, from now on: the age of a batch is told by its id."""
    clock = FakeClock(system_clock())
    core = Core(clock=clock, objects=Aging(clock), settings=Settings())
    core.reconciler.round()
    return core


@pytest.fixture
def aging(aging_core: Core) -> Iterator[FlaskClient]:
    with api_over(aging_core) as client:
        yield client


def test_photos_that_take_long_to_be_stored_keep_the_key(aging: FlaskClient, aging_core: Core) -> None:
    taken: list[bool] = []
    assert isinstance(aging_core.objects, Aging)
    aging_core.objects.meanwhile = lambda: taken.append(holds(aging_core))
    photos = {f"{n}.jpg": JPEG for n in range(60)}  # 300 s
    first = post(aging, parts(photos))
    assert not replayed(first, PARTS)
    assert taken == [False] * 61  # the manifest is the last
    assert replayed(post(aging, parts(photos)), PARTS)


def slowly(core: Core, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """A form that takes over five minutes to come."""

    def wait() -> None:
        core.clock.advance(30)
        meanwhile()

    form = large_form(JPEG + bytes(800_000), "images")
    return {
        "input_stream": Slow(form["data"], wait),
        "content_type": form["content_type"],
        "headers": {"Idempotency-Key": "portal-7", "Content-Length": str(len(form["data"]))},
    }


def test_photos_that_take_long_to_come_keep_the_key(aging: FlaskClient, aging_core: Core) -> None:
    taken: list[bool] = []
    first = aging.post("/v1/batches", **slowly(aging_core, lambda: taken.append(holds(aging_core))))
    assert not replayed(first, PARTS)
    assert len(taken) * 30 > LOCK_S
    assert not any(taken)
    assert replayed(aging.post("/v1/batches", **slowly(aging_core)), PARTS)


def test_redis_may_be_away_while_photos_come(aging: FlaskClient, aging_core: Core) -> None:
    came = iter(range(100))
    first = aging.post("/v1/batches", **slowly(aging_core, lambda: aging_core.set_records_away(next(came) in range(6))))
    assert not replayed(first, PARTS)
    assert replayed(aging.post("/v1/batches", **slowly(aging_core)), PARTS)


def test_a_form_that_stood_still_for_too_long_makes_nothing(aging: FlaskClient, aging_core: Core) -> None:
    came = iter(range(100))

    def stand_still_once() -> None:
        if next(came) == 1:
            aging_core.clock.advance(LOCK_S)
            assert holds(aging_core, "the quicker one")

    problem(aging.post("/v1/batches", **slowly(aging_core, stand_still_once)), 409, "idempotency_in_flight")
    assert aging_core.stored() == []


# What goes wrong does not use up the key


def wrong_option(api: FlaskClient, core: Core) -> None:
    problem(post(api, listed(UPLOADED, max_faces=0)), 400, "invalid_request")


def wrong_item(api: FlaskClient, core: Core) -> None:
    problem(post(api, listed([*UPLOADED, {}])), 400, "invalid_request")


def wrong_type(api: FlaskClient, core: Core) -> None:
    problem(post(api, {"data": JPEG, "content_type": "image/jpeg"}), 415, "unsupported_format")


def no_zip(api: FlaskClient, core: Core) -> None:
    problem(post(api, large_form(b"PK", "archive")), 400, "archive_invalid")


def same_name_twice(api: FlaskClient, core: Core) -> None:
    problem(post(api, listed(UPLOADED[:1] * 2)), 400, "duplicate_reference")


def forbidden_target(api: FlaskClient, core: Core) -> None:
    problem(post(api, parts(PHOTOS, webhook_url="https://127.0.0.1/hook")), 400, "webhook_target_forbidden")


def storage_away(api: FlaskClient, core: Core) -> None:
    for way in WAYS.values():
        core.objects.away = True
        problem(post(api, way.request()), 503, "unavailable")
        core.objects.away = False


def records_away(api: FlaskClient, core: Core) -> None:
    for way in WAYS.values():
        core.set_records_away(True)
        problem(post(api, way.request()), 503, "unavailable")
        core.set_records_away(False)


class LosesManifests(MemoryObjectStore):
    """A store that goes away before a manifest is written."""

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        if key.startswith(layout.BATCHES):
            raise StorageUnavailable(key)
        super().put(key, body, content_type=content_type)


def manifest_not_written(api: FlaskClient, core: Core) -> None:
    core.objects.__class__ = LosesManifests
    for way in WAYS.values():
        problem(post(api, way.request()), 503, "unavailable")
    core.objects.__class__ = MemoryObjectStore


@pytest.mark.parametrize(
    "fail",
    [
        *(wrong_option, wrong_item, wrong_type, no_zip, same_name_twice, forbidden_target),
        *(storage_away, records_away, manifest_not_written),
    ],
)
def test_a_request_that_failed_leaves_its_key(
    api: FlaskClient, live_core: Core, fail: Callable[[FlaskClient, Core], None]
) -> None:
    fail(api, live_core)
    assert live_core.stored_alive() == []
    first = post(api, PARTS.request())
    assert not replayed(first, PARTS)
    assert replayed(post(api, PARTS.request()), PARTS)
    assert made(live_core) == [first.get_json()["id"]]


@each_way
@pytest.mark.parametrize("is_swept", [False, True])
def test_a_batch_that_could_not_be_taken_back_is_buried_by_the_next_request(
    api: FlaskClient, live_core: Core, way: Way, is_swept: bool
) -> None:
    live_core.objects.__class__ = losing_answers_of(layout.BATCHES)
    problem(post(api, way.request()), 503, "unavailable")
    live_core.objects.__class__ = MemoryObjectStore
    live_core.objects.away = False
    if is_swept:
        live_core.reconciler.sweep()
    (left,) = made(live_core)
    again = post(api, way.request())
    assert not replayed(again, way)
    assert again.get_json()["id"] != left
    live_core.reconciler.sweep()
    assert api.get(f"/v1/batches/{left}").status_code == 404
    assert [batch["id"] for batch in api.get("/v1/batches").get_json()["data"]] == [again.get_json()["id"]]
    assert replayed(post(api, way.request()), way)


def test_a_full_house_leaves_the_key() -> None:
    core = Core(clock=system_clock, settings=Settings(max_batch_uploads=1))
    core.reconciler.round()
    api = api_over(core)
    refused: list[TestResponse] = []

    def come_too() -> None:
        if not refused:
            refused.append(post(api.application.test_client(), PARTS.request()))

    problem(
        api.post(
            "/v1/batches",
            input_stream=Slow(b"no form   ", come_too),
            content_type="multipart/form-data; boundary=x",
            headers={"Content-Length": "10"},
        ),
        400,
        "invalid_request",
    )
    problem(refused[0], 503, "unavailable")
    assert not replayed(post(api, PARTS.request()), PARTS)


# The end of a key


@each_way
def test_delete_forgets_the_key(api: FlaskClient, live_core: Core, way: Way) -> None:
    first = post(api, way.request()).headers["Location"]
    assert api.delete(first).status_code == 204
    again = post(api, WAYS["zip"].request())
    assert not replayed(again, WAYS["zip"])
    assert again.headers["Location"] != first


def test_a_batch_that_is_cancelled_is_found(api: FlaskClient) -> None:
    first = post(api, PRESIGNED.request())
    api.post(f"{first.headers['Location']}/cancel")
    again = post(api, PRESIGNED.request())
    assert (replayed(again, PRESIGNED), again.get_json()["status"]) == (True, "cancelled")
    assert [item["upload"] for item in again.get_json()["items"]] == [None] * 3


def test_a_key_does_not_outlive_its_batch() -> None:
    core = Core(clock=FakeClock(system_clock()), settings=Settings(retention_s=600))
    core.reconciler.round()
    with api_over(core) as api:
        post(api, PARTS.request())
        core.clock.advance(600 - 60)
        assert replayed(post(api, PARTS.request()), PARTS)
        core.clock.advance(61)
        assert holds(core)


# Deaths and losses


@each_way
def test_after_a_loss_keys_wait_for_the_rebuild(api: FlaskClient, live_core: Core, way: Way) -> None:
    first = post(api, way.request())
    live_core.lose_records()
    for key in ("portal-7", "a new one"):
        refused = problem(post(api, way.request(), key), 503, "unavailable")
        assert "rebuilt" in refused["detail"]
    live_core.reconciler.round()
    again = post(api, way.request())
    assert (replayed(again, way), again.get_json()["id"]) == (True, first.get_json()["id"])
    assert again.get_json()["counts"] == first.get_json()["counts"]
    assert told(again).get("items") == told(first).get("items")
    problem(post(api, way.others[0]()), 422, "idempotency_key_reused")
    assert made(live_core) == [first.get_json()["id"]]


def forget_records(core: Core, batch_id: str) -> KeyMark:
    """As if nothing had been written after the manifest; return the key that this has."""
    head = core.jobs.archive.batches.head(LOCAL_TENANT, batch_id)
    assert head is not None
    assert head.mark is not None
    core.batches.forget(batch_id)
    core.doorbell.rung.clear()
    return head.mark


@each_way
def test_killed_before_the_key_was_noted(api: FlaskClient, live_core: Core, way: Way) -> None:
    first = post(api, way.request()).get_json()["id"]
    forget_records(live_core, first)
    assert holds(live_core, "killed")
    problem(post(api, way.request()), 409, "idempotency_in_flight")
    live_core.reconciler.sweep()
    again = post(api, way.request())
    assert (replayed(again, way), again.get_json()["id"]) == (True, first)
    assert made(live_core) == [first]


@each_way
def test_killed_before_a_record_was_written(api: FlaskClient, live_core: Core, way: Way) -> None:
    first = post(api, way.request())
    batch_id = first.get_json()["id"]
    mark = forget_records(live_core, batch_id)
    live_core.store.idempotency.restore(mark, batch_id, until_ms=live_core.clock() + 1_000_000)
    again = post(api, way.request())
    assert (replayed(again, way), told(again)) == (True, told(first))
    assert api.get(again.headers["Location"]).status_code == 200
    while live_core.work_in_bulk():
        pass
    assert made(live_core) == [batch_id]
    if way in (PARTS, WAYS["zip"]):
        assert api.get(again.headers["Location"]).get_json()["status"] == "completed"


def test_killed_while_records_were_written(api: FlaskClient, live_core: Core) -> None:
    first = told(post(api, PRESIGNED.request()))
    mark = forget_records(live_core, first["id"])
    index, batches = live_core.store.idempotency, live_core.store.batches
    index.restore(mark, first["id"], until_ms=live_core.clock() + 1_000_000)
    head = live_core.jobs.archive.batches.head(LOCAL_TENANT, first["id"])
    assert head is not None
    batches.create(head.record())
    again = post(api, PRESIGNED.request())
    assert (replayed(again, PRESIGNED), told(again)) == (True, first)


@pytest.mark.parametrize("request_now", [PARTS.request, PARTS.others[0]], ids=["the same", "another"])
def test_of_a_batch_that_was_taken_back_nothing_is_found(
    api: FlaskClient, live_core: Core, request_now: Callable[[], dict[str, Any]]
) -> None:
    first = post(api, PARTS.request()).get_json()["id"]
    mark = forget_records(live_core, first)
    live_core.objects.delete(layout.manifest_key(LOCAL_TENANT, first))
    live_core.store.idempotency.restore(mark, first, until_ms=live_core.clock() + 1_000_000)
    again = post(api, request_now())
    assert not replayed(again, PARTS)
    assert made(live_core) == [again.get_json()["id"]]


def test_photos_that_are_run_again_do_not_hide_a_batch(api: FlaskClient, live_core: Core) -> None:
    first = post(api, PARTS.request()).get_json()["id"]
    live_core.store.batches.unseal(first)
    again = post(api, PARTS.request())
    assert (replayed(again, PARTS), again.get_json()["id"]) == (True, first)
    assert not live_core.find_batch(first).sealed


def test_what_is_kept_of_a_key(api: FlaskClient, live_core: Core) -> None:
    batch_id = post(api, PARTS.request(), "secret-order-7").get_json()["id"]
    manifest = live_core.objects.get(layout.manifest_key(LOCAL_TENANT, batch_id))
    assert b"secret" not in manifest
    assert set(orjson.loads(manifest.splitlines()[0])["extra"]["idempotency"]) == {"key", "fingerprint"}


def test_the_openapi_document_tells_of_it(api: FlaskClient) -> None:
    document = api.get("/openapi.json").get_json()
    operation = document["paths"]["/v1/batches"]["post"]
    header = next(entry for entry in operation["parameters"] if entry["name"] == "Idempotency-Key")
    assert (header["in"], header["required"]) == ("header", False)
    assert "`idempotency_in_flight`" in operation["responses"]["409"]["description"]
    assert "`idempotency_key_reused`" in operation["responses"]["422"]["description"]
    for status, model in (("201", "NewBatch"), ("202", "Batch")):
        response = operation["responses"][status]
        assert "Idempotent-Replayed" in response["headers"]
        schema = response["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{model}"}
        assert model in document["components"]["schemas"]
