"""Callbacks end to end: the API, a worker, the sender, and the receiver of the examples, all real."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.services import ROOT
from stack.stack import Stack
from tests.conftest import RECEIVER_PORT

pytestmark = pytest.mark.system

PATIENCE_S = 60.0
HOOK = f"http://127.0.0.1:{RECEIVER_PORT}/hook"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class RunningReceiver:
    """The receiver of the examples as a process of its own."""

    def __init__(self, folder: Path, secret: str) -> None:
        self._log = folder / "receiver.log"
        self._folder = folder
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "examples" / "webhook_receiver.py"), "--port", str(RECEIVER_PORT)],
                cwd=folder,
                env={"FACEFIT_WEBHOOK_SECRET": secret, "PATH": "/usr/bin:/bin"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self.answers, "the receiver did not come up")

    def answers(self) -> bool:
        try:
            return httpx.get(HOOK, trust_env=False).status_code == 405
        except httpx.TransportError:
            return False

    def events(self) -> list[list[Any]]:
        lines = self._log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith('["')]

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait()


@contextmanager
def receiving(folder: Path, secret: str) -> Iterator[RunningReceiver]:
    receiver = RunningReceiver(folder, secret)
    try:
        yield receiver
    finally:
        receiver.stop()


@pytest.fixture
def secret(http: httpx.Client) -> str:
    made: str = http.post("/v1/webhooks/secret").raise_for_status().json()["secret"]
    return made


def deliveries(http: httpx.Client, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v1/deliveries", params=query).raise_for_status().json()["data"]
    return found


def submit(http: httpx.Client, photo: bytes, **options: str) -> str:
    answer = http.post("/v1/jobs", files={"image": ("photo", photo)}, data={"webhook_url": HOOK, **options})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def test_a_job_calls_back_once_and_a_redelivery_is_known_as_such(
    http: httpx.Client, astronaut: bytes, secret: str, tmp_path: Path
) -> None:
    with receiving(tmp_path, secret) as receiver:
        job_id = submit(http, astronaut, reference="SKU-7")
        wait_until(lambda: bool(receiver.events()), "nothing came")
        [event] = receiver.events()
        assert event[:3] == ["job.succeeded", job_id, "SKU-7"]
        assert http.get(event[3]).json()["status"] == "succeeded"
        wait_until(lambda: deliveries(http, job_id=job_id)[0]["status"] == "delivered", "it is not noted")
        [delivery] = deliveries(http, job_id=job_id)
        assert [attempt["status_code"] for attempt in delivery["attempts"]] == [204]
        http.post(f"/v1/deliveries/{delivery['id']}/redeliver").raise_for_status()
        wait_until(lambda: len(deliveries(http, job_id=job_id)[0]["attempts"]) == 2, "it is not sent again")
        assert receiver.events() == [event]


def test_a_receiver_that_was_away_hears_of_it_later(
    http: httpx.Client, service: Stack, astronaut: bytes, secret: str, tmp_path: Path
) -> None:
    job_id = submit(http, astronaut)
    wait_until(lambda: any(found["attempts"] for found in deliveries(http, job_id=job_id)), "nobody tried")
    service.supervisor.kill("delivery", signal.SIGKILL)
    with receiving(tmp_path, secret) as receiver:
        wait_until(lambda: bool(receiver.events()), "nothing came")
        assert receiver.events()[0][:2] == ["job.succeeded", job_id]
    [delivery] = deliveries(http, job_id=job_id)
    assert delivery["attempts"][0]["error"] == "connect"


def test_a_forged_request_is_refused_and_leaves_no_trace(secret: str, tmp_path: Path) -> None:
    with receiving(tmp_path, secret) as receiver:
        forged = {"webhook-id": "msg_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,aaaa"}
        assert httpx.post(HOOK, content=b"{}", headers=forged, trust_env=False).status_code == 401
        assert receiver.events() == []
