"""Real processes, real signals: whatever is killed, emptied or stopped, every accepted photo ends once."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO

import httpx
import pytest
import redis
from PIL import Image

from shared.config import Settings
from shared.names import LOCAL_TENANT
from shared.storage import layout
from shared.storage.s3 import S3ObjectStore
from stack.stack import Stack
from tests import files

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

OPEN = {"queued", "running"}
PATIENCE_S = 120


@pytest.fixture(scope="module")
def large_photo(hopper: bytes) -> bytes:
    """Slow enough to measure that a worker is found in the middle of it: a PNG is decoded in full."""
    picture = Image.open(BytesIO(hopper)).convert("RGB")
    return files.encoded(picture.resize((2560, 3000)), "PNG", compress_level=1)


class Load:
    """An outside client that remembers what it was promised."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.accepted: list[str] = []
        self.refused: Counter[int] = Counter()

    def send(self, data: bytes) -> None:
        response = self.http.post("/v1/jobs?landmarks=false", content=data, headers={"Content-Type": "image/png"})
        if response.status_code == 202:
            self.accepted.append(response.json()["id"])
        else:
            self.refused[response.status_code] += 1

    def job(self, job_id: str) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE_S
        while (response := self.http.get(f"/v1/jobs/{job_id}")).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert response.status_code == 200, response.text
        answer: dict[str, object] = response.json()
        return answer

    def settled(self) -> list[dict[str, object]]:
        """Wait until everything that was accepted has ended."""
        deadline = time.monotonic() + PATIENCE_S
        jobs = [self.job(job_id) for job_id in self.accepted]
        while any(job["status"] in OPEN for job in jobs):
            assert time.monotonic() < deadline, Counter(str(job["status"]) for job in jobs)
            time.sleep(0.3)
            jobs = [self.job(str(job["id"])) if job["status"] in OPEN else job for job in jobs]
        return jobs


@pytest.fixture
def load(broken: Stack) -> Iterator[Load]:
    with httpx.Client(base_url=broken.url, timeout=40, trust_env=False) as http:
        yield Load(http)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def wait_for_another(stack: Stack, name: str, former_pid: int | None) -> None:
    wait_until(lambda: stack.supervisor.pid(name) not in {None, former_pid}, f"no {name} came back")


def running_now(load: Load) -> bool:
    return bool(load.http.get("/v1/jobs?status=running&limit=1").json()["data"])


def assert_all_succeeded_once(stack: Stack, load: Load, jobs: list[dict[str, object]]) -> None:
    """Every accepted photo has one outcome, and no upload is left that should be gone."""
    assert Counter(str(job["status"]) for job in jobs) == {"succeeded": len(load.accepted)}
    names = {name.removeprefix("FACEFIT_").lower(): value for name, value in stack.settings_env.items()}
    objects = S3ObjectStore(Settings.model_validate(names))
    outcomes = Counter(layout.owner_of(found.key) for found in objects.list(layout.OUTCOMES))
    assert {job_id: outcomes[LOCAL_TENANT, job_id] for job_id in load.accepted} == dict.fromkeys(load.accepted, 1)
    wait_until(lambda: not list(objects.list(layout.UPLOADS)), "uploads that should be gone")


def test_a_worker_killed_in_the_middle_of_a_photo(broken: Stack, load: Load, large_photo: bytes) -> None:
    for _ in range(24):
        load.send(large_photo)
    for _ in range(3):
        wait_until(lambda: running_now(load), "no photo was being measured")
        killed = broken.supervisor.pid("worker-interactive")
        broken.supervisor.kill("worker-interactive", signal.SIGKILL)
        wait_for_another(broken, "worker-interactive", killed)
    jobs = load.settled()
    assert len(load.accepted) == 24
    assert max(int(str(job["attempts"])) for job in jobs) >= 2, "no kill hit a photo"
    assert_all_succeeded_once(broken, load, jobs)


def test_redis_emptied_in_the_middle_of_a_run(broken: Stack, load: Load, large_photo: bytes) -> None:
    for number in range(24):
        load.send(large_photo)
        if number == 12:
            wait_until(lambda: running_now(load), "no photo was being measured")
            with redis.Redis.from_url(broken.settings_env["FACEFIT_REDIS_URL"]) as client:
                client.flushall()
    jobs = load.settled()
    assert len(load.accepted) == 24
    assert_all_succeeded_once(broken, load, jobs)
    wait_until(lambda: load.http.get("/v1/jobs").status_code == 200, "lists did not come back")
    listed = {job["id"] for job in load.http.get("/v1/jobs?limit=100").json()["data"]}
    assert set(load.accepted) <= listed


@pytest.mark.long
def test_the_object_store_stopped_for_ten_seconds(broken: Stack, load: Load, large_photo: bytes) -> None:
    for _ in range(12):
        load.send(large_photo)
    wait_until(lambda: running_now(load), "no photo was being measured")
    broken.supervisor.stop("store")
    until = time.monotonic() + 10
    load.send(large_photo)
    assert load.refused == {503: 1}
    while time.monotonic() < until:
        time.sleep(0.1)
    broken.supervisor.start("store")
    jobs = load.settled()
    assert len(load.accepted) == 12
    assert_all_succeeded_once(broken, load, jobs)
