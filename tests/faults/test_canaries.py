"""Readiness tells workers that measure from processes that say they live."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import pytest
import redis

from stack.services import UPKEEP, WORKERS
from stack.stack import Stack
from tests.faults.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.long]

INTERACTIVE: Final = WORKERS[0].name
EVERY_S: Final = 2.0
WITHIN_S: Final = 30.0
"""Three intervals, the beat's fifteen seconds, and a slow machine."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"FACEFIT_CANARY_INTERVAL_S": str(EVERY_S), "FACEFIT_METRICS_INTERVAL_S": "1"}
    with Stack(tmp_path_factory.mktemp("canaries"), overrides=settings, echo=lambda _: None) as stack:
        yield stack


@pytest.fixture
def readiness(seen: Stack) -> Iterator[Callable[[], dict[str, Any]]]:
    with httpx.Client(base_url=seen.url, trust_env=False, timeout=10) as http:

        def ask() -> dict[str, Any]:
            answer = http.get("/readyz")
            found: dict[str, Any] = answer.json()
            assert (answer.status_code == 200) == (found["status"] == "ready")
            return found

        yield ask
        wait_until(lambda: ask()["status"] == "ready", "the service is not well again", WITHIN_S)


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True).stdout
    return [int(line) for line in listed.split()]


def test_canaries_keep_coming(readiness: Callable[[], dict[str, Any]]) -> None:
    for _ in range(2):
        wait_until(lambda: readiness()["worker"]["seen_age_s"] > EVERY_S / 2, "no time passes", WITHIN_S)
        wait_until(lambda: readiness()["worker"]["seen_age_s"] < EVERY_S / 2, "no canary came", WITHIN_S)
    assert readiness()["worker"]["seen"] == "canary"


def test_a_worker_that_hangs_makes_the_service_unready(seen: Stack, readiness: Callable[[], dict[str, Any]]) -> None:
    pid = seen.supervisor.pid(INTERACTIVE)
    assert pid is not None
    stopped = children_of(pid)
    assert stopped
    for child in stopped:
        os.kill(child, signal.SIGSTOP)
    try:
        wait_until(lambda: not readiness()["worker"]["ok"], "hung workers count as well", WITHIN_S)
        answer = readiness()
        assert answer["redis"]["ok"]
        assert answer["worker_bulk"]["ok"]
        assert "measured anything for" in answer["worker"]["detail"] or "ready" in answer["worker"]["detail"]
    finally:
        for child in stopped:
            os.kill(child, signal.SIGCONT)


def test_what_the_pool_says_of_a_killed_process_is_json_too(
    seen: Stack, readiness: Callable[[], dict[str, Any]]
) -> None:
    pid = seen.supervisor.pid(INTERACTIVE)
    assert pid is not None
    log = seen.folder.logs / f"{INTERACTIVE}.log"
    os.kill(children_of(pid)[0], signal.SIGKILL)
    wait_until(lambda: "SIGKILL" in log.read_text(), "nobody said so", WITHIN_S)
    assert [line for line in log.read_text().splitlines() if not line.startswith("{")] == []


def test_a_worker_that_is_not_there_makes_the_service_unready(
    seen: Stack, readiness: Callable[[], dict[str, Any]]
) -> None:
    seen.supervisor.stop(INTERACTIVE)
    try:
        wait_until(lambda: not readiness()["worker"]["ok"], "an absent worker counts as well", WITHIN_S)
    finally:
        seen.supervisor.start(INTERACTIVE)


def test_without_the_upkeep_canaries_end_and_the_page_says_so(
    seen: Stack, readiness: Callable[[], dict[str, Any]]
) -> None:
    seen.supervisor.stop(UPKEEP)
    try:
        wait_until(lambda: not readiness()["worker"]["ok"], "old canaries count for ever", WITHIN_S)
        page = httpx.get(f"{seen.url}/metrics", trust_env=False, timeout=10).text
        assert 'facefit_up{part="redis"} 1.0' in page
        assert 'facefit_up{part="upkeep"}' not in page
    finally:
        seen.supervisor.start(UPKEEP)


def test_after_a_loss_of_redis_canaries_come_again(seen: Stack, readiness: Callable[[], dict[str, Any]]) -> None:
    with redis.Redis.from_url(seen.settings_env["FACEFIT_REDIS_URL"], socket_timeout=10) as client:
        client.flushall()
    wait_until(lambda: readiness()["worker"]["ok"], "nobody sent a canary", WITHIN_S)
    assert readiness()["worker"]["seen"] == "canary"
