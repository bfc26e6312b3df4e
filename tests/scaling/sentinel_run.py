"""Redis behind Sentinels, for real: `make sentinel-test`. The master is killed under load, and later its successor."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest

from tests.scaling.load import Load, assert_nothing_lost, wait_for_ends
from tests.scaling.patient import patient_stack
from tests.scaling.processes import wait_until
from tests.scaling.redis_group import RedisGroup, redis_group

pytestmark = [pytest.mark.timeout(2400), pytest.mark.filterwarnings("default")]

PHOTOS = int(os.environ.get("PHOTOS", "300"))
PER_S = 8.0
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


def _is_another(group: RedisGroup, former: int) -> bool:
    return group.master() not in {None, former}
