"""Containers are stopped and killed while photos come in; what was accepted is counted. Part of `make docker-test`."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx
import pytest

from tests import hostile_files
from tests.docker.compose import STATES, Compose, run, say, within

pytestmark = pytest.mark.timeout(1800)

TERMINAL: Final = {"succeeded", "rejected", "failed", "cancelled"}
BROKEN_BYTES: Final = 4000
"""So much of the photo says what it is; the rest is missing."""
SENDERS: Final = 2
BETWEEN_PHOTOS_S: Final = 0.3
DOWN_S: Final = 2.0
WAITING: Final = 300
"""Photos that wait for a worker: more than it measures in the seconds until it is told to stop again."""
SETTLED_LIMIT_S: Final = 180
PROMISED_S: Final = 900
"""How soon what was deleted has left the files: docs/privacy.md."""


def code_of(answer: httpx.Response) -> str:
    """Return the code of a refusal, or the beginning of what came instead of one."""
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError):
        return f"{answer.headers.get('Server')}: {answer.text[:100]!r}"


@dataclass(slots=True)
class Load:
    """What was accepted, and what it must come to."""

    expected: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def send(self, http: httpx.Client, body: bytes, outcome: str) -> None:
        try:
            answer = http.post("/v1/jobs", content=body, headers={"Content-Type": "image/png"})
        except httpx.TransportError as error:
            self.refused[type(error).__name__] += 1
            return
        if answer.status_code == httpx.codes.ACCEPTED:
            self.expected[answer.json()["id"]] = outcome
        else:
            self.refused[f"{answer.status_code} {code_of(answer)}"] += 1


@contextmanager
def under_load(compose: Compose, photo: bytes) -> Iterator[Load]:
    """Send photos, one in five broken off, until the end."""
    load, stop = Load(), threading.Event()

    def send() -> None:
        with httpx.Client(base_url=compose.url, timeout=20, trust_env=False) as http:
            sent = 0
            while not stop.is_set():
                sent += 1
                load.send(http, *((photo[:BROKEN_BYTES], "rejected") if sent % 5 == 0 else (photo, "succeeded")))
                stop.wait(BETWEEN_PHOTOS_S)

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        yield load
    finally:
        stop.set()
        for sender in senders:
            sender.join()


def statuses(http: httpx.Client, ids: list[str]) -> dict[str, dict[str, object]]:
    return {job: http.get(f"/v1/jobs/{job}").json() for job in ids}


def assert_all_ended_as_they_should(http: httpx.Client, load: Load) -> None:
    open_ones = set(load.expected)
    ended: dict[str, str] = {}

    def settled() -> bool:
        for job in sorted(open_ones):
            answer = http.get(f"/v1/jobs/{job}")
            if answer.status_code == httpx.codes.OK and answer.json()["status"] in TERMINAL:
                ended[job] = answer.json()["status"]
                open_ones.discard(job)
        return not open_ones

    began = time.monotonic()
    all_ended = within(SETTLED_LIMIT_S, settled)
    say(
        f"accepted {len(load.expected)}, ended {len(ended)}: {dict(Counter(ended.values()))};"
        f" not accepted {dict(load.refused)}; the last ended {time.monotonic() - began:.0f} s after the load did"
    )
    assert all_ended, open_ones
    assert ended == load.expected
    assert Counter(ended.values()).keys() == {"succeeded", "rejected"}


def test_a_worker_that_is_told_to_stop_finishes_the_photos_it_has_begun(
    compose: Compose, http: httpx.Client, astronaut: bytes
) -> None:
    worker = compose.container("worker-interactive")
    run("docker", "stop", worker)
    load = Load()
    for _ in range(WAITING):
        load.send(http, astronaut, "succeeded")
    ids = list(load.expected)
    assert len(ids) == WAITING
    run("docker", "start", worker)
    # The last one is still far when the first one is seen.
    assert within(60, lambda: http.get(f"/v1/jobs/{ids[0]}").json()["status"] != "queued")
    began = time.monotonic()
    # No --time: the container's own grace period.
    run("docker", "stop", worker)
    took_s = time.monotonic() - began
    assert compose.inspect("worker-interactive")["State"]["ExitCode"] == 0
    left = statuses(http, ids)
    counted = Counter(str(job["status"]) for job in left.values())
    say(f"a worker stopped in {took_s:.1f} s, and left {dict(counted)}")
    # Nothing is left half-done, and what is left was not begun.
    assert counted.keys() == {"succeeded", "queued"}
    assert {(job["status"], job["attempts"]) for job in left.values()} == {("succeeded", 1), ("queued", 0)}
    run("docker", "start", worker)
    compose.wait_for(STATES)
    assert within(
        120, lambda: {(job["status"], job["attempts"]) for job in statuses(http, ids).values()} == {("succeeded", 1)}
    )


def test_what_was_deleted_leaves_the_files_of_a_store_that_was_killed(
    compose: Compose, http: httpx.Client, hopper: bytes
) -> None:
    run("docker", "kill", compose.container("store"))
    run("docker", "start", compose.container("store"))
    compose.wait_for(STATES)
    marker = secrets.token_hex(16)
    comment = b"\xff\xfe" + (2 + len(marker)).to_bytes(2) + marker.encode()
    photo = hopper[:2] + comment + hopper[2:]
    headers = {"Content-Type": "image/jpeg", "Prefer": "wait=30"}
    job = http.post("/v1/jobs?keep_image=true", content=photo, headers=headers).raise_for_status().json()
    assert job["status"] == "succeeded"

    def lies_in_files() -> bool:
        looked = run("docker", "exec", compose.container("store"), "grep", "-rlF", marker, "/data", check=False)
        assert looked.returncode in {0, 1}, looked.stderr
        return looked.returncode == 0

    assert lies_in_files()
    http.delete(f"/v1/jobs/{job['id']}").raise_for_status()
    began = time.monotonic()
    receipt = f"/v1/deletions/{job['id']}"
    assert within(PROMISED_S, lambda: http.get(receipt).json()["status"] == "purged"), http.get(receipt).text
    say(f"deleted, and purged after {time.monotonic() - began:.0f} s")
    assert not lies_in_files()


def test_the_largest_photo_fits(compose: Compose, http: httpx.Client) -> None:
    # 49 megapixels with an alpha channel take the most memory of all that is accepted: docs/hostile-input.md.
    photo = hostile_files.large("WEBP", "RGBA", method=0)
    headers = {"Content-Type": "image/webp", "Prefer": "wait=30"}
    for _ in range(3):
        job = http.post("/v1/jobs", content=photo, headers=headers).raise_for_status().json()
        while job["status"] not in TERMINAL:
            job = http.get(f"/v1/jobs/{job['id']}?wait=30").raise_for_status().json()
        assert (job["status"], job["error"]["code"], job["attempts"]) == ("rejected", "no_face", 1)
    assert compose.inspect("worker-interactive")["State"]["OOMKilled"] is False


def test_a_container_of_each_kind_is_killed_under_load(compose: Compose, http: httpx.Client, astronaut: bytes) -> None:
    with under_load(compose, astronaut) as load:
        for service in STATES:
            before = len(load.expected)
            began = time.monotonic()
            run("docker", "kill", compose.container(service))
            time.sleep(DOWN_S)
            run("docker", "start", compose.container(service))
            compose.wait_for(STATES)
            took_s = time.monotonic() - began
            assert within(60, lambda before=before: len(load.expected) > before)  # type: ignore[misc]
            accepted = len(load.expected) - before
            say(f"{service} killed: all well again after {took_s:.0f} s; {accepted} accepted meanwhile")
    assert_all_ended_as_they_should(http, load)


def test_everything_dies_at_once_and_is_started_again_by_the_engine(
    compose: Compose, http: httpx.Client, astronaut: bytes
) -> None:
    with under_load(compose, astronaut) as load:
        assert within(30, lambda: len(load.expected) > 10)
        counts = {service: compose.inspect(service)["RestartCount"] for service in STATES}
        killers = [threading.Thread(target=compose.kill_main_process, args=(service,)) for service in STATES]
        for killer in killers:
            killer.start()
        for killer in killers:
            killer.join()
        assert within(60, lambda: all(compose.inspect(name)["RestartCount"] > counts[name] for name in STATES))
        compose.wait_for(STATES)
        before = len(load.expected)
        assert within(60, lambda: len(load.expected) > before + 10)
    assert_all_ended_as_they_should(http, load)


def test_a_worker_without_redis_is_not_well(compose: Compose) -> None:
    compose("stop", "redis")
    asked = run("docker", "exec", compose.container("worker-bulk"), "python", "-m", "worker.healthcheck", check=False)
    assert asked.returncode == 1
    assert "Redis did not answer" in asked.stderr
