"""Batches that come as a list: what is taken, what makes one item a rejected one, and what refuses the whole."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import MEGABYTE, Settings
from shared.jobs.batch_record import BatchSource
from shared.jobs.batch_store import BatchQuery
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from tests.core import Core
from tests.unit.submitting import problem

UPLOADED = {"reference": "a", "size": 100, "content_type": "image/jpeg"}
FETCHED = {"reference": "a", "image_url": "https://photos.example/a.jpg"}


def send(api: FlaskClient, *items: Any, **options: Any) -> TestResponse:
    return api.post("/v1/batches", json={"items": items, **options})


def send_lines(api: FlaskClient, data: bytes, query: str = "", kind: str = "application/x-ndjson") -> TestResponse:
    return api.post(f"/v1/batches{query}", data=data, content_type=kind)


def is_untouched(core: Core) -> bool:
    return core.stored() == [] and core.store.batches.list_batches(BatchQuery("local", 10)) == []


def test_a_list_of_urls_is_accepted_and_awaited(api: FlaskClient, live_core: Core) -> None:
    response = send(api, FETCHED, {**FETCHED, "reference": "b", "max_faces": 4}, max_faces=2, keep_image=True)
    assert response.status_code == 202
    body = response.get_json()
    assert response.headers["Location"] == f"/v1/batches/{body['id']}"
    assert (body["status"], body["counts"]["awaiting_upload"]) == ("running", 2)
    items = live_core.items(body["id"])
    assert [item.options for item in items] == [
        JobOptions(reference="a", max_faces=2, keep_image=True),
        JobOptions(reference="b", max_faces=4, keep_image=True),
    ]
    head = live_core.batches.archive.head("local", body["id"])
    assert head is not None
    assert (head.source, head.options) == (BatchSource.URL, JobOptions(max_faces=2, keep_image=True))
    assert [item.url for item in live_core.batches.archive.items(head)] == [FETCHED["image_url"]] * 2
    listed = api.get(f"/v1/batches/{body['id']}/items?status=awaiting_upload").get_json()["data"]
    assert [item["upload"] for item in listed] == [None, None]


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/ndjson; charset=utf-8"])
def test_lines_with_the_batchs_options_in_the_query(api: FlaskClient, live_core: Core, kind: str) -> None:
    lines = b"\n".join(orjson.dumps({**FETCHED, "reference": str(n)}) for n in range(3)) + b"\r\n\r\n"
    response = send_lines(api, lines, "?max_faces=2&require=eye_gap,face_width", kind)
    assert response.status_code == 202
    items = live_core.items(response.get_json()["id"])
    assert [item.options.reference for item in items] == ["0", "1", "2"]
    assert all(item.options.max_faces == 2 and item.options.require == ["eye_gap", "face_width"] for item in items)


def test_photos_to_be_uploaded_may_come_as_lines_too(api: FlaskClient) -> None:
    response = send_lines(api, orjson.dumps(UPLOADED))
    assert response.status_code == 201
    assert [item["upload"]["fields"]["Content-Type"] for item in response.get_json()["items"]] == ["image/jpeg"]


def test_an_items_options_win_and_lists_may_be_lists(api: FlaskClient, live_core: Core) -> None:
    items = [
        {**UPLOADED, "known_pd_mm": 61.5},
        {**UPLOADED, "reference": None, "require": ["eye_gap"]},
        {**UPLOADED, "reference": "c", "known_pd_mm": None},
    ]
    body = send(api, *items, known_pd_mm=63, require="face_width").get_json()
    options = [item.options for item in live_core.items(body["id"])]
    assert [(one.reference, one.known_pd_mm, one.require) for one in options] == [
        ("a", 61.5, ["face_width"]),
        (None, 63, ["eye_gap"]),
        ("c", None, ["face_width"]),
    ]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"size": 20 * MEGABYTE + 1, "content_type": "image/jpeg"}, "image_too_large"),
        ({"size": 10, "content_type": "image/gif"}, "unsupported_format"),
        ({"size": 10, "content_type": "text/html\r\nx: y"}, "unsupported_format"),
        ({"size": 10, "content_type": ""}, "unsupported_format"),
        ({"image_url": "http://photos.example/a.jpg"}, "fetch_forbidden"),
        ({"image_url": "https://10.0.0.1/a.jpg"}, "fetch_forbidden"),
        ({"image_url": "https://[::ffff:127.0.0.1]/a.jpg"}, "fetch_forbidden"),
        ({"image_url": "https://photos.example:22/a.jpg"}, "fetch_forbidden"),
        ({"image_url": "file:///etc/passwd"}, "fetch_forbidden"),
        ({"image_url": "no url"}, "fetch_forbidden"),
        ({"image_url": ""}, "fetch_forbidden"),
        ({"image_url": "https://photos.example/" + "x" * 5000}, "fetch_forbidden"),
    ],
)
def test_one_bad_photo_is_a_rejected_item_beside_the_others(
    api: FlaskClient, live_core: Core, item: dict[str, Any], code: str
) -> None:
    good = UPLOADED if "size" in item else FETCHED
    body = send(api, {"reference": "bad", **item}, good).get_json()
    assert (body["counts"]["rejected"], body["counts"]["awaiting_upload"]) == (1, 1)
    bad = api.get(f"/v1/batches/{body['id']}/items?status=rejected").get_json()["data"]
    assert [(one["reference"], one["item_index"], one["error"]["code"]) for one in bad] == [("bad", 0, code)]
    assert bad[0]["error"]["message"]
    assert bad[0]["error"]["retake"]
    assert bad[0]["upload"] is None


def test_a_list_of_nothing_but_rejected_items_is_complete_at_once(api: FlaskClient) -> None:
    body = send(api, {**UPLOADED, "content_type": "text/plain"}).get_json()
    assert (body["status"], body["progress"], body["items"][0]["status"]) == ("completed", 1, "rejected")


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({}, "items[1]"),
        (7, "items[1]"),
        ([], "items[1]"),
        ({"reference": "b"}, "items[1]"),
        ({**UPLOADED, **FETCHED}, "items[1]"),
        ({"size": 10}, "items[1].content_type"),
        ({"content_type": "image/png"}, "items[1].size"),
        ({**UPLOADED, "size": "10"}, "items[1].size"),
        ({**UPLOADED, "size": 10.5}, "items[1].size"),
        ({**UPLOADED, "size": True}, "items[1].size"),
        ({**UPLOADED, "size": 0}, "items[1].size"),
        ({**UPLOADED, "size": -1}, "items[1].size"),
        ({**UPLOADED, "content_type": None}, "items[1].content_type"),
        ({"image_url": None}, "items[1].image_url"),
        ({"image_url": ["https://photos.example/"]}, "items[1].image_url"),
        ({**UPLOADED, "max_faces": 11}, "items[1].max_faces"),
        ({**UPLOADED, "max_mm_sd": 1}, "items[1].max_mm_sd"),
        ({**UPLOADED, "sizes": 1}, "items[1].sizes"),
        ({**UPLOADED, "reference": 7}, "items[1].reference"),
        ({**UPLOADED, "reference": ""}, "items[1].reference"),
        ({**UPLOADED, "reference": "=cmd"}, "items[1].reference"),
        ({**UPLOADED, "reference": "x" * 129}, "items[1].reference"),
        ({**UPLOADED, "reference": "a\u202eb"}, "items[1].reference"),
        ({**UPLOADED, "webhook_url": "https://192.168.1.1/"}, "items[1].webhook_url"),
    ],
)
def test_a_wrong_item_is_the_clients_bug_and_is_named(api: FlaskClient, live_core: Core, item: Any, field: str) -> None:
    body = problem(send(api, {**UPLOADED, "reference": "good"}, item), 400, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]
    assert is_untouched(live_core)


def test_many_wrong_items_are_named_but_not_all(api: FlaskClient) -> None:
    body = problem(send(api, *[{**UPLOADED, "size": 0}] * 100), 400, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [f"items[{n}].size" for n in range(20)]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_faces": 0}, "max_faces"),
        ({"reference": "x"}, "reference"),
        ({"webhook_events": ["batch.completed"]}, "webhook_events"),
        ({"nothing": 1}, "nothing"),
        ({"known_pd_mm": "wide"}, "known_pd_mm"),
    ],
)
def test_wrong_options_of_the_batch(api: FlaskClient, live_core: Core, options: dict[str, Any], field: str) -> None:
    body = problem(send(api, UPLOADED, **options), 400, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]
    assert is_untouched(live_core)


def test_thousands_of_options_are_not_taken_in(api: FlaskClient, live_core: Core) -> None:
    names = {f"option{number}": 1 for number in range(10_000)}
    refused = problem(send(api, UPLOADED, **names), 400, "invalid_request")
    assert [fault["field"] for fault in refused["errors"]] == ["body"]
    assert is_untouched(live_core)


def test_an_option_given_in_the_query_and_in_the_body(api: FlaskClient) -> None:
    response = api.post("/v1/batches?max_faces=2", json={"items": [UPLOADED], "max_faces": 2})
    assert problem(response, 400, "invalid_request")["errors"][0]["field"] == "max_faces"


def test_a_target_that_may_not_be_called(api: FlaskClient, live_core: Core) -> None:
    problem(send(api, UPLOADED, webhook_url="http://10.0.0.1/"), 400, "webhook_target_forbidden")
    assert is_untouched(live_core)


def test_uploads_and_urls_in_one_list(api: FlaskClient, live_core: Core) -> None:
    body = problem(send(api, UPLOADED, {**FETCHED, "reference": "b"}), 400, "invalid_request")
    assert "a batch of each" in body["detail"]
    assert is_untouched(live_core)


def test_a_reference_given_twice(api: FlaskClient, live_core: Core) -> None:
    body = problem(send(api, UPLOADED, {**UPLOADED, "reference": "b"}, UPLOADED), 400, "duplicate_reference")
    assert "items[2].reference" in body["detail"]
    assert is_untouched(live_core)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"items":[]}',
        b'{"items":null}',
        b"null",
        b"[" * 100_000,
        b'{"items":[{"size":1e400,"content_type":"image/jpeg"}]}',
        b'{"items":[{"reference":"\\ud800","size":1,"content_type":"image/jpeg"}]}',
        b'{"items":[{"\\ud800":1}]}',
        b'{"\\ud800":1,"items":[{}]}',
        b'{"items":[{"size":1,"size":2,"content_type":"image/jpeg"}]}',
        b'{"items":[{"size":NaN,"content_type":"image/jpeg"}]}',
        b'\xff\xfe{"items":[]}',
        b'{"items":[{"size":100,"content_type":"image/jpeg"}',
    ],
)
def test_what_is_no_list(api: FlaskClient, live_core: Core, data: bytes) -> None:
    problem(api.post("/v1/batches", data=data, content_type="application/json"), 400, "invalid_request")
    assert is_untouched(live_core)


@pytest.mark.parametrize(
    "kind", ["text/csv", "application/zip", "image/jpeg", "application/x-www-form-urlencoded", None]
)
def test_other_content_types(api: FlaskClient, kind: str | None) -> None:
    problem(api.post("/v1/batches", data=b"x", content_type=kind), 415, "unsupported_format")


@pytest.fixture
def small() -> FlaskClient:
    """An API that takes little."""
    settings = Settings(max_batch_items=3, max_manifest_bytes=1000, max_upload_bytes=500)
    core = Core(clock=system_clock, settings=settings)
    core.reconciler.round()
    return create_app(Services(core.jobs, core.desk, Waiters(core.store, places=1), settings)).test_client()


def test_one_item_too_many(small: FlaskClient) -> None:
    items = [{**UPLOADED, "reference": str(n)} for n in range(4)]
    assert len(send(small, *items[:3]).get_json()["items"]) == 3
    assert "at most 3 items" in problem(send(small, *items), 400, "invalid_request")["detail"]
    assert small.get("/v1/batches").get_json()["data"][1:] == []


def test_a_list_that_is_too_long(small: FlaskClient) -> None:
    problem(send_lines(small, b" " * 1001), 413, "payload_too_large")
    # Nobody says how long it is, so it is found out.
    response = small.post(
        "/v1/batches",
        input_stream=io.BytesIO(b" " * 5000),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    problem(response, 413, "payload_too_large")


def test_nothing_is_accepted_while_a_part_is_away(api: FlaskClient, live_core: Core) -> None:
    live_core.set_records_away(True)
    assert "Nothing was accepted" in problem(send(api, UPLOADED), 503, "unavailable")["detail"]
    live_core.set_records_away(False)
    live_core.objects.away = True
    problem(send(api, UPLOADED), 503, "unavailable")
    live_core.objects.away = False
    assert is_untouched(live_core)


def test_ten_thousand_items(api: FlaskClient, live_core: Core) -> None:
    items = [{**UPLOADED, "reference": f"SKU/{n}"} for n in range(10_000)]
    response = send(api, *items)
    assert response.status_code == 201
    forms = [item["upload"]["fields"] for item in response.get_json()["items"]]
    assert len({form["key"] for form in forms}) == 10_000
    assert live_core.stored(layout.UPLOADS) == []
    assert live_core.find_batch(response.get_json()["id"]).counts[JobStatus.AWAITING_UPLOAD] == 10_000
    assert "at most 10000" in problem(send(api, *items, UPLOADED), 400, "invalid_request")["detail"]
