"""Fixtures that every kind of test shares. The embedded stack is started once, and only as far as it is needed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest

from stack.data_folder import is_free
from stack.stack import Stack
from tests.clock import FakeClock
from tests.core import Core

RECEIVER_PORT = next(filter(is_free, random.SystemRandom().sample(range(10_000, 20_000), 100)))
"""Where a test may listen for webhooks of the running service, as plain HTTP on loopback. Nobody listens there between
tests, so it is none of the ports that stacks choose theirs from."""
CALLABLE = {
    "FACEFIT_OUTBOUND_ALLOWED_HOSTS": f"127.0.0.1:{RECEIVER_PORT}",
    "FACEFIT_OUTBOUND_ALLOW_HTTP": "1",
}

PORTRAITS = Path(__file__).parents[1] / "stack" / "portraits"


hypothesis.settings.register_profile("seeded", derandomize=True)
hypothesis.settings.register_profile("random", print_blob=True)
hypothesis.settings.load_profile("seeded")
"""The same examples in each run, so that a change is what makes a test fail; `make orders` and
`--hypothesis-profile random` look further."""


_TOGETHER = {
    "client": "people",
    "contract": "stores",
    "docs": "people",
    "faults": "faults",
    "integration": "stores",
    "system": "stack",
    "system/test_stack_commands.py": "people",
    "system/test_stack_stores.py": "stores",
    "unit/test_docs_site.py": "people",
}
"""Folders whose tests run one after the other in one process: they share running processes, or break their own.

`make test` has a process for each: they wait more than they compute, and single tests fill what is left. The files are
those that share nothing with their folder, or are built once for all of their tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what stays together where a run has several processes; single tests go to whichever is free."""
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here)
        if group := _TOGETHER.get(path.as_posix()) or _TOGETHER.get(path.parts[0]):
            item.add_marker(pytest.mark.xdist_group(group))


_MADE_IDS = re.compile(r"(job|bat|dlv)_[0-9a-z]{26}", re.IGNORECASE)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a case the same in each process and on each day, whatever identifiers and times it is made of."""
    if isinstance(val, bytes):
        return f"{len(val)}-bytes"
    return _MADE_IDS.sub(r"\1_", val) if isinstance(val, str) and _MADE_IDS.search(val) else None


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
