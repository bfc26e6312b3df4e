"""The API over memory adapters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from tests.core import Core

WAITING_PLACES = 2


@pytest.fixture
def live_core() -> Core:
    """The core with the machine's clock: what waits really waits."""
    core = Core(clock=system_clock)
    core.reconciler.round()
    return core


@pytest.fixture
def api(live_core: Core) -> Iterator[FlaskClient]:
    waiters = Waiters(live_core.store, places=WAITING_PLACES)
    with create_app(Services(live_core.jobs, live_core.desk, waiters, live_core.settings)).test_client() as client:
        yield client
