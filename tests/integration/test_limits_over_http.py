"""Limits at a real server, with many clients at once: as many are admitted as may be, and every answer tells."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from stack.data_folder import LOOPBACK, free_ports
from tests.limited_api import PHOTOS_PER_MINUTE
from tests.structured_fields import parsed_list
from tests.unit.submitting import JPEG

pytestmark = pytest.mark.enable_socket

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
CLIENTS = 8


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{LOOPBACK}:{port}", "--worker-class", "gthread"]
    command += ["--threads", str(CLIENTS), "--no-control-socket", "tests.limited_api:app"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            transport = httpx.HTTPTransport(retries=3)
            url = f"http://{LOOPBACK}:{port}"
            with httpx.Client(base_url=url, transport=transport, timeout=PATIENCE_S, trust_env=False) as client:
                _wait_for(client)
                yield client
        finally:
            process.terminate()


def _wait_for(client: httpx.Client) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            client.get("/healthz")
        except httpx.ConnectError:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        else:
            return


def test_many_clients_at_once_get_what_the_limit_allows(http: httpx.Client) -> None:
    def submit(number: int) -> httpx.Response:
        return http.post("/v1/jobs", files={"image": (f"{number}.jpg", JPEG)})

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(submit, range(4 * PHOTOS_PER_MINUTE)))
    admitted = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(admitted), len(refused)) == (PHOTOS_PER_MINUTE, 3 * PHOTOS_PER_MINUTE)
    left = sorted(_left(answer) for answer in admitted)
    assert left == list(range(PHOTOS_PER_MINUTE))
    for answer in refused:
        (policy,) = parsed_list(answer.headers["RateLimit-Policy"])
        assert (policy.value, policy.parameters) == ("photos", {"q": PHOTOS_PER_MINUTE, "w": 60})
        assert _left(answer) == 0
        assert 0 < int(answer.headers["Retry-After"]) <= 61
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "rate_limited"


def _left(answer: httpx.Response) -> int:
    (item,) = parsed_list(answer.headers["RateLimit"])
    assert item.value == "photos"
    return int(item.parameters["r"])


def test_a_batch_over_the_limit_is_refused_over_the_same_connection(http: httpx.Client) -> None:
    answers = [http.post("/v1/batches", files=[("images", (f"{n}.jpg", JPEG)) for n in range(3)]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 429, 429]
    assert [answer.headers["RateLimit"] for answer in answers] == ['"batches";r=0'] * 3
    assert http.get("/v1/jobs").status_code == 200
