from __future__ import annotations

from shared.names import QueueName
from tests.core import Core
from worker.healthcheck import what_is_wrong


def test_a_worker_is_well_while_its_own_processes_say_so(core: Core) -> None:
    assert "no process of here" in str(what_is_wrong(core.store, "here"))
    core.store.beat("elsewhere", 1, [QueueName.BULK], valid_s=15)
    assert what_is_wrong(core.store, "here") is not None
    core.store.beat("here", 2, [QueueName.BULK], valid_s=15)
    assert what_is_wrong(core.store, "here") is None
    core.clock.advance(16)
    assert what_is_wrong(core.store, "here") is not None


def test_a_worker_without_records_is_not_well(core: Core) -> None:
    core.set_records_away(True)
    assert what_is_wrong(core.store, "here")
