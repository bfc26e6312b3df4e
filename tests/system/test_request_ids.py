"""One request followed by its id through the lines of every process that its photos come to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stack.stack import Stack
from tests.marks import token
from tests.system.marked_load import HERE_URL, receiver_of, wait_until

pytestmark = pytest.mark.system

MEASURED = "worker.processing"
FETCHED = "worker.fetching"
TOLD = "worker.delivery"


def lines_about(service: Stack, object_id: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of all processes about a job or batch, those of the API's own answers left out."""
    for log in service.folder.logs.glob("*.log"):
        for text in log.read_text().splitlines():
            if object_id in text and text.startswith("{"):
                line = json.loads(text)
                if object_id in {line.get("job"), line.get("batch")} and not line["logger"].startswith("api."):
                    yield line


def loggers_about(service: Stack, object_id: str) -> set[str]:
    return {line["logger"] for line in lines_about(service, object_id)}


def submit(http: httpx.Client, path: str, request_id: str, **body: Any) -> str:
    answer = http.post(path, headers={"X-Request-Id": request_id}, **body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["X-Request-Id"] == request_id
    made: str = answer.json()["id"]
    return made


def test_every_line_about_a_photo_names_the_request_that_brought_it(
    service: Stack, http: httpx.Client, astronaut: bytes
) -> None:
    files = {"image": ("photo.png", astronaut)}
    told = {"webhook_url": f"{HERE_URL}/hook"}
    requests = {kind: f"follow-{kind}-{token()}" for kind in ("file", "url", "batch")}
    with receiver_of({"/photo": astronaut}):
        made = {
            "file": submit(http, "/v1/jobs", requests["file"], files=files, data=told),
            "url": submit(http, "/v1/jobs", requests["url"], json={"image_url": f"{HERE_URL}/photo"}),
            "batch": submit(
                http, "/v1/batches", requests["batch"], files=[("images", ("photo.png", astronaut))], data=told
            ),
        }
        expected = {"file": {MEASURED, TOLD}, "url": {FETCHED, MEASURED}, "batch": {MEASURED, TOLD}}
        for kind, loggers in expected.items():
            wait_until(lambda k=kind, e=loggers: e <= loggers_about(service, made[k]), f"no lines of {kind}")  # type: ignore[misc]
    for kind, object_id in made.items():
        assert {line.get("request_id") for line in lines_about(service, object_id)} == {requests[kind]}, kind


def test_a_request_without_an_id_is_given_one_that_the_worker_repeats(
    service: Stack, http: httpx.Client, astronaut: bytes
) -> None:
    answer = http.post("/v1/jobs", files={"image": ("photo.png", astronaut)})
    job_id = answer.json()["id"]
    wait_until(lambda: MEASURED in loggers_about(service, job_id), "nobody measures it")
    assert {line.get("request_id") for line in lines_about(service, job_id)} == {answer.headers["X-Request-Id"]}
