"""Photos that are sent as the URL they are at: what is taken, and what is refused before anything is stored."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.fetches.tickets import PhotoUrl
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from tests.core import Core
from tests.unit.submitting import problem

URL = "https://photos.example/p/1.jpg?signature=secret"


def send(api: FlaskClient, body: Any, query: str = "") -> TestResponse:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return api.post(f"/v1/jobs{query}", data=data, content_type="application/json")


def test_a_url_is_accepted_with_its_options(api: FlaskClient, live_core: Core) -> None:
    response = send(
        api, {"image_url": URL, "reference": "x", "require": ["eye_gap"], "landmarks": False}, "?max_faces=3"
    )
    assert response.status_code == 202
    body = response.get_json()
    assert response.headers["Location"] == f"/v1/jobs/{body['id']}"
    assert (body["status"], body["reference"], body["queue_position"]) == ("awaiting_upload", "x", None)
    record = live_core.find(body["id"])
    assert record.options == JobOptions(reference="x", require=["eye_gap"], landmarks=False, max_faces=3)
    assert live_core.jobs.archive.tickets.photo_of(record) == PhotoUrl(URL)
    assert live_core.doorbell.depth(QueueName.INTERACTIVE) == 0


def test_the_query_of_a_url_is_shown_nowhere(api: FlaskClient, live_core: Core) -> None:
    response = send(api, {"image_url": URL})
    assert "secret" not in response.text
    assert "secret" not in api.get("/v1/jobs").text
    assert "secret" not in repr(live_core.store.get(response.get_json()["id"]))
    assert [key for key in live_core.stored() if b"secret" in live_core.objects.get(key)] == [
        layout.ticket_key(LOCAL_TENANT, response.get_json()["id"])
    ]


def test_a_photo_that_is_awaited_is_listed_and_can_be_cancelled(api: FlaskClient, live_core: Core) -> None:
    job_id = send(api, {"image_url": URL}).get_json()["id"]
    listed = api.get("/v1/jobs?status=awaiting_upload").get_json()["data"]
    assert [job["id"] for job in listed] == [job_id]
    assert api.post(f"/v1/jobs/{job_id}/cancel").get_json()["status"] == "cancelled"
    assert live_core.find(job_id).status is JobStatus.CANCELLED
    assert live_core.stored("tickets/") == []


def test_a_photo_that_is_awaited_can_be_deleted(api: FlaskClient, live_core: Core) -> None:
    job_id = send(api, {"image_url": URL, "max_faces": 2}).get_json()["id"]
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert api.get(f"/v1/jobs/{job_id}").status_code == 404
    assert live_core.stored() == [layout.tombstone_key(LOCAL_TENANT, job_id)]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://photos.example/1.jpg", "FACEFIT_OUTBOUND_ALLOW_HTTP"),
        ("https://127.0.0.1/1.jpg", "FACEFIT_OUTBOUND_ALLOWED_HOSTS"),
        ("https://169.254.169.254/latest/meta-data", "FACEFIT_OUTBOUND_ALLOWED_HOSTS"),
        ("https://[::ffff:10.0.0.1]/1.jpg", "FACEFIT_OUTBOUND_ALLOWED_HOSTS"),
        ("https://localhost/1.jpg", "FACEFIT_OUTBOUND_ALLOWED_HOSTS"),
        ("https://photos.example:22/1.jpg", "FACEFIT_OUTBOUND_PORTS"),
        ("https://user:pass@photos.example/1.jpg", "user or password"),
        ("file:///etc/passwd", "https://"),
        ("https://photos.example/" + "x" * 2030, "2048"),
        ("photo.jpg", "https://"),
        ("", "https://"),
    ],
)
def test_a_forbidden_url_is_refused_at_once(api: FlaskClient, live_core: Core, url: str, says: str) -> None:
    body = problem(send(api, {"image_url": url}), 400, "invalid_request")
    (error,) = body["errors"]
    assert error["field"] == "image_url"
    assert says in error["message"]
    assert live_core.stored() == []


def test_the_longest_url_is_taken(api: FlaskClient) -> None:
    head = "https://photos.example/"
    assert send(api, {"image_url": head + "x" * (2048 - len(head))}).status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"[" * 60_000, "body"),
        (b'"https://photos.example/"', "body"),
        (b"{}", "image_url"),
        ({"image_url": None}, "image_url"),
        ({"image_url": 7}, "image_url"),
        ({"image_url": [URL]}, "image_url"),
        ({"image_url": URL, "max_faces": 11}, "max_faces"),
        ({"image_url": URL, "reference": {"a": 1}}, "reference"),
        ({"image_url": URL, "colour": "red"}, "colour"),
        ({"image_url": URL, "reference": "x" * 70_000}, "body"),
    ],
)
def test_what_is_no_url_with_options_is_refused(api: FlaskClient, live_core: Core, body: Any, field: str) -> None:
    found = problem(send(api, body), 400, "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]
    assert live_core.stored() == []


def test_an_option_given_twice_is_refused(api: FlaskClient) -> None:
    found = problem(send(api, {"image_url": URL, "max_faces": 2}, "?max_faces=3"), 400, "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["max_faces"]


def test_a_url_is_no_form_field_and_the_original_endpoint_takes_none(api: FlaskClient) -> None:
    problem(api.post("/v1/jobs", data={"image_url": URL}), 415, "unsupported_format")
    answer = api.post("/face-coordinates", data=orjson.dumps({"image_url": URL}), content_type="application/json")
    problem(answer, 415, "unsupported_format")


@pytest.mark.parametrize("away", ["records", "storage"])
def test_nothing_is_left_of_what_was_not_accepted(api: FlaskClient, live_core: Core, away: str) -> None:
    live_core.set_records_away(away == "records")
    live_core.objects.away = away == "storage"
    problem(send(api, {"image_url": URL, "max_faces": 2}), 503, "unavailable")
    live_core.objects.away = False
    assert live_core.stored() == []


def test_the_body_is_described(api: FlaskClient) -> None:
    document = api.get("/openapi.json").get_json()
    schema = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["image_url"]
    assert set(schema["properties"]) == {"image_url", *JobOptions.model_fields}
