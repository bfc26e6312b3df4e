"""Real processes, real signals: whatever is killed or emptied, a request sent again under its key finds the one job."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest
import redis

from shared.jobs.idempotency import KeySlot
from shared.names import LOCAL_TENANT
from shared.storage import layout
from shared.storage.s3 import S3ObjectStore
from stack.services import settings_of
from stack.stack import Stack
from tests.faults.waiting import PATIENCE_S, wait_for_another, wait_until

pytestmark = [pytest.mark.long, pytest.mark.faults, pytest.mark.timeout(300)]

NO_PHOTO = b"\xff\xd8\xff\xe0" + bytes(200_000)


@dataclass
class Client:
    """Sends the same request again and again, as one does whose answers are lost."""

    http: httpx.Client
    reference: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "image/jpeg", "Idempotency-Key": f'"{self.reference}"'}

    @property
    def path(self) -> str:
        return f"/v1/jobs?reference={self.reference}"

    def send(self, prefer: str = "") -> httpx.Response:
        return self.http.post(self.path, content=NO_PHOTO, headers={**self.headers, "Prefer": prefer})

    def send_until_accepted(self, refusals: set[int]) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                response = self.send()
                if response.status_code == 202:
                    return response
                assert response.status_code in refusals, response.text
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def jobs(self) -> list[str]:
        listed = self.http.get("/v1/jobs", params={"reference": self.reference})
        return [job["id"] for job in listed.json()["data"]] if listed.status_code == 200 else []


@pytest.fixture
def http(broken: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=broken.url, timeout=40, trust_env=False) as client:
        yield client


@pytest.fixture
def objects(broken: Stack) -> S3ObjectStore:
    return S3ObjectStore(settings_of(broken.settings_env))


@pytest.fixture
def records(broken: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broken.settings_env["FACEFIT_REDIS_URL"]) as client:
        yield client


def kill_the_api(broken: Stack) -> None:
    killed = broken.supervisor.pid("api")
    broken.supervisor.kill("api", signal.SIGKILL)
    wait_for_another(broken, "api", killed)


def test_the_api_killed_between_accepting_and_answering(broken: Stack, http: httpx.Client) -> None:
    client = Client(http, "killed-while-it-waits")
    broken.supervisor.stop("worker-interactive")
    lost: list[Exception] = []

    def send_and_wait() -> None:
        try:
            client.send(prefer="wait=30")
        except httpx.TransportError as error:
            lost.append(error)

    thread = threading.Thread(target=send_and_wait)
    thread.start()
    with httpx.Client(base_url=broken.url, timeout=40, trust_env=False) as other:
        seen = Client(other, client.reference)
        wait_until(lambda: len(seen.jobs()) == 1, "the photo was not accepted")
        accepted = seen.jobs()
    kill_the_api(broken)
    thread.join()
    assert lost, "the answer was not lost"
    again = client.send_until_accepted(refusals=set())
    assert (again.headers["Idempotent-Replayed"], [again.json()["id"]]) == ("true", accepted)
    broken.supervisor.start("worker-interactive")
    wait_until(lambda: http.get(again.headers["Location"]).json()["status"] == "rejected", "the job did not end")
    assert client.jobs() == accepted
    assert client.send().json()["status"] == "rejected"


def test_the_api_killed_once_the_photo_is_stored(
    broken: Stack, http: httpx.Client, objects: S3ObjectStore, records: redis.Redis
) -> None:
    client = Client(http, "killed-before-its-record")
    before = set(uploads(objects))
    name = f"facefit:idempotency:{LOCAL_TENANT}:{KeySlot.of(LOCAL_TENANT, client.reference).key_hash}"
    connection = half_sent(broken, client)
    wait_until(lambda: bool(records.exists(name)), "the key was not held")
    held = records.hgetall(name)
    broken.supervisor.kill("store", signal.SIGSTOP)
    try:
        connection.sendall(NO_PHOTO[-1000:])
        wait_until(lambda: records.hgetall(name) != held, "the key was not held anew before anything was stored")
        broken.supervisor.kill("redis", signal.SIGSTOP)
        broken.supervisor.kill("store", signal.SIGCONT)
        wait_until(lambda: set(uploads(objects)) > before, "the photo was not stored")
        (stored,) = set(uploads(objects)) - before
        broken.supervisor.kill("api", signal.SIGKILL)
    finally:
        broken.supervisor.kill("store", signal.SIGCONT)
        broken.supervisor.kill("redis", signal.SIGCONT)
        connection.close()
    again = client.send_until_accepted(refusals={409, 503})
    assert (again.headers.get("Idempotent-Replayed"), again.json()["id"]) == ("true", stored)
    wait_until(lambda: http.get(again.headers["Location"]).json()["status"] == "rejected", "the job did not end")
    assert client.jobs() == [stored]


def uploads(objects: S3ObjectStore) -> list[str]:
    owners = (layout.owner_of(found.key) for found in objects.list(layout.UPLOADS))
    return [owner[1] for owner in owners if owner]


def half_sent(broken: Stack, client: Client) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", broken.port))
    headers = {**client.headers, "Host": "localhost", "Content-Length": str(len(NO_PHOTO))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"POST {client.path} HTTP/1.1\r\n{head}\r\n".encode() + NO_PHOTO[:-1000])
    return connection


def test_redis_emptied_between_a_request_and_its_repetition(
    broken: Stack, http: httpx.Client, records: redis.Redis
) -> None:
    client, other = Client(http, "emptied"), Client(http, "new-meanwhile")
    first = client.send()
    assert (first.status_code, "Idempotent-Replayed" in first.headers) == (202, False)
    broken.supervisor.stop("upkeep")  # what would rebuild at once
    records.flushall()
    for keyed in (client, other):
        refused = keyed.send()
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "rebuilt" in refused.json()["detail"]
    assert http.post("/v1/jobs", files={"image": NO_PHOTO}).status_code == 202
    broken.supervisor.start("upkeep")
    again = client.send_until_accepted(refusals={503})
    assert (again.headers["Idempotent-Replayed"], again.headers["Location"]) == ("true", first.headers["Location"])
    assert client.jobs() == [first.json()["id"]]
    accepted = other.send_until_accepted(refusals={503})
    assert "Idempotent-Replayed" not in accepted.headers
