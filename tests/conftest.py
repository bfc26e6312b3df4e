"""Fixtures that every kind of test shares."""

from __future__ import annotations

import pytest

from tests.clock import FakeClock
from tests.core import Core


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def core() -> Core:
    return Core()
