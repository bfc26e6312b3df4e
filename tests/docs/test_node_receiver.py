"""The receiver for Node, called by the real sender. `make test-node` runs it: Node is on no machine by itself."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.services import ROOT
from tests.conftest import RECEIVER_PORT

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(180)]

HOOK = f"http://127.0.0.1:{RECEIVER_PORT}/hook"
PATIENCE_S = 60.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def receiving(folder: Path, secret: str) -> Iterator[Callable[[], list[Any]]]:
    """Run the receiver, and yield what reads the events it printed, those of earlier runs included."""
    log = folder / "events.txt"
    script = str(ROOT / "examples" / "webhook_receiver.mjs")
    with log.open("ab") as out, (folder / "complaints.txt").open("ab") as err:
        process = subprocess.Popen(
            ["node", script, "--port", str(RECEIVER_PORT)],
            cwd=folder,
            env={"FACEFIT_WEBHOOK_SECRET": secret, "PATH": "/usr/local/bin:/usr/bin:/bin"},
            stdout=out,
            stderr=err,
        )
    try:
        wait_until(answers, "the receiver did not come up")
        yield lambda: [json.loads(line) for line in log.read_text().splitlines()]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def answers() -> bool:
    try:
        return httpx.get(HOOK, trust_env=False).status_code == 405
    except httpx.TransportError:
        return False


@pytest.fixture
def secret(http: httpx.Client) -> str:
    made: str = http.post("/v1/webhooks/secret").raise_for_status().json()["secret"]
    return made


def test_an_event_is_taken_once_also_after_a_restart(
    http: httpx.Client, astronaut: bytes, secret: str, tmp_path: Path
) -> None:
    with receiving(tmp_path, secret) as events:
        form = {"webhook_url": HOOK, "reference": "SKU-7"}
        answer = http.post("/v1/jobs", files={"image": ("photo", astronaut)}, data=form)
        job_id = answer.raise_for_status().json()["id"]
        wait_until(lambda: bool(events()), "nothing came")
        assert events()[0][:3] == ["job.succeeded", job_id, "SKU-7"]
        wait_until(lambda: delivery(http, job_id)["status"] == "delivered", "it is not noted")
    with receiving(tmp_path, secret) as events:
        delivery_id = delivery(http, job_id)["id"]
        http.post(f"/v1/deliveries/{delivery_id}/redeliver").raise_for_status()
        wait_until(lambda: len(delivery(http, job_id)["attempts"]) == 2, "it is not sent again")
        assert [attempt["status_code"] for attempt in delivery(http, job_id)["attempts"]] == [204, 204]
        assert len(events()) == 1


def delivery(http: httpx.Client, job_id: str) -> dict[str, Any]:
    [found] = http.get("/v1/deliveries", params={"job_id": job_id}).raise_for_status().json()["data"]
    made: dict[str, Any] = found
    return made


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": "v1,aaaa"},
        {"webhook-signature": "v1a,"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "x"},
        {"webhook-id": ""},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_forged_request_is_refused(secret: str, tmp_path: Path, changed: dict[str, str]) -> None:
    honest = {"webhook-id": "dlv_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,"}
    with receiving(tmp_path, secret) as events:
        answer = httpx.post(HOOK, content=b"{}", headers=honest | changed, trust_env=False)
        assert (answer.status_code, events()) == (401, [])
