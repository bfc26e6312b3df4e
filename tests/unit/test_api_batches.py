"""The HTTP contract of batches once they are made: read, wait, list, start, cancel, retry, delete."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.batch_schemas import Batch, BatchItem, BatchItemList, BatchList, NewBatch, UploadForm
from shared.clock import to_ms
from shared.names import LOCAL_TENANT, QueueName, new_batch_id
from shared.schemas import BatchStatus, JobList, JobStatus
from shared.storage import layout
from tests.core import PHOTO, Core
from tests.unit.submitting import problem


def expect(api: FlaskClient, *references: str, **options: Any) -> NewBatch:
    """Make a batch whose photos come by upload forms."""
    items = [{"reference": name, "size": len(PHOTO), "content_type": "image/jpeg"} for name in references]
    response = api.post("/v1/batches", json={"items": items, **options})
    assert response.status_code == 201, response.text
    assert response.headers["Location"] == f"/v1/batches/{response.get_json()['id']}"
    assert int(response.headers["Content-Length"]) == len(response.data)
    return NewBatch.model_validate(response.get_json())


def form_of(item: BatchItem) -> UploadForm:
    assert item.upload
    return item.upload


def items_of(api: FlaskClient, batch_id: str, query: str = "") -> BatchItemList:
    return BatchItemList.model_validate(api.get(f"/v1/batches/{batch_id}/items{query}").get_json())


def measure_all(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    while core.work_in_bulk(status):
        pass


def test_photos_are_uploaded_by_their_forms_and_measured_once_it_is_started(api: FlaskClient, live_core: Core) -> None:
    batch = expect(api, "SKU-7/a", "SKU-7/b", max_faces=3)
    assert (batch.status, batch.total, batch.counts.awaiting_upload) == (BatchStatus.AWAITING_UPLOAD, 2, 2)
    assert [(item.reference, item.item_index, item.batch_id) for item in batch.items] == [
        ("SKU-7/a", 0, batch.id),
        ("SKU-7/b", 1, batch.id),
    ]
    first, second = (form_of(item) for item in batch.items)
    assert not live_core.objects.post(first.fields, PHOTO + b"x")
    assert not live_core.objects.post({**first.fields, "key": second.fields["key"]}, PHOTO)
    assert live_core.objects.post(first.fields, PHOTO)
    started = api.post(f"/v1/batches/{batch.id}/start")
    assert (started.status_code, started.get_json()["status"]) == (202, "running")
    assert started.get_json()["counts"]["queued"] == 1
    measure_all(live_core)
    assert api.post(f"/v1/batches/{batch.id}/start").status_code == 202  # said again, it is no error
    states = [(item.reference, item.status) for item in items_of(api, batch.id).data]
    assert states == [("SKU-7/a", JobStatus.SUCCEEDED), ("SKU-7/b", JobStatus.AWAITING_UPLOAD)]
    assert [record.options.max_faces for record in live_core.items(batch.id)] == [3, 3]


def test_forms_are_asked_for_again(api: FlaskClient, live_core: Core) -> None:
    batch = expect(api, *"abcde")
    live_core.objects.post(form_of(batch.items[1]).fields, PHOTO)
    api.post(f"/v1/batches/{batch.id}/start")
    seen = []
    cursor = ""
    while True:
        page = items_of(api, batch.id, f"?status=awaiting_upload&limit=2{cursor}")
        seen += page.data
        if page.next_cursor is None:
            break
        cursor = f"&cursor={page.next_cursor}"
    assert [item.reference for item in seen] == ["a", "c", "d", "e"]
    for form in map(form_of, seen):
        assert form.expires_at == batch.upload_deadline
        assert live_core.objects.post(form.fields, PHOTO)
    assert api.post(f"/v1/batches/{batch.id}/start").get_json()["counts"]["queued"] == 5


def test_no_forms_are_given_for_photos_that_are_not_awaited(api: FlaskClient, live_core: Core) -> None:
    batch = expect(api, "a", "b")
    live_core.objects.post(form_of(batch.items[0]).fields, PHOTO)
    api.post(f"/v1/batches/{batch.id}/start")
    assert [item.upload is None for item in items_of(api, batch.id).data] == [True, False]
    assert batch.upload_deadline
    deadline_ms = to_ms(batch.upload_deadline.timestamp())
    live_core.jobs.clock = lambda: deadline_ms
    assert [item.upload for item in items_of(api, batch.id).data] == [None, None]


def test_a_batch_says_how_far_it_is_and_is_not_sent_twice(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a", "b", "c", "d"])
    path = f"/v1/batches/{batch.id}"
    first = api.get(path)
    assert first.headers["Retry-After"] == "1"
    same = api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data, same.headers["Retry-After"]) == (304, b"", "1")
    for item in live_core.items(batch.id)[:3]:
        live_core.measure(item.id)
    now = api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert now.status_code == 200
    told = Batch.model_validate(now.get_json())
    assert (told.status, told.progress, told.counts.succeeded) == (BatchStatus.RUNNING, 0.75, 3)
    assert told.images_per_second
    assert told.eta_s
    # Rate and estimate differ with every second: nothing has happened for that.
    later_ms = live_core.jobs.clock() + 2000
    live_core.jobs.clock = lambda: later_ms
    later = api.get(path, headers={"If-None-Match": now.headers["ETag"]})
    assert later.status_code == 304
    measure_all(live_core)
    ended = api.get(path)
    assert (ended.get_json()["status"], ended.get_json()["progress"]) == ("completed", 1)
    assert ended.get_json()["completed_at"]
    assert "Retry-After" not in ended.headers


def test_waiting_for_a_batch(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a"])
    worker = threading.Timer(0.2, measure_all, (live_core,))
    worker.start()
    assert api.get(f"/v1/batches/{batch.id}?wait=30").get_json()["status"] == "completed"
    worker.join()
    assert api.get(f"/v1/batches/{batch.id}?wait=30").get_json()["status"] == "completed"


def test_lists_are_paged_to_the_end(api: FlaskClient, live_core: Core) -> None:
    ids = [live_core.accept_batch([str(n)]).id for n in range(5)]
    expect(api, "a")
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2", "status": "running"}
    while True:
        page = BatchList.model_validate(api.get("/v1/batches", query_string=query).get_json())
        assert all(batch.status is BatchStatus.RUNNING for batch in page.data)
        seen += [batch.id for batch in page.data]
        if page.next_cursor is None:
            break
        query["cursor"] = page.next_cursor
    assert seen == sorted(ids, reverse=True)
    assert len(api.get("/v1/batches").get_json()["data"]) == 6
    assert api.get("/v1/batches?status=completed").get_json() == {"object": "list", "data": [], "next_cursor": None}
    measure_all(live_core)
    assert len(api.get("/v1/batches?status=completed").get_json()["data"]) == 5


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "status=done", "cursor=x", "page=2"])
def test_wrong_lists(api: FlaskClient, query: str) -> None:
    problem(api.get(f"/v1/batches?{query}"), 400, "invalid_request")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "status=done", "cursor=x", "cursor=-1", "page=2"])
def test_wrong_lists_of_items(api: FlaskClient, live_core: Core, query: str) -> None:
    batch = live_core.accept_batch(["a"])
    problem(api.get(f"/v1/batches/{batch.id}/items?{query}"), 400, "invalid_request")


def test_jobs_are_listed_by_their_batch(api: FlaskClient, live_core: Core) -> None:
    live_core.accept()
    batch, _ = live_core.accept_batch(["a", "b"]), live_core.accept_batch(["c"])
    page = JobList.model_validate(api.get(f"/v1/jobs?batch_id={batch.id}").get_json())
    assert [(job.reference, job.batch_id) for job in page.data] == [("b", batch.id), ("a", batch.id)]
    assert api.get(f"/v1/jobs?batch_id={new_batch_id()}").get_json()["data"] == []
    problem(api.get("/v1/jobs?batch_id=x"), 400, "invalid_request")


def test_cancelling(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a", "b"])
    path = f"/v1/batches/{batch.id}"
    live_core.measure(live_core.items(batch.id)[0].id)
    cancelled = api.post(f"{path}/cancel")
    assert (cancelled.status_code, cancelled.get_json()["status"]) == (200, "cancelled")
    assert cancelled.get_json()["counts"]["cancelled"] == 1
    assert live_core.stored(layout.UPLOADS) == []
    assert api.post(f"{path}/cancel").status_code == 200
    assert "batch" in problem(api.post(f"{path}/retry"), 409, "already_finished")["detail"]
    problem(api.post(f"{path}/start"), 409, "already_finished")
    complete = live_core.accept_batch(["a"])
    measure_all(live_core)
    problem(api.post(f"/v1/batches/{complete.id}/cancel"), 409, "already_finished")


def test_failed_items_are_run_again(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a", "b", "c"])
    items = live_core.items(batch.id)
    live_core.measure(items[0].id)
    live_core.measure(items[1].id, JobStatus.FAILED)
    live_core.measure(items[2].id, JobStatus.FAILED)
    live_core.objects.delete(layout.upload_key(LOCAL_TENANT, items[2].id, batch.id))
    path = f"/v1/batches/{batch.id}"
    again = api.post(f"{path}/retry")
    assert (again.status_code, again.get_json()["status"]) == (202, "running")
    assert (again.get_json()["counts"]["queued"], again.get_json()["counts"]["failed"]) == (1, 1)
    measure_all(live_core)
    assert api.get(path).get_json()["status"] == "completed"
    # None is left whose photo is there.
    assert api.post(f"{path}/retry").get_json()["status"] == "completed"


def test_deleting(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a", "b"])
    job_id = live_core.items(batch.id)[0].id
    measure_all(live_core)
    deleted = api.delete(f"/v1/batches/{batch.id}")
    assert (deleted.status_code, deleted.data) == (204, b"")
    for path in (f"/v1/batches/{batch.id}", f"/v1/batches/{batch.id}/items", f"/v1/jobs/{job_id}"):
        problem(api.get(path), 404, "not_found")
    assert api.get("/v1/batches").get_json()["data"] == []
    problem(api.delete(f"/v1/batches/{batch.id}"), 404, "not_found")


@pytest.mark.parametrize(
    "batch_id", ["x", "bat_", "bat_../../uploads", "job_01hzzzzzzzzzzzzzzzzzzzzzzz", new_batch_id()]
)
@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("GET", "/items"),
        ("DELETE", ""),
        ("POST", "/start"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ],
)
def test_unknown_ids(api: FlaskClient, method: str, suffix: str, batch_id: str) -> None:
    problem(api.open(f"/v1/batches/{batch_id}{suffix}", method=method), 404, "not_found")


def test_batches_of_another_tenant_are_not_there(api: FlaskClient, live_core: Core) -> None:
    theirs = live_core.accept_batch(["a"], tenant="another")
    for method, suffix in (("GET", ""), ("GET", "/items"), ("POST", "/cancel"), ("DELETE", "")):
        problem(api.open(f"/v1/batches/{theirs.id}{suffix}", method=method), 404, "not_found")
    assert api.get("/v1/batches").get_json()["data"] == []
    assert live_core.store.batches.get(theirs.id) is not None


def test_parts_that_are_away(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.expect_batch(["a"])
    path = f"/v1/batches/{batch.id}"
    live_core.set_records_away(True)
    for method, target in (("GET", path), ("GET", "/v1/batches"), ("POST", f"{path}/start"), ("DELETE", path)):
        problem(api.open(target, method=method), 503, "unavailable")
    live_core.set_records_away(False)
    live_core.objects.away = True
    for target in (f"{path}/start", f"{path}/cancel"):
        problem(api.post(target), 503, "unavailable")
    assert api.get(path).get_json()["status"] == "awaiting_upload"


def test_batches_wait_for_the_rebuild(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a"])
    live_core.lose_records()
    problem(api.get(f"/v1/batches/{batch.id}"), 503, "unavailable")
    problem(api.get("/v1/batches"), 503, "unavailable")
    live_core.reconciler.round()
    assert api.get(f"/v1/batches/{batch.id}").get_json()["counts"]["queued"] == 1
    assert live_core.doorbell.depth(QueueName.BULK) >= 1
