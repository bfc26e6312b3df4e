"""Reports hold a few results at a time, however large the batch is."""

from __future__ import annotations

import tracemalloc

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.results import a_result, as_written
from tests.unit.batch_making import make_batch

FEW, MANY = 200, 2000
GROWN_BYTES = 400_000
"""Of the larger batch: 500 records to a page, not 200, and 8 bytes of each measurement in a summary, 0.22 MB. Its
results have 45 MB, its table 0.8."""
RESULT = as_written(a_result())


class _OneResult(MemoryObjectStore):
    """Keeps one result for all, and makes another copy of it for whoever reads one."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        return super().put_if_absent(key, body.removesuffix(RESULT))

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        body = super().get(key, first_bytes=first_bytes)
        return body + RESULT if key.startswith(layout.OUTCOMES) else body


@pytest.fixture(scope="module")
def core() -> Core:
    core = Core(clock=system_clock, objects=_OneResult())
    core.reconciler.round()
    return core


@pytest.fixture(scope="module")
def batches(core: Core) -> dict[int, str]:
    return {size: make_batch(core, [RESULT] * size) for size in (FEW, MANY)}


def peak_bytes(client: FlaskClient, path: str) -> tuple[int, int]:
    """Return the size of an answer, and the most memory that was held at once while it was sent."""
    tracemalloc.start()
    try:
        response = client.get(path, buffered=False)
        size = sum(len(piece) for piece in response.iter_encoded())
        response.close()
        return size, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("report", ["results?landmarks=true", "results?format=csv", "errors", "summary"])
def test_memory_does_not_grow_with_the_batch(core: Core, batches: dict[int, str], report: str) -> None:
    app = create_app(Services(core.jobs, core.desk, Waiters(core.store, places=1), core.settings))
    with app.test_client() as client:
        peak_bytes(client, f"/v1/batches/{batches[FEW]}/{report}")  # what the first request allocates for good
        _, few = peak_bytes(client, f"/v1/batches/{batches[FEW]}/{report}")
        size, many = peak_bytes(client, f"/v1/batches/{batches[MANY]}/{report}")
    assert many < few + GROWN_BYTES
    if report == "results?landmarks=true":
        assert size > 20 * many
