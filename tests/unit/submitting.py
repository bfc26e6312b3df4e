"""Photos as bytes, ways to send them, and a worker that answers at once: shared by the tests of the API."""

from __future__ import annotations

import io
import threading
import time
from typing import Any, BinaryIO

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.errors import StorageUnavailable
from shared.names import QueueName
from shared.schemas import JobStatus
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.results import a_result, as_written

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)


RESULT = as_written(a_result())


def form(**fields: str) -> dict[str, Any]:
    return {"image": (io.BytesIO(JPEG), "photo.jpg"), **fields}


def large_form(body: bytes, field: str = "image") -> dict[str, Any]:
    """A form by hand: the test client would leave a temporary file open."""
    head = f'--limit\r\nContent-Disposition: form-data; name="{field}"; filename="a.jpg"\r\n\r\n'.encode()
    return {"data": head + body + b"\r\n--limit--\r\n", "content_type": "multipart/form-data; boundary=limit"}


def submit(api: FlaskClient, query: str = "", **fields: str) -> TestResponse:
    return api.post(f"/v1/jobs{query}", data=form(**fields))


def finish(core: Core, status: JobStatus = JobStatus.SUCCEEDED, result: bytes = RESULT) -> None:
    job_id = core.doorbell.take(QueueName.INTERACTIVE)
    claim = core.jobs.claim(str(job_id))
    assert claim is not None
    core.jobs.finish(claim.record.ended(status, at_ms=core.clock()), result)


class LosesResults(MemoryObjectStore):
    """A store that is away whenever a result is read."""

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        if key.startswith("outcomes/"):
            raise StorageUnavailable(key)
        return super().get(key, first_bytes=first_bytes)


def losing_answers_of(prefix: str) -> type[MemoryObjectStore]:
    """Return a store that goes away once an object below a prefix is written, and says nothing of it."""

    class LosesItsAnswer(MemoryObjectStore):
        def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
            super().put(key, body, content_type=content_type)
            if key.startswith(prefix):
                self.away = True
                raise StorageUnavailable(key)

    return LosesItsAnswer


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
