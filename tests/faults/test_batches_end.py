"""Real processes, real signals: a batch is counted exactly and complete once, whatever is killed or emptied meanwhile.

The photos are none: each is decoded as far as it goes and rejected, which is quick and needs no face.
"""

from __future__ import annotations

import io
import signal
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import redis

from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.store import DeliveryQuery
from shared.errors import RecordsUnavailable
from shared.jobs.batch_reader import BatchReader
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batches import BatchLifecycle
from shared.jobs.lifecycle import Upload
from shared.names import LOCAL_TENANT
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.services import Connected, connect
from shared.signing import webhook_id
from shared.storage import layout
from stack.services import settings_of
from stack.stack import Stack
from tests.faults.waiting import PATIENCE_S, wait_for_another, wait_until

T = TypeVar("T")

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

NO_PHOTO = b"\xff\xd8\xff\xe0" + bytes(2000)
SIZE = 240
NOBODY = "https://nobody.invalid/hook"
"""What is owed is looked at, not what arrives."""


@pytest.fixture
def connected(broken: Stack) -> Connected:
    return connect(settings_of(broken.settings_env))


@pytest.fixture
def batches(connected: Connected) -> BatchLifecycle:
    return BatchLifecycle(connected.jobs)


@pytest.fixture
def desk(connected: Connected) -> DeliveryDesk:
    return connected.desk


def accept(batches: BatchLifecycle, tenant: str = LOCAL_TENANT, size: int = SIZE) -> BatchRecord:
    with batches.begin(tenant, BatchSource.UPLOAD, JobOptions(webhook_url=NOBODY)) as writer:
        for number in range(size):
            writer.add_upload(Upload(io.BytesIO(NO_PHOTO), "image/jpeg"), JobOptions(reference=f"photo {number}"))
        return writer.commit()


def now(batches: BatchLifecycle, batch: BatchRecord) -> BatchRecord:
    return rebuilt(lambda: batches.find(batch.tenant, batch.id))


def ended(batches: BatchLifecycle, batch: BatchRecord) -> int:
    return batch.total - now(batches, batch).open_items


def assert_counted_and_complete_once(batches: BatchLifecycle, batch: BatchRecord) -> None:
    wait_until(lambda: now(batches, batch).completed_ms is not None, "the batch did not end")
    found = now(batches, batch)
    assert (found.status, found.completions, found.run) == (BatchStatus.COMPLETED, 1, 1)
    assert {status: count for status, count in found.counts.items() if count} == {JobStatus.REJECTED: batch.total}
    assert batches.store.recount(batch.id)
    references = [record.options.reference for record, _ in BatchReader(batches).results(batch.tenant, batch.id)]
    assert references == [f"photo {number}" for number in range(batch.total)]
    objects = batches.jobs.objects
    outcomes = [layout.owner_of(found.key) for found in objects.list(f"{layout.OUTCOMES}{batch.tenant}/")]
    assert len(outcomes) == len(set(outcomes))
    wait_until(lambda: not list(objects.list(f"{layout.UPLOADS}{batch.tenant}/")), "uploads that should be gone")


def assert_announced_once(desk: DeliveryDesk, batch: BatchRecord) -> None:
    query = DeliveryQuery(batch.tenant, 10, batch_id=batch.id)
    wait_until(lambda: bool(rebuilt(lambda: desk.list_deliveries(query))), "the end of the batch is not told")
    [delivery] = rebuilt(lambda: desk.list_deliveries(query))
    assert delivery.webhook_id == webhook_id(batch.id, "batch.completed", 1)


def rebuilt(read: Callable[[], T]) -> T:
    """Read something, waiting for a rebuild to end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return read()
        except RecordsUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.long
def test_bulk_workers_killed_again_and_again(broken: Stack, batches: BatchLifecycle, desk: DeliveryDesk) -> None:
    batch = accept(batches, tenant="bulk-killed")
    for _ in range(3):
        before = ended(batches, batch)
        wait_until(lambda before=before: ended(batches, batch) > before, "nothing was measured")  # type: ignore[misc]
        killed = broken.supervisor.pid("worker-bulk")
        broken.supervisor.kill("worker-bulk", signal.SIGKILL)
        wait_for_another(broken, "worker-bulk", killed)
    assert now(batches, batch).open_items > 0, "the batch ended before the last kill"
    assert_counted_and_complete_once(batches, batch)
    assert_announced_once(desk, batch)


def test_redis_emptied_in_the_middle_of_a_batch(broken: Stack, batches: BatchLifecycle, desk: DeliveryDesk) -> None:
    batch = accept(batches, tenant="emptied")
    wait_until(lambda: ended(batches, batch) > SIZE // 10, "nothing was measured")
    with redis.Redis.from_url(broken.settings_env["FACEFIT_REDIS_URL"]) as client:
        client.flushall()
    assert_counted_and_complete_once(batches, batch)
    assert_announced_once(desk, batch)


@pytest.mark.long
def test_a_small_tenant_behind_a_large_batch(broken: Stack, batches: BatchLifecycle) -> None:
    large = accept(batches, tenant="large")
    small = accept(batches, tenant="small", size=20)
    wait_until(lambda: now(batches, small).completed_ms is not None, "the small batch did not end")
    assert now(batches, large).open_items > SIZE // 4
    assert_counted_and_complete_once(batches, large)
