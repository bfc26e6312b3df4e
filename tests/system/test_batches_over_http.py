"""Many photos, end to end, over HTTP, through every real part: each way in that brings its own photos."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.batch_schemas import Batch, BatchItemList, NewBatch
from shared.schemas import BatchStatus, JobStatus
from stack.stack import Stack
from tests.system.test_uploads_stream import api_memory_bytes
from tests.zips import plain_zip

pytestmark = pytest.mark.system


def ended(http: httpx.Client, batch_id: str) -> Batch:
    deadline = time.monotonic() + 120
    while True:
        answer = http.get(f"/v1/batches/{batch_id}?wait=30")
        batch = Batch.model_validate(answer.json())
        if batch.status.is_terminal:
            return batch
        assert time.monotonic() < deadline


def items_of(http: httpx.Client, batch_id: str) -> list[tuple[str | None, JobStatus, str | None]]:
    page = BatchItemList.model_validate(http.get(f"/v1/batches/{batch_id}/items").json())
    return [(item.reference, item.status, item.error.code if item.error else None) for item in page.data]


def test_many_parts(http: httpx.Client, astronaut: bytes, hopper: bytes) -> None:
    files = [("images", ("a.png", astronaut)), ("images", ("page.jpg", b"<html>")), ("images", ("写真.jpg", hopper))]
    accepted = http.post("/v1/batches", files=files, data={"landmarks": "false"})
    assert accepted.status_code == 202, accepted.text
    batch = ended(http, accepted.json()["id"])
    assert (batch.status, batch.total, batch.progress) == (BatchStatus.COMPLETED, 3, 1)
    assert items_of(http, batch.id) == [
        ("a.png", JobStatus.SUCCEEDED, None),
        ("page.jpg", JobStatus.REJECTED, "unsupported_format"),
        ("写真.jpg", JobStatus.SUCCEEDED, None),
    ]
    jobs = http.get("/v1/jobs", params={"batch_id": batch.id, "reference": "a.png"}).json()["data"]
    result = http.get(f"/v1/jobs/{jobs[0]['id']}").json()["result"]
    assert len(result["faces"]) == 1
    assert "landmarks" not in result["faces"][0]


def test_a_zip(http: httpx.Client, hopper: bytes) -> None:
    manifest = b"file,reference,max_faces\nfolder/a.jpg,SKU-7/1,2\n"
    files = {"folder/a.jpg": hopper, "../b.jpg": hopper, "folder/c.jpg": hopper, "manifest.csv": manifest}
    archive = io.BytesIO(plain_zip(files))
    accepted = http.post("/v1/batches", files={"archive": ("photos.zip", archive)})
    assert accepted.status_code == 202, accepted.text
    batch = ended(http, accepted.json()["id"])
    assert items_of(http, batch.id) == [
        ("SKU-7/1", JobStatus.SUCCEEDED, None),
        (None, JobStatus.REJECTED, "archive_entry_refused"),
        ("folder/c.jpg", JobStatus.SUCCEEDED, None),
    ]


def test_straight_to_storage(http: httpx.Client, hopper: bytes) -> None:
    told = {"size": len(hopper), "content_type": "image/jpeg"}
    items = [{**told, "reference": name} for name in ("a", "b", "c")]
    created = http.post("/v1/batches", json={"items": items, "landmarks": False})
    assert created.status_code == 201, created.text
    batch = NewBatch.model_validate(created.json())
    assert batch.status is BatchStatus.AWAITING_UPLOAD

    def upload(item: dict[str, Any], body: bytes) -> int:
        form = item["upload"]
        answer = httpx.post(form["url"], data=form["fields"], files={"file": body}, trust_env=False)
        return answer.status_code

    first, second, _ = created.json()["items"]
    assert upload(first, hopper) == 204
    assert upload(second, hopper + b"x") >= 400
    awaited = http.get(f"/v1/batches/{batch.id}/items?status=awaiting_upload").json()["data"]
    assert upload(awaited[1], hopper) == 204
    assert http.post(f"/v1/batches/{batch.id}/start").json()["counts"]["awaiting_upload"] == 1
    # The third comes late: it is found when the batch is looked at again, or when its client says so.
    assert upload(awaited[2], hopper) == 204
    assert http.post(f"/v1/batches/{batch.id}/start").json()["counts"]["awaiting_upload"] == 0
    ended(http, batch.id)
    assert items_of(http, batch.id) == [(name, JobStatus.SUCCEEDED, None) for name in ("a", "b", "c")]
    assert http.delete(f"/v1/batches/{batch.id}").status_code == 204
    assert http.get(f"/v1/batches/{batch.id}").status_code == 404


def form_of(n_parts: int, part: bytes) -> Iterator[bytes]:
    head = '--limit\r\nContent-Disposition: form-data; name="images"; filename="{}.jpg"\r\n\r\n'
    for number in range(n_parts):
        yield head.format(number).encode() + part + b"\r\n"
    yield b"--limit--\r\n"


def test_the_memory_of_the_api_does_not_grow_with_a_batch(http: httpx.Client, service: Stack) -> None:
    n_parts, part = 500, b"\xff\xd8\xff" + bytes(400_000)
    kind = {"Content-Type": "multipart/form-data; boundary=limit"}
    http.delete(http.post("/v1/batches", content=form_of(20, part), headers=kind).headers["Location"])
    before = api_memory_bytes(service)
    peak, is_over = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(0.1):
            peak = max(peak, api_memory_bytes(service))

    watcher = threading.Thread(target=watch)
    watcher.start()
    accepted = http.post("/v1/batches", content=form_of(n_parts, part), headers=kind)
    is_over.set()
    watcher.join()
    assert (accepted.status_code, accepted.json()["total"]) == (202, n_parts)
    http.delete(accepted.headers["Location"])
    assert peak - before < n_parts * len(part) / 5
