"""What a worker does with a doorbell that names no job; photos that are none need no face finder."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.clock import system_clock
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobStatus
from shared.storage import layout
from tests.core import Core
from worker.processing import PhotoProcessor

BULK = QueueName.BULK


@pytest.fixture
def core() -> Core:
    core = Core()
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    return core


def process_next(core: Core) -> None:
    assert core.doorbell.take(BULK)
    PhotoProcessor(core.jobs, cast("Any", None), core.settings, core.clock).process_next(BULK)


def test_a_chunk_is_processed_and_the_doorbell_rung_once_more_for_the_rest(core: Core) -> None:
    batch = core.accept_batch(str(number) for number in range(20))
    core.doorbell.rung[BULK] = core.doorbell.rung[BULK][:1]
    process_next(core)
    assert core.find_batch(batch.id).counts[JobStatus.REJECTED] == 16
    assert core.doorbell.depth(BULK) == 1
    process_next(core)
    assert core.find_batch(batch.id).counts[JobStatus.REJECTED] == 20
    assert core.doorbell.depth(BULK) == 0


def test_a_doorbell_too_many_does_nothing(core: Core) -> None:
    core.doorbell.call(BULK, 1)
    process_next(core)
    assert core.doorbell.depth(BULK) == 0


def test_what_is_not_begun_in_time_is_left_to_others(core: Core) -> None:
    class Slow(PhotoProcessor):
        def process(self, job_id: str, *args: Any) -> None:
            super().process(job_id, *args)
            core.clock.advance(4)

    batch = core.accept_batch(str(number) for number in range(16))
    core.doorbell.take(BULK)
    Slow(core.jobs, cast("Any", None), core.settings, core.clock).process_next(BULK)
    assert core.find_batch(batch.id).counts[JobStatus.REJECTED] == 3
    assert core.doorbell.depth(BULK) == 1
    process_next(core)
    assert core.find_batch(batch.id).counts[JobStatus.REJECTED] == 16


def test_the_neighbours_of_an_outcome_that_cannot_be_read_are_measured(core: Core) -> None:
    batch = core.accept_batch(str(number) for number in range(4))
    damaged = core.items(batch.id)[0]
    core.objects.put(layout.outcome_key(LOCAL_TENANT, damaged.id, 1), b"{")
    for _ in range(core.settings.max_attempts + 1):
        core.doorbell.call(BULK, 1)
        process_next(core)
        core.clock.advance(core.settings.lease_s + core.settings.doorbell_grace_s)
    assert core.find_batch(batch.id).counts[JobStatus.REJECTED] == 3
    core.doorbell.call(BULK, 1)
    process_next(core)  # and the doorbell does not break
