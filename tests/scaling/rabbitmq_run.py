"""RabbitMQ's quorum queues as the broker, for real: `make rabbitmq-test`. Needs `rabbitmq-server`; fails without.

Not part of `make test`: the project's own files do not install it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from shared.config import Settings
from shared.errors import QueueUnavailable
from shared.names import QueueName, new_job_id
from shared.services import connect
from stack.stack import Stack
from tests.scaling.load import Load, assert_nothing_lost, wait_for_ends
from tests.scaling.patient import patient_stack
from tests.scaling.processes import wait_until
from tests.scaling.rabbitmq import Cluster, rabbitmq
from tests.scaling.taking_worker import taken, taking_worker

pytestmark = [pytest.mark.timeout(2400), pytest.mark.filterwarnings("default")]

PHOTOS = int(os.environ.get("PHOTOS", "300"))
PER_S = 8.0
PATIENCE_S = 600.0
DOORBELLS = 150
PREFETCHED = 5
"""A worker acknowledges what it begins, and has four more in its hands, which the broker gives to others."""
WORKER_KILLS = 4
SHORT_LEASES = {
    "FACEFIT_LEASE_S": "12",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "8",
    "FACEFIT_DOORBELL_GRACE_S": "4",
    "FACEFIT_MAX_ATTEMPTS": "10",
}
"""Kills are not to be charged to photos as if they were poison, nor waited for as long as in production."""


def run(tmp_path: Path, cluster: Cluster, break_it: Callable[[Load, Stack], None]) -> dict[str, object]:
    overrides = {"FACEFIT_BROKER_URL": cluster.url, **SHORT_LEASES}
    with patient_stack(tmp_path / "stack", overrides) as stack:
        load = Load([stack.url], PHOTOS, PER_S)
        load.run(lambda load: break_it(load, stack))
        found = wait_for_ends(load, stack.url, PATIENCE_S)
        found["queues"] = cluster.queues()
        metrics = httpx.get(f"{stack.url}/metrics", trust_env=False).text
        found["rung again"] = [line for line in metrics.splitlines() if "rung" in line and not line.startswith("#")]
    print(json.dumps(found, indent=1))
    return found


def kill_workers(load: Load, stack: Stack) -> None:
    """Kill everything of the worker for single photos, spread over the load."""
    for number in range(WORKER_KILLS):
        _reached(load, (number + 1) * PHOTOS // (WORKER_KILLS + 2))
        leader = stack.supervisor.pid("worker-interactive")
        if leader is not None:
            with suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGKILL)


def _reached(load: Load, count: int) -> None:
    wait_until(f"{count} photos are sent", lambda: len(load.promised) >= count)


def test_the_broker_is_killed_once_and_the_worker_several_times(tmp_path: Path) -> None:
    with rabbitmq(tmp_path, 1) as cluster:
        (node,) = cluster.nodes

        def break_it(load: Load, stack: Stack) -> None:
            _reached(load, PHOTOS // 8)
            node.server.kill()
            time.sleep(5)
            node.start()
            kill_workers(load, stack)

        found = run(tmp_path, cluster, break_it)
    assert_nothing_lost(found, PHOTOS)
    assert found["queues"] == {"interactive": "quorum", "bulk": "quorum"}
    assert "503" not in found["refused meanwhile"], "a broker that is away is nothing that a client should hear of"  # type: ignore[operator]


def test_one_node_of_three_dies_and_stays_dead(tmp_path: Path) -> None:
    with rabbitmq(tmp_path, 3) as cluster:

        def break_it(load: Load, stack: Stack) -> None:
            _reached(load, PHOTOS // 3)
            cluster.nodes[0].server.kill()  # the one that everybody is connected to

        found = run(tmp_path, cluster, break_it)
    assert_nothing_lost(found, PHOTOS)


def test_the_door_says_so_in_time_when_rabbitmq_is_frozen_or_away(tmp_path: Path) -> None:
    with rabbitmq(tmp_path, 1) as cluster:
        (node,) = cluster.nodes
        doorbell = connect(Settings(broker_url=cluster.url)).jobs.doorbell
        queue = QueueName.INTERACTIVE
        assert doorbell.depth(queue) == 0
        doorbell.ring(queue, new_job_id())
        wait_until("the message is counted", lambda: doorbell.depth(queue) == 1, 10)

        leader = node.server.pid
        assert leader
        _signal_all(leader, signal.SIGSTOP)
        took_s = _time_of_refusal(lambda: doorbell.ring(queue, new_job_id()))
        assert took_s < _time_limit_s(), took_s
        took_s = _time_of_refusal(lambda: doorbell.depth(queue))
        assert took_s < _time_limit_s(), took_s
        _signal_all(leader, signal.SIGCONT)
        wait_until("it is taken again", lambda: _rings(doorbell.ring, queue), 30)

        node.server.kill()
        _time_of_refusal(lambda: doorbell.ring(queue, new_job_id()))
        node.start()
        wait_until("a message is taken again", lambda: _rings(doorbell.ring, queue), 30)
        # What was confirmed is still there: the first, and those after the freeze and the kill.
        assert doorbell.depth(queue) >= 3


def test_a_worker_takes_what_was_confirmed_though_both_are_killed(tmp_path: Path) -> None:
    with rabbitmq(tmp_path, 1) as cluster:
        found = take_all(tmp_path, cluster)
        print(json.dumps(found, indent=1))
        assert cluster.queues() == {"interactive": "quorum"}, "its worker takes from no other"
    assert found["never taken"] <= found["may be in the hands of a killed worker"]


def take_all(folder: Path, cluster: Cluster, *, kill_broker: bool = True) -> dict[str, int]:
    """Ring, kill the worker and then the broker, ring again, and count what was taken of what was confirmed."""
    (node,) = cluster.nodes
    worker = taking_worker(folder, {"FACEFIT_BROKER_URL": cluster.url})
    doorbell = connect(Settings(broker_url=cluster.url)).jobs.doorbell
    rung: list[str] = []

    def ring(count: int) -> None:
        for _ in range(count):
            job_id = new_job_id()
            with suppress(QueueUnavailable):
                doorbell.ring(QueueName.INTERACTIVE, job_id)
                rung.append(job_id)

    try:
        worker.start()
        ring(DOORBELLS)
        wait_until("some are taken", lambda: len(taken(folder)) > DOORBELLS // 4)
        worker.kill()
        ring(DOORBELLS)
        if kill_broker:
            node.server.kill()
            node.start()
            wait_until("a message is taken again", lambda: _rings(doorbell.ring, QueueName.INTERACTIVE))
        worker.start()
        ring(DOORBELLS)
        wait_until("no message waits", lambda: doorbell.depth(QueueName.INTERACTIVE) == 0)
        wait_until("the last is taken", lambda: rung[-1] in taken(folder))
    finally:
        worker.kill()
    found = taken(folder)
    return {
        "confirmed": len(rung),
        "taken": len(set(found) & set(rung)),
        "never taken": len(set(rung) - set(found)),
        "may be in the hands of a killed worker": PREFETCHED,
        "taken twice": len(found) - len(set(found)),
    }


def _time_limit_s() -> float:
    """Time-outs add up: of the lost connection, and of each step of making a new one."""
    return 10 * Settings().broker_timeout_s


def _time_of_refusal(call: Callable[[], object]) -> float:
    began_s = time.monotonic()
    with pytest.raises(QueueUnavailable):
        call()
    return time.monotonic() - began_s


def _rings(ring: Callable[[QueueName, str], None], queue: QueueName) -> bool:
    try:
        ring(queue, new_job_id())
    except QueueUnavailable:
        return False
    return True


def _signal_all(leader: int, number: int) -> None:
    os.killpg(leader, number)
