"""One compose project for all of `make docker-test`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.docker.compose import STATES, Compose, say, why_docker_cannot_be_used


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    if missing := why_docker_cannot_be_used():
        pytest.exit(f"Docker cannot be used here: {missing}", returncode=1)
    project = Compose(tmp_path_factory.mktemp("compose"))
    try:
        began = time.monotonic()
        project("build")
        say(f"built in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        project.start(STATES)
        say(f"all of it healthy {time.monotonic() - began:.0f} s later")
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="module")
def http(compose: Compose) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=compose.url, timeout=60, trust_env=False) as client:
        yield client
