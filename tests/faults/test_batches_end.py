"""Real processes, real signals: a batch is counted exactly and complete once, whatever is killed or emptied meanwhile.

The photos are none: each is decoded as far as it goes and rejected, which is quick and needs no face.
"""

from __future__ import annotations

import io
import signal
import time

import pytest
import redis

from shared.config import Settings
from shared.errors import RecordsUnavailable
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batches import BatchLifecycle
from shared.jobs.lifecycle import Upload
from shared.names import LOCAL_TENANT
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.services import connect
from shared.storage import layout
from stack.stack import Stack
from tests.faults.test_every_accepted_photo_ends import PATIENCE_S, wait_for_another, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

NO_PHOTO = b"\xff\xd8\xff\xe0" + bytes(2000)
SIZE = 240


@pytest.fixture
def batches(broken: Stack) -> BatchLifecycle:
    names = {name.removeprefix("FACEFIT_").lower(): value for name, value in broken.settings_env.items()}
    return BatchLifecycle(connect(Settings.model_validate(names)).jobs)


def accept(batches: BatchLifecycle, tenant: str = LOCAL_TENANT, size: int = SIZE) -> BatchRecord:
    with batches.begin(tenant, BatchSource.UPLOAD, JobOptions()) as writer:
        for number in range(size):
            writer.add_upload(Upload(io.BytesIO(NO_PHOTO), "image/jpeg"), JobOptions(reference=f"photo {number}"))
        return writer.commit()


def now(batches: BatchLifecycle, batch: BatchRecord) -> BatchRecord:
    """Read a batch, waiting for a rebuild to end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return batches.find(batch.tenant, batch.id)
        except RecordsUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def ended(batches: BatchLifecycle, batch: BatchRecord) -> int:
    return batch.total - now(batches, batch).open_items


def assert_counted_and_complete_once(batches: BatchLifecycle, batch: BatchRecord) -> None:
    wait_until(lambda: now(batches, batch).completed_ms is not None, "the batch did not end")
    found = now(batches, batch)
    assert (found.status, found.completions, found.run) == (BatchStatus.COMPLETED, 1, 1)
    assert {status: count for status, count in found.counts.items() if count} == {JobStatus.REJECTED: batch.total}
    assert batches.store.recount(batch.id)
    references = [record.options.reference for record, _ in batches.results(batch.tenant, batch.id)]
    assert references == [f"photo {number}" for number in range(batch.total)]
    objects = batches.jobs.objects
    outcomes = [layout.owner_of(found.key) for found in objects.list(f"{layout.OUTCOMES}{batch.tenant}/")]
    assert len(outcomes) == len(set(outcomes))
    wait_until(lambda: not list(objects.list(f"{layout.UPLOADS}{batch.tenant}/")), "uploads that should be gone")


def test_bulk_workers_killed_again_and_again(broken: Stack, batches: BatchLifecycle) -> None:
    batch = accept(batches)
    for _ in range(3):
        before = ended(batches, batch)
        wait_until(lambda before=before: ended(batches, batch) > before, "nothing was measured")  # type: ignore[misc]
        killed = broken.supervisor.pid("worker-bulk")
        broken.supervisor.kill("worker-bulk", signal.SIGKILL)
        wait_for_another(broken, "worker-bulk", killed)
    assert now(batches, batch).open_items > 0, "the batch ended before the last kill"
    assert_counted_and_complete_once(batches, batch)


def test_redis_emptied_in_the_middle_of_a_batch(broken: Stack, batches: BatchLifecycle) -> None:
    batch = accept(batches, tenant="emptied")
    wait_until(lambda: ended(batches, batch) > SIZE // 10, "nothing was measured")
    with redis.Redis.from_url(broken.settings_env["FACEFIT_REDIS_URL"]) as client:
        client.flushall()
    assert_counted_and_complete_once(batches, batch)


def test_a_small_tenant_behind_a_large_batch(broken: Stack, batches: BatchLifecycle) -> None:
    large = accept(batches, tenant="large")
    small = accept(batches, tenant="small", size=20)
    wait_until(lambda: now(batches, small).completed_ms is not None, "the small batch did not end")
    assert now(batches, large).open_items > SIZE // 4
    assert_counted_and_complete_once(batches, large)
