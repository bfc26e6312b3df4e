"""Real processes, real signals: a batch that is sent again under its key is found, whatever was killed or emptied."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import redis

from shared.jobs.batch_archive import BatchArchive
from shared.names import LOCAL_TENANT
from shared.storage import layout
from shared.storage.s3 import S3ObjectStore
from stack.services import settings_of
from stack.stack import Stack
from tests.faults.waiting import PATIENCE_S, wait_for_another, wait_until

pytestmark = [pytest.mark.long, pytest.mark.faults, pytest.mark.timeout(300)]

NO_PHOTO = b"\xff\xd8\xff\xe0" + bytes(2000)
PHOTOS = [("images", (f"photo {n}.jpg", NO_PHOTO + bytes([n % 256]))) for n in range(400)]
ITEMS = [{"reference": f"photo {n}", "size": len(NO_PHOTO), "content_type": "image/jpeg"} for n in range(2000)]
URL = "https://nobody.invalid/1.jpg"
"""Asked for four times in over two minutes: that long its photo is awaited."""


@dataclass
class Client:
    """Sends the same request again and again, as one does whose answers are lost."""

    http: httpx.Client
    path: str
    key: str
    request: dict[str, Any]

    def send(self, **other: Any) -> httpx.Response:
        return self.http.post(self.path, headers={"Idempotency-Key": self.key}, **{**self.request, **other})

    def send_until_accepted(self, refusals: set[int]) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                response = self.send()
                if response.is_success:
                    return response
                assert response.status_code in refusals, response.text
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def lose_the_answer(self, meanwhile: Callable[[], None]) -> None:
        """Send it, and see to it that no answer comes."""
        answers: list[httpx.Response | Exception] = []

        def send() -> None:
            try:
                answers.append(self.send())
            except httpx.TransportError as error:
                answers.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            meanwhile()
        finally:
            thread.join()
        assert isinstance(answers[0], Exception), "the answer was not lost"


@pytest.fixture
def http(broken: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=broken.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def archive(broken: Stack) -> BatchArchive:
    return BatchArchive(S3ObjectStore(settings_of(broken.settings_env)))


@pytest.fixture
def records(broken: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broken.settings_env["FACEFIT_REDIS_URL"]) as client:
        yield client


def made(archive: BatchArchive) -> set[str]:
    return {batch_id for _, batch_id in archive.manifests()}


def uploads(archive: BatchArchive) -> set[str]:
    return {found.key for found in archive.objects.list(f"{layout.UPLOADS}{LOCAL_TENANT}/")}


def wait_for_manifest(archive: BatchArchive, before: set[str]) -> str:
    wait_until(lambda: made(archive) > before, "the manifest was not written")
    (batch_id,) = made(archive) - before
    return batch_id


def items_of(http: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 1000}
    while True:
        page = http.get(f"/v1/batches/{batch_id}/items", params=query).raise_for_status().json()
        items += page["data"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


def test_the_api_killed_once_the_manifest_is_written(broken: Stack, http: httpx.Client, archive: BatchArchive) -> None:
    client, before = Client(http, "/v1/batches", "killed-after-the-manifest", {"files": PHOTOS}), made(archive)
    stored, killed = uploads(archive), broken.supervisor.pid("api")
    found: list[str] = []

    def kill_between_manifest_and_records() -> None:
        wait_until(lambda: not uploads(archive) <= stored, "no photo was stored")
        broken.supervisor.kill("store", signal.SIGSTOP)
        broken.supervisor.kill("redis", signal.SIGSTOP)
        try:
            broken.supervisor.kill("store", signal.SIGCONT)
            found.append(wait_for_manifest(archive, before))
            broken.supervisor.kill("api", signal.SIGKILL)
        finally:
            broken.supervisor.kill("redis", signal.SIGCONT)

    client.lose_the_answer(kill_between_manifest_and_records)
    wait_for_another(broken, "api", killed)
    again = client.send_until_accepted(refusals={409, 503})
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (202, "true")
    assert (made(archive) - before, again.json()["id"]) == (set(found), found[0])
    path = again.headers["Location"]
    wait_until(lambda: http.get(path).json()["status"] == "completed", "the batch did not end")
    assert http.get(path).json()["counts"]["rejected"] == len(PHOTOS)
    assert [item["reference"] for item in items_of(http, found[0])] == [name for _, (name, _) in PHOTOS]
    assert client.send().json()["status"] == "completed"
    assert made(archive) - before == set(found)


def test_the_api_killed_while_it_writes_records(broken: Stack, http: httpx.Client, archive: BatchArchive) -> None:
    client = Client(http, "/v1/batches", "killed-among-records", {"json": {"items": ITEMS}})
    before, killed = made(archive), broken.supervisor.pid("api")
    found: list[str] = []

    def kill_after_the_manifest() -> None:
        found.append(wait_for_manifest(archive, before))
        broken.supervisor.kill("api", signal.SIGKILL)

    client.lose_the_answer(kill_after_the_manifest)
    wait_for_another(broken, "api", killed)
    again = client.send_until_accepted(refusals={409, 503})
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, "true")
    batch = again.json()
    assert (made(archive) - before, batch["id"]) == (set(found), found[0])
    assert [(item["reference"], item["item_index"]) for item in batch["items"]] == [
        (item["reference"], index) for index, item in enumerate(ITEMS)
    ]
    assert [item["id"] for item in batch["items"]] == [item["id"] for item in items_of(http, found[0])]
    form = batch["items"][-1]["upload"]
    answer = httpx.post(form["url"], data=form["fields"], files={"file": NO_PHOTO}, trust_env=False)
    assert answer.status_code == 204
    assert http.post(f"{again.headers['Location']}/start").json()["counts"]["awaiting_upload"] == len(ITEMS) - 1
    assert http.delete(again.headers["Location"]).status_code == 204
    assert "Idempotent-Replayed" not in (anew := client.send()).headers
    assert http.delete(anew.headers["Location"]).status_code == 204


def test_redis_emptied_between_a_request_and_its_repetition(
    broken: Stack, http: httpx.Client, records: redis.Redis
) -> None:
    clients = [
        Client(http, "/v1/batches", "emptied-forms", {"json": {"items": ITEMS[:20]}}),
        Client(http, "/v1/batches", "emptied-photos", {"files": PHOTOS[:20]}),
        Client(http, "/v1/jobs", "emptied-url", {"json": {"image_url": URL}}),
    ]
    firsts = [client.send() for client in clients]
    assert [first.status_code for first in firsts] == [201, 202, 202]
    broken.supervisor.stop("upkeep")  # what would rebuild at once
    records.flushall()
    for client in clients:
        refused = client.send()
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "rebuilt" in refused.json()["detail"]
    broken.supervisor.start("upkeep")
    for client, first in zip(clients, firsts, strict=True):
        again = client.send_until_accepted(refusals={503})
        assert again.headers.get("Idempotent-Replayed") == "true"
        assert again.status_code == first.status_code
        assert again.headers["Location"] == first.headers["Location"]
    awaited = clients[-1].send().json()
    assert awaited["status"] == "awaiting_upload"
    assert clients[-1].send(json={"image_url": URL + "2"}).status_code == 422
    for first in (firsts[0], firsts[2]):
        assert http.delete(first.headers["Location"]).status_code == 204
