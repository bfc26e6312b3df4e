"""One stack to break for all modules that break one: it is started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.stack import Stack
from tests.faults.broken_stack import BrokenStack

DAY_S = "86400"


@pytest.fixture(scope="session")
def breaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokenStack]:
    """A stack with short leases, marked points, and somebody who starts again what dies."""
    with BrokenStack(tmp_path_factory.mktemp("faults"), {"FACEFIT_UPLOAD_DEADLINE_S": DAY_S}) as broken:
        yield broken


@pytest.fixture
def broken(breaking: BrokenStack) -> Iterator[Stack]:
    yield breaking.stack
    breaking.heal()
