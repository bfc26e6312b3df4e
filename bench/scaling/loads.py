"""What is asked of a stack: photos one by one, a batch, polls, doorbells alone. Each returns when all has ended."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.bulk.photos import MadePhoto
from bench.bulk.ways import PATIENCE_S, send_zip
from bench.speed.photos import PHONE_12MP, Pool
from shared.names import QueueName, new_job_id
from shared.services import connect
from stack.services import settings_of
from stack.stack import Stack

PORTRAIT = Path(__file__).parents[2] / "stack" / "portraits" / "grace_hopper.jpg"
CONNECTIONS = 8
POLL_S = 0.2


def portrait() -> bytes:
    return PORTRAIT.read_bytes()


def phone_photo() -> bytes:
    """Return a photo as a phone takes it, with the noise of its sensor: what a store and an API have to carry."""
    return Pool(PHONE_12MP, 1).take(1)[0]


def send_singles(stack: Stack, photo: bytes, count: int) -> None:
    """Send photos over a few connections, as fast as they are taken, and wait until all have ended."""
    headers = {"Content-Type": "image/jpeg"}
    _on_connections(stack, count, lambda http: _ask(http, "POST", "/v1/jobs", photo, headers))
    with httpx.Client(base_url=stack.url, timeout=PATIENCE_S, trust_env=False) as http:
        while any(_some(http, status) for status in ("queued", "running")):
            time.sleep(POLL_S)


def send_batch(stack: Stack, photo: bytes, count: int) -> None:
    """Send a zip and wait until all of it has ended."""
    photos = [MadePhoto(f"{number:05}.jpg", photo, "succeeded") for number in range(count)]
    with TemporaryDirectory() as folder, httpx.Client(base_url=stack.url, timeout=PATIENCE_S, trust_env=False) as http:
        batch_id = send_zip(http, photos, Path(folder), {})
        while http.get(f"/v1/batches/{batch_id}").raise_for_status().json()["status"] != "completed":
            time.sleep(POLL_S)


def poll(stack: Stack, count: int) -> None:
    """Ask for the status of a job that has ended."""
    with httpx.Client(base_url=stack.url, timeout=PATIENCE_S, trust_env=False) as http:
        job_id = http.get("/v1/jobs", params={"limit": 1}).raise_for_status().json()["data"][0]["id"]
    _on_connections(stack, count, lambda http: _ask(http, "GET", f"/v1/jobs/{job_id}", None, {}))


def ring(stack: Stack, count: int) -> None:
    """Send doorbells of jobs that are not there, and wait until workers have come for all of them and found nothing."""
    doorbell = connect(settings_of(stack.settings_env)).jobs.doorbell
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(lambda _: doorbell.ring(QueueName.INTERACTIVE, new_job_id()), range(count)):
            pass
    while doorbell.depth(QueueName.INTERACTIVE):
        time.sleep(POLL_S)


def _on_connections(stack: Stack, count: int, ask: Callable[[http.client.HTTPConnection], None]) -> None:
    def some(share: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=PATIENCE_S)
        for _ in range(share):
            ask(connection)
        connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(some, [count // CONNECTIONS] * CONNECTIONS):
            pass


def _ask(http: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
    http.request(method, path, body, headers)
    answer = http.getresponse()
    said = answer.read()
    if answer.status not in {httpx.codes.OK, httpx.codes.ACCEPTED}:
        raise SystemExit(f"{method} {path} answers {answer.status}: {said.decode(errors='replace')[:300]}")


def _some(http: httpx.Client, status: str) -> bool:
    return bool(http.get("/v1/jobs", params={"status": status, "limit": 1}).raise_for_status().json()["data"])
