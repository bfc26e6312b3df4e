"""Redis behind Sentinels, for real: `make sentinel-test`. The master is killed under load, and later its successor."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from shared.config import Settings
from shared.errors import QueueUnavailable, RecordsUnavailable
from shared.jobs.redis_store import RedisJobStore
from shared.names import QueueName, new_job_id
from shared.queue import CeleryDoorbell, make_celery
from tests.contract.records import make_record
from tests.scaling.load import Load, assert_nothing_lost, wait_for_ends
from tests.scaling.patient import patient_stack
from tests.scaling.processes import wait_until
from tests.scaling.redis_group import RedisGroup, redis_group
from tests.scaling.taking_worker import taken, taking_worker

pytestmark = [pytest.mark.timeout(2400), pytest.mark.filterwarnings("default")]

PHOTOS = int(os.environ.get("PHOTOS", "300"))
PER_S = 8.0
BEFORE_S: Final = 3.0
AFTERWARDS_S: Final = 3.0
PATIENCE_S = 600.0
SHORT_TIMES = {
    "FACEFIT_LEASE_S": "12",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "8",
    "FACEFIT_DOORBELL_GRACE_S": "4",
    "FACEFIT_MAX_ATTEMPTS": "10",
    "FACEFIT_SWEEP_INTERVAL_S": "10",
}


def test_the_master_is_killed_under_load_twice(tmp_path: Path) -> None:
    took_s: list[float] = []

    def break_it(load: Load, group: RedisGroup) -> None:
        for share in (0.25, 0.6):
            wait_until("photos are sent", lambda share=share: len(load.promised) >= share * PHOTOS)  # type: ignore[misc]
            former = group.master()
            assert former
            group.servers[former].kill()
            waited_s = wait_until("another is master", partial(_is_another, group, former))
            took_s.append(round(waited_s, 1))
            group.servers[former].start()
            wait_until("the former one is a replica", lambda: group.copies() == len(group.servers) - 1)

    with (
        redis_group(tmp_path) as group,
        patient_stack(tmp_path / "stack", {**group.settings, **SHORT_TIMES}) as stack,
    ):
        load = Load([stack.url], PHOTOS, PER_S)
        load.run(lambda load: break_it(load, group))
        found = wait_for_ends(load, stack.url, PATIENCE_S)
    found["another was master after, s"] = took_s
    print(json.dumps(found, indent=1))
    assert_nothing_lost(found, PHOTOS)


def test_records_and_doorbells_follow_the_master(tmp_path: Path) -> None:
    with redis_group(tmp_path) as group:
        found = follow_with_a_worker(tmp_path, group)
    print(json.dumps(found, indent=1))
    assert found["taken after the failover"] > 0
    assert found["refused after the failover"] == 0
    assert found["lineage changed"]
    # Redis copies without waiting: what it said yes to in its last moment may be gone, and nothing else.
    assert found["lost"] <= found["written in the last second"]


def follow_with_a_worker(folder: Path, group: RedisGroup) -> dict[str, Any]:
    """Do the same while a worker takes the doorbells."""
    worker = taking_worker(folder, group.settings)
    try:
        worker.start()
        wait_until("the worker listens", lambda: "ready" in worker.log.read_text())
        found = follow(group)
        before = len(taken(folder))
        settings = Settings.model_validate(_names(group))
        doorbell, last = CeleryDoorbell(make_celery(settings)), new_job_id()
        doorbell.ring(QueueName.INTERACTIVE, last)
        found["the last one was taken after, s"] = round(wait_until("it is taken", lambda: last in taken(folder)), 1)
    finally:
        worker.kill()
    ids = taken(folder)
    found["taken after the failover"] = len(ids) - before
    found["doorbells taken"], found["doorbells taken twice"] = len(set(ids)), len(ids) - len(set(ids))
    return found


def _names(group: RedisGroup) -> dict[str, str]:
    return {name.removeprefix("FACEFIT_").lower(): value for name, value in group.settings.items()}


def follow(group: RedisGroup) -> dict[str, Any]:
    """Write records and ring for them without a pause while the master dies; count what is there afterwards."""
    settings = Settings.model_validate(_names(group))
    store, doorbell = RedisJobStore(settings), CeleryDoorbell(make_celery(settings))
    lineage, former = store.lineage(), group.master()
    assert former
    written: dict[str, float] = {}
    refused_s: list[float] = []
    rung, killed_s, again_s = 0, 0.0, 0.0
    began_s = time.monotonic()
    while not again_s or time.monotonic() - again_s < AFTERWARDS_S:
        if not killed_s and time.monotonic() - began_s > BEFORE_S:
            killed_s = time.monotonic()
            group.servers[former].kill()
        record = make_record()
        try:
            store.create(record)
            written[record.id] = time.monotonic()
            doorbell.ring(QueueName.INTERACTIVE, record.id)
            rung += 1
        except (RecordsUnavailable, QueueUnavailable):
            refused_s.append(time.monotonic())
        else:
            again_s = again_s or (time.monotonic() if killed_s else 0.0)
    return {
        "written": len(written),
        "rung": rung,
        "refused": len(refused_s),
        "taken again after, s": round(again_s - killed_s, 1),
        "refused after the failover": sum(at_s > again_s for at_s in refused_s),
        "lineage changed": store.lineage() != lineage,
        "lost": len(store.missing(list(written))),
        "written in the last second": sum(killed_s - 1 < at_s <= killed_s for at_s in written.values()),
        "doorbells at the broker": doorbell.depth(QueueName.INTERACTIVE),
    }


def _is_another(group: RedisGroup, former: int) -> bool:
    return group.master() not in {None, former}
