"""Fixtures that every kind of test shares. The embedded stack is started once, and only as far as it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack.data_folder import free_ports
from stack.stack import Stack
from tests.clock import FakeClock
from tests.core import Core

RECEIVER_PORT = free_ports(1)[0]
"""Where a test may listen for webhooks of the running service, as plain HTTP on loopback."""
CALLABLE = {
    "FACEFIT_OUTBOUND_ALLOWED_HOSTS": f"127.0.0.1:{RECEIVER_PORT}",
    "FACEFIT_OUTBOUND_ALLOW_HTTP": "1",
}

PORTRAITS = Path(__file__).parents[1] / "stack" / "portraits"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    return (PORTRAITS / "astronaut.png").read_bytes()


@pytest.fixture(scope="session")
def hopper() -> bytes:
    return (PORTRAITS / "grace_hopper.jpg").read_bytes()


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A real Redis and a real S3 server."""
    stack = Stack(tmp_path_factory.mktemp("stack"), overrides=CALLABLE)
    try:
        stack.start_stores()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="session")
def service(stores: Stack) -> Stack:
    """The whole service over them: API, workers, sender, upkeep."""
    stores.start_services()
    return stores


@pytest.fixture
def http(service: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        yield client
