"""The HTTP contract of jobs, over memory adapters; the same is seen once more over real parts in tests/system."""

from __future__ import annotations

import threading
import time

import orjson
import pytest
from flask.testing import FlaskClient

from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT, QueueName, new_job_id
from shared.schemas import Job, JobList, JobStatus
from tests.core import Core
from tests.unit.conftest import WAITING_PLACES
from tests.unit.submitting import RESULT, LosesResults, finish, finish_soon, form, problem, submit


def test_a_submitted_photo_is_accepted_and_found(api: FlaskClient) -> None:
    response = submit(api, reference="SKU-7/0042")
    assert response.status_code == 202
    job = Job.model_validate(response.get_json())
    assert (job.status, job.reference, job.queue_position) == (JobStatus.QUEUED, "SKU-7/0042", 1)
    assert response.headers["Location"] == f"/v1/jobs/{job.id}"
    assert response.headers["Retry-After"] == "1"
    assert response.get_json()["created_at"].endswith("Z")
    assert api.get(response.headers["Location"]).get_json() == response.get_json()


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
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("GET", "/overlay.svg"),
        ("GET", "/mesh.obj"),
        ("GET", "/mesh.ply"),
    ],
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

    live_core.objects = live_core.jobs.objects = LosesResults()
    live_core.jobs.archive.objects = live_core.objects
    thread = threading.Thread(target=go_away)
    thread.start()
    response = api.post(path, data=form(), headers={"Prefer": "wait=30"})
    thread.join()
    assert response.status_code == 202
    assert response.headers["Location"].startswith("/v1/jobs/job_")


@pytest.mark.parametrize("path", ["/v1/jobs", "/face-coordinates"])
def test_what_was_accepted_is_told_though_it_is_deleted_while_its_client_waits(
    api: FlaskClient, live_core: Core, path: str
) -> None:
    def deleted_meanwhile(record: JobRecord, _: float) -> JobRecord:
        live_core.jobs.delete(record.tenant, record.id)
        return live_core.jobs.find(record.tenant, record.id)

    with pytest.MonkeyPatch.context() as late:
        late.setattr("api.routes.jobs.wait_for", deleted_meanwhile)
        late.setattr("api.routes.legacy.wait_for", deleted_meanwhile)
        response = api.post(path, data=form(), headers={"Prefer": "wait=30"})
    assert response.status_code == 202
    assert response.headers["Location"].startswith("/v1/jobs/job_")


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


@pytest.mark.parametrize(
    "url",
    [
        "ftp://portal.example/",
        "http://portal.example/",
        "https://127.0.0.1/",
        "https://[::ffff:169.254.169.254]/latest",
        "https://portal.example:8443/",
        "https://user@portal.example/",
    ],
)
def test_a_target_that_may_not_be_called_is_refused_before_anything_is_stored(
    api: FlaskClient, live_core: Core, url: str
) -> None:
    refused = problem(submit(api, webhook_url=url), 400, "webhook_target_forbidden")
    assert refused["detail"]
    assert live_core.stored("uploads/") == []
