"""The HTTP contract of jobs, over memory adapters; the same is seen once more over real parts in tests/system."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.config import MEGABYTE
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import Job, JobList, JobOptions, JobStatus
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.unit.conftest import WAITING_PLACES

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
RESULT = orjson.dumps(
    {
        "image": {"width": 10, "height": 20, "format": "jpeg", "exif_orientation": 1, "sha256": "00"},
        "model": {"engine": "e", "version": "v", "definitions": "d"},
        "timings_ms": {},
        "faces": [
            {
                "bounding_box": {"x": 0.0, "y": 0.0, "width": 9.0, "height": 9.0},
                "confidence": 0.9,
                "measurements": {k: {"px": 3.6} for k in ("forehead_width", "eye_gap", "chin_width")},
                "landmarks": [{"id": i, "x": 1.5, "y": 2.6, "z": 0.0} for i in range(478)],
            }
        ],
    }
)


def form(**fields: str) -> dict[str, Any]:
    return {"image": (io.BytesIO(JPEG), "photo.jpg"), **fields}


def large_form(body: bytes) -> dict[str, Any]:
    """A form by hand: the test client would leave a temporary file open."""
    head = b'--limit\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return {"data": head + body + b"\r\n--limit--\r\n", "content_type": "multipart/form-data; boundary=limit"}


def submit(api: FlaskClient, query: str = "", **fields: str) -> TestResponse:
    return api.post(f"/v1/jobs{query}", data=form(**fields))


def finish(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    job_id = core.doorbell.take(QueueName.INTERACTIVE)
    claim = core.jobs.claim(str(job_id))
    assert claim is not None
    core.jobs.finish(claim.record.ended(status, at_ms=core.clock()), RESULT)


class SlowToRead(MemoryObjectStore):
    """A store that is away by the time a result is read."""

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        if key.startswith("outcomes/"):
            time.sleep(0.1)
        return super().get(key, first_bytes=first_bytes)


def finish_soon(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> threading.Thread:
    def run() -> None:
        while not core.doorbell.depth(QueueName.INTERACTIVE):
            time.sleep(0.01)
        finish(core, status)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = response.get_json()
    assert body["type"] == f"urn:facefit:problem:{code}"
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


def test_a_submitted_photo_is_accepted_and_found(api: FlaskClient) -> None:
    response = submit(api, reference="SKU-7/0042")
    assert response.status_code == 202
    job = Job.model_validate(response.get_json())
    assert (job.status, job.reference, job.queue_position) == (JobStatus.QUEUED, "SKU-7/0042", 1)
    assert response.headers["Location"] == f"/v1/jobs/{job.id}"
    assert response.headers["Retry-After"] == "1"
    assert response.get_json()["created_at"].endswith("Z")
    assert api.get(response.headers["Location"]).get_json() == response.get_json()


def test_raw_bytes_with_options_in_the_query(api: FlaskClient, live_core: Core) -> None:
    response = api.post(
        "/v1/jobs?max_faces=3&landmarks=false&keep_image=true&reference=x", data=JPEG, content_type="image/jpeg"
    )
    assert response.status_code == 202
    record = live_core.store.get(response.get_json()["id"])
    assert record is not None
    assert record.options == JobOptions(max_faces=3, landmarks=False, keep_image=True, reference="x")


def test_a_png_that_says_it_is_a_jpeg_is_taken_for_what_it_is(api: FlaskClient) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    assert api.post("/v1/jobs", data=png, content_type="image/jpeg").status_code == 202


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_faces": "0"}, "max_faces"),
        ({"max_faces": "11"}, "max_faces"),
        ({"max_faces": "many"}, "max_faces"),
        ({"landmarks": "perhaps"}, "landmarks"),
        ({"keep_image": ""}, "keep_image"),
        ({"reference": "x" * 129}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "two\nlines"}, "reference"),
        ({"colour": "red"}, "colour"),
        ({"known_pd": "63"}, "known_pd"),
    ],
)
def test_wrong_options_are_named(api: FlaskClient, live_core: Core, fields: dict[str, str], field: str) -> None:
    for response in (
        submit(api, **fields),
        api.post("/v1/jobs", query_string=fields, data=JPEG, content_type="image/jpeg"),
    ):
        body = problem(response, 400, "invalid_request")
        assert [entry["field"] for entry in body["errors"]] == [field]
    assert live_core.stored() == []


def test_an_option_given_twice_is_no_option(api: FlaskClient) -> None:
    body = problem(submit(api, "?max_faces=1", max_faces="2"), 400, "invalid_request")
    assert body["errors"][0]["field"] == "max_faces"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", None),
        (b"", "image/jpeg"),
        ({"image": (io.BytesIO(b""), "empty.jpg")}, "multipart/form-data"),
        ({"image": "text"}, "multipart/form-data"),
        ({"photo": (io.BytesIO(JPEG), "photo.jpg")}, "multipart/form-data"),
        ({"image": [(io.BytesIO(JPEG), "a.jpg"), (io.BytesIO(JPEG), "b.jpg")]}, "multipart/form-data"),
        (b"--x\r\nno form", "multipart/form-data; boundary=x"),
        (b"no boundary", "multipart/form-data"),
    ],
)
def test_requests_without_one_photo(api: FlaskClient, live_core: Core, data: Any, content_type: str | None) -> None:
    problem(api.post("/v1/jobs", data=data, content_type=content_type), 400, "invalid_request")
    assert live_core.stored() == []


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"<html>not a photo</html>", "image/jpeg"),
        (b"GIF89a" + bytes(64), "image/gif"),
        (JPEG, "text/plain"),
        (JPEG, "application/x-www-form-urlencoded"),
        (b'{"image_url": "https://example.org/a.jpg"}', "application/json"),
    ],
)
def test_what_is_no_accepted_image(api: FlaskClient, live_core: Core, data: bytes, content_type: str) -> None:
    problem(api.post("/v1/jobs", data=data, content_type=content_type), 415, "unsupported_format")
    assert live_core.stored() == []


@pytest.mark.parametrize("as_form", [True, False])
@pytest.mark.parametrize("too_many", [1, 3 * MEGABYTE])
def test_too_many_bytes(api: FlaskClient, live_core: Core, as_form: bool, too_many: int) -> None:
    body = JPEG + bytes(20 * MEGABYTE - len(JPEG) + too_many)
    if as_form:
        response = api.post("/v1/jobs", **large_form(body))
    else:
        response = api.post("/v1/jobs", data=body, content_type="image/jpeg")
    problem(response, 413, "payload_too_large")
    assert live_core.stored() == []


def test_as_many_bytes_as_are_allowed(api: FlaskClient) -> None:
    assert api.post("/v1/jobs", **large_form(JPEG + bytes(20 * MEGABYTE - len(JPEG)))).status_code == 202


def test_a_finished_job_has_its_result(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    finish(live_core)
    body = api.get(location).get_json()
    assert body["result"] == orjson.loads(RESULT)
    assert Job.model_validate(body).status is JobStatus.SUCCEEDED
    assert "Retry-After" not in api.get(location).headers


def test_an_etag_spares_the_result(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    queued = api.get(location).headers["ETag"]
    assert api.get(location, headers={"If-None-Match": queued}).status_code == 304
    finish(live_core)
    changed = api.get(location, headers={"If-None-Match": queued})
    assert changed.status_code == 200
    live_core.objects.away = True
    same = api.get(location, headers={"If-None-Match": f'"other", W/{changed.headers["ETag"]}'})
    assert (same.status_code, same.data) == (304, b"")


def test_prefer_wait_answers_with_the_finished_job(api: FlaskClient, live_core: Core) -> None:
    worker = finish_soon(live_core)
    response = api.post("/v1/jobs", data=form(), headers={"Prefer": "respond-async, wait=99"})
    worker.join()
    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=30"
    assert response.get_json()["result"]["faces"]


@pytest.mark.parametrize("prefer", ["wait=0", "wait=x", "wait=-1", "wait", "", "wait=1e9", "return=minimal"])
def test_no_wait_or_nonsense_is_answered_at_once(api: FlaskClient, prefer: str) -> None:
    assert api.post("/v1/jobs", data=form(), headers={"Prefer": prefer}).status_code == 202


def test_time_is_up(api: FlaskClient) -> None:
    response = api.post("/v1/jobs", data=form(), headers={"Prefer": "wait=1"})
    assert response.status_code == 202
    assert response.headers["Location"]


def test_long_polling_wakes_for_every_end(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    worker = finish_soon(live_core, JobStatus.REJECTED)
    assert api.get(f"{location}?wait=30").get_json()["status"] == "rejected"
    worker.join()


def test_waiting_for_a_job_that_is_deleted_meanwhile(api: FlaskClient, live_core: Core) -> None:
    job_id = submit(api).get_json()["id"]
    deleter = threading.Timer(0.2, live_core.jobs.delete, (LOCAL_TENANT, job_id))
    deleter.start()
    problem(api.get(f"/v1/jobs/{job_id}?wait=30"), 404, "not_found")
    deleter.join()


def test_a_process_that_stops_answers_whoever_waits(api: FlaskClient) -> None:
    location = submit(api).headers["Location"]
    waiters = api.application.extensions["facefit"].waiters
    closer = threading.Timer(0.2, waiters.close)
    closer.start()
    assert api.get(f"{location}?wait=30").get_json()["status"] == "queued"
    closer.join()
    assert api.get(f"{location}?wait=30").get_json()["status"] == "queued"


def test_a_full_house_answers_at_once(api: FlaskClient, live_core: Core) -> None:
    job_id = submit(api).get_json()["id"]
    path = f"/v1/jobs/{job_id}?wait=30"
    held = [threading.Thread(target=lambda: api.application.test_client().get(path)) for _ in range(WAITING_PLACES)]
    for thread in held:
        thread.start()
    waiting = api.application.extensions["facefit"].waiters
    while len(waiting._events.get(job_id, ())) < WAITING_PLACES:
        time.sleep(0.01)
    assert api.get(path).get_json()["status"] == "queued"  # the house is full: no 30 s
    finish(live_core)
    for thread in held:
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.mark.parametrize("query", ["wait=x", "wait=-1", "waits=1", "wait=nan"])
def test_wrong_queries_are_named(api: FlaskClient, query: str) -> None:
    location = submit(api).headers["Location"]
    problem(api.get(f"{location}?{query}"), 400, "invalid_request")


def test_lists_are_paged_to_the_end(api: FlaskClient, live_core: Core) -> None:
    ids = [submit(api, reference="even" if n % 2 == 0 else "odd").get_json()["id"] for n in range(5)]
    finish(live_core)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = JobList.model_validate(api.get("/v1/jobs", query_string=query).get_json())
        seen += [job.id for job in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == sorted(ids, reverse=True)
    assert [job["id"] for job in api.get("/v1/jobs?reference=even&status=succeeded").get_json()["data"]] == [ids[0]]
    assert api.get("/v1/jobs?status=failed").get_json() == {"object": "list", "data": [], "next_cursor": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "status=done", "cursor=x", "page=2", "reference="])
def test_wrong_lists(api: FlaskClient, query: str) -> None:
    problem(api.get(f"/v1/jobs?{query}"), 400, "invalid_request")


@pytest.mark.parametrize("job_id", ["x", "job_", "job_../../uploads", new_job_id()])
@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/overlay.svg")],
)
def test_unknown_ids(api: FlaskClient, method: str, suffix: str, job_id: str) -> None:
    problem(api.open(f"/v1/jobs/{job_id}{suffix}", method=method), 404, "not_found")


def test_cancel_retry_and_delete(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    problem(api.post(f"{location}/retry"), 409, "not_finished")
    assert api.post(f"{location}/cancel").get_json()["status"] == "cancelled"
    problem(api.post(f"{location}/cancel"), 409, "already_finished")
    problem(api.post(f"{location}/retry"), 409, "already_finished")
    deleted = api.delete(location)
    assert (deleted.status_code, deleted.data) == (204, b"")
    problem(api.get(location), 404, "not_found")
    live_core.doorbell.rung.clear()
    failed = submit(api).headers["Location"]
    finish(live_core, JobStatus.FAILED)
    again = api.post(f"{failed}/retry")
    assert (again.status_code, again.get_json()["status"], again.headers["Location"]) == (202, "queued", failed)
    finish(live_core, JobStatus.FAILED)
    live_core.objects.delete(f"uploads/local/{failed.rsplit('/', 1)[1]}")
    problem(api.post(f"{failed}/retry"), 409, "upload_gone")


def test_overlays(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    problem(api.get(f"{location}/overlay.svg"), 409, "not_finished")
    finish(live_core)
    drawn = api.get(f"{location}/overlay.svg")
    assert drawn.content_type == "image/svg+xml"
    assert drawn.headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:")
    assert 'viewBox="0 0 10 20"' in drawn.text
    assert "<image" not in drawn.text
    bare = submit(api, landmarks="false").headers["Location"]
    finish(live_core)
    problem(api.get(f"{bare}/overlay.svg"), 409, "landmarks_not_kept")
    cancelled = submit(api).headers["Location"]
    api.post(f"{cancelled}/cancel")
    problem(api.get(f"{cancelled}/overlay.svg"), 404, "not_found")


def test_the_original_endpoint(api: FlaskClient, live_core: Core) -> None:
    worker = finish_soon(live_core)
    body = api.post("/face-coordinates", data=form()).get_json()
    worker.join()
    assert body["measurements"] == {"forehead_width_px": 4, "eye_gap_px": 4, "chin_width_px": 4}
    assert len(body["landmarks"]) == 468
    assert body["landmarks"][467] == {"id": 467, "x": 2, "y": 3}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_original_endpoint_is_for_posting(api: FlaskClient, method: str) -> None:
    response = api.open("/face-coordinates", method=method)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [(JobStatus.FAILED, 500, "processing_failed"), (JobStatus.CANCELLED, 409, "already_finished")],
)
def test_the_original_endpoint_when_there_is_no_result(
    api: FlaskClient, live_core: Core, status: JobStatus, expected: int, code: str
) -> None:
    def run() -> None:
        while not live_core.doorbell.depth(QueueName.INTERACTIVE):
            time.sleep(0.01)
        job_id = str(live_core.doorbell.take(QueueName.INTERACTIVE))
        if status is JobStatus.CANCELLED:
            live_core.jobs.cancel(LOCAL_TENANT, job_id)
        for _ in range(3):
            if claim := live_core.jobs.claim(job_id):
                live_core.jobs.give_back(claim, retry_after_s=0, charge=True)

    worker = threading.Thread(target=run)
    worker.start()
    problem(api.post("/face-coordinates", data=form()), expected, code)
    worker.join()


def test_the_original_endpoint_passes_over_other_fields(api: FlaskClient, live_core: Core) -> None:
    worker = finish_soon(live_core)
    response = api.post("/face-coordinates?landmarks=false", data=form(landmarks="false", anything="else"))
    worker.join()
    assert len(response.get_json()["landmarks"]) == 468


@pytest.mark.parametrize("path", ["/v1/jobs", "/face-coordinates"])
@pytest.mark.parametrize("part", ["records", "storage"])
def test_what_was_accepted_is_said_to_be_accepted_whatever_is_away_by_then(
    api: FlaskClient, live_core: Core, path: str, part: str
) -> None:
    def go_away() -> None:
        while not live_core.doorbell.depth(QueueName.INTERACTIVE):
            time.sleep(0.01)
        if part == "records":
            live_core.set_records_away(True)
        else:
            finish(live_core)
            live_core.objects.away = True

    live_core.objects = live_core.jobs.objects = SlowToRead()
    live_core.jobs.archive.objects = live_core.objects
    thread = threading.Thread(target=go_away)
    thread.start()
    response = api.post(path, data=form(), headers={"Prefer": "wait=30"})
    thread.join()
    assert response.status_code == 202
    assert response.headers["Location"].startswith("/v1/jobs/job_")


def test_a_raw_photo_that_was_cut_short_is_not_accepted(api: FlaskClient, live_core: Core) -> None:
    response = api.post(
        "/v1/jobs",
        input_stream=io.BytesIO(JPEG),
        content_type="image/jpeg",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(JPEG) + 1)},
    )
    problem(response, 400, "invalid_request")
    assert live_core.stored() == []


def test_a_form_with_too_many_fields_is_not_called_a_large_photo(api: FlaskClient) -> None:
    problem(api.post("/v1/jobs", data=form(**{f"f{n}": "x" for n in range(70)})), 400, "invalid_request")


def test_an_unchanged_open_job_says_when_to_ask_again(api: FlaskClient) -> None:
    location = submit(api).headers["Location"]
    same = api.get(location, headers={"If-None-Match": api.get(location).headers["ETag"]})
    assert (same.status_code, same.headers["Retry-After"]) == (304, "1")


def test_parts_that_are_away(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    live_core.set_records_away(True)
    for response in (submit(api), api.get(location), api.get("/v1/jobs"), api.delete(location)):
        problem(response, 503, "unavailable")
        assert response.headers["Retry-After"] == "5"
    live_core.set_records_away(False)
    live_core.objects.away = True
    problem(submit(api), 503, "unavailable")
    live_core.objects.away = False
    assert [key for key in live_core.stored() if key.startswith("uploads/")] == [f"uploads/local/{location[9:]}"]


def test_lists_wait_for_the_rebuild_and_jobs_do_not(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    live_core.lose_records()
    problem(api.get("/v1/jobs"), 503, "unavailable")
    assert api.get(location).get_json()["status"] == "queued"
