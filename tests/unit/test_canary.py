"""Canaries: what counts as a sign of life, when another one is sent, and that a wrong one is told from a right one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.config import Settings
from shared.jobs.memory_store import MemoryJobStore
from shared.names import QueueName
from shared.queue import A_CANARY
from shared.telemetry.canary import latest_sign, send_due_canaries
from shared.telemetry.meter import Meter
from tests.clock import FakeClock
from tests.core import Core
from tests.tallies import tallied
from worker.canary import Canary, CanaryWrong
from worker.vision.faces import MeshFace
from worker.vision.find_faces import FaceFinder

INTERACTIVE, BULK = QueueName.INTERACTIVE, QueueName.BULK
EVERY_S = Settings().canary_interval_s


def trouble(core: Core, queue: QueueName = INTERACTIVE) -> str | None:
    return latest_sign(core.store, queue, core.settings, now_ms=core.clock()).trouble


def beat(core: Core) -> None:
    core.store.beat("w", 1, [INTERACTIVE], valid_s=1e6)


def answer(core: Core, queue: QueueName, *, is_ok: bool = True) -> None:
    assert core.doorbell.take(queue) == A_CANARY
    core.store.metrics.canary_measured(queue, took_s=0.1, is_ok=is_ok)


def test_a_process_that_only_says_it_lives_is_no_sign(core: Core) -> None:
    assert "ready" in str(trouble(core))
    beat(core)
    assert "has measured anything yet" in str(trouble(core))


def test_a_canary_is_a_sign_for_three_intervals(core: Core) -> None:
    beat(core)
    core.store.metrics.canary_measured(INTERACTIVE, took_s=0.1, is_ok=True)
    core.clock.advance(3 * EVERY_S)
    sign = latest_sign(core.store, INTERACTIVE, core.settings, now_ms=core.clock())
    assert (sign.seen, sign.age_s, sign.canary_s, sign.trouble) == ("canary", 3 * EVERY_S, 0.1, None)
    core.clock.advance(1)
    assert "46 s" in str(trouble(core))
    assert trouble(core, BULK) is not None


def test_a_canary_that_goes_wrong_is_no_sign(core: Core) -> None:
    beat(core)
    core.store.metrics.canary_measured(INTERACTIVE, took_s=0.1, is_ok=False)
    assert trouble(core) is not None


def test_without_a_live_process_an_old_canary_says_nothing(core: Core) -> None:
    core.store.metrics.canary_measured(INTERACTIVE, took_s=0.1, is_ok=True)
    assert "ready" in str(trouble(core))


def test_results_are_signs_under_a_long_queue(core: Core) -> None:
    beat(core)
    core.store.metrics.canary_measured(INTERACTIVE, took_s=0.1, is_ok=True)
    core.clock.advance(3 * EVERY_S + 1)
    core.accept()
    core.work()
    sign = latest_sign(core.store, INTERACTIVE, core.settings, now_ms=core.clock())
    assert (sign.seen, sign.trouble) == ("photo", None)


def test_one_is_sent_to_each_queue_and_again_after_the_interval(core: Core) -> None:
    send_due_canaries(core.jobs)
    assert {queue: rung for queue, rung in core.doorbell.rung.items() if rung} == {
        INTERACTIVE: [A_CANARY],
        BULK: [A_CANARY],
    }
    for queue in QueueName:
        answer(core, queue)
    core.clock.advance(EVERY_S - 0.001)
    send_due_canaries(core.jobs)
    assert core.doorbell.depth(INTERACTIVE) == 0
    core.clock.advance(0.001)
    send_due_canaries(core.jobs)
    assert core.doorbell.depth(INTERACTIVE) == 1


def test_they_do_not_pile_up_where_nobody_answers(core: Core) -> None:
    for _ in range(100):
        send_due_canaries(core.jobs)
        core.clock.advance(EVERY_S)
    assert core.doorbell.depth(INTERACTIVE) == 1


def test_one_that_was_lost_is_sent_again(core: Core) -> None:
    send_due_canaries(core.jobs)
    core.doorbell.rung.clear()
    core.clock.advance(1)
    send_due_canaries(core.jobs)
    assert core.doorbell.depth(INTERACTIVE) == 1


def test_after_a_loss_one_is_sent_at_once(core: Core) -> None:
    send_due_canaries(core.jobs)
    answer(core, INTERACTIVE)
    core.lose_records()
    send_due_canaries(core.jobs)
    assert core.doorbell.rung[INTERACTIVE] == [A_CANARY]


def test_behind_photos_only_one_waits(core: Core) -> None:
    for _ in range(5):
        core.accept()
    for _ in range(5):
        send_due_canaries(core.jobs)
        core.clock.advance(EVERY_S)
    assert core.doorbell.rung[INTERACTIVE].count(A_CANARY) == 1


class Blind:
    """Finds nothing anywhere."""

    def detect(self, pixels: NDArray[np.uint8], max_faces: int = 1) -> list[MeshFace]:  # noqa: ARG002
        return []

    def refine(self, pixels: NDArray[np.uint8], faces: Iterable[MeshFace], scale: float) -> list[MeshFace]:  # noqa: ARG002
        return []


class Broken(Blind):
    def detect(self, pixels: NDArray[np.uint8], max_faces: int = 1) -> list[MeshFace]:  # noqa: ARG002
        raise RuntimeError


class Shifted(Blind):
    """Finds the face, and puts every point elsewhere."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder

    def detect(self, pixels: NDArray[np.uint8], max_faces: int = 1) -> list[MeshFace]:
        return [replace(face, landmarks=face.landmarks * 0.9) for face in self._finder.detect(pixels, max_faces)]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def test_the_portrait_is_measured_as_it_should_be(finder: FaceFinder, clock: FakeClock) -> None:
    store, meter = MemoryJobStore(clock), Meter()
    Canary(finder, store.metrics, Settings(), meter).sing([INTERACTIVE, BULK])
    for queue in QueueName:
        signs = store.metrics.signs(queue)
        assert signs.ok_ms == clock()
        assert signs.canary_s is not None
    counted = meter.take()
    assert {kept: counted[f"facefit_canaries_total|{kept}"] for kept in ("bulk|ok", "interactive|ok")} == {
        "bulk|ok": 1,
        "interactive|ok": 1,
    }
    assert counted["facefit_canaries_total|bulk|wrong"] == 0


@pytest.mark.parametrize("fault", [Blind, Broken, Shifted])
def test_a_mesh_that_is_broken_is_found_out(fault: type[Blind], finder: FaceFinder, clock: FakeClock) -> None:
    store, meter = MemoryJobStore(clock), Meter()
    broken = Shifted(finder) if fault is Shifted else fault()
    with pytest.raises(CanaryWrong):
        Canary(broken, store.metrics, Settings(), meter).sing([BULK])
    assert store.metrics.signs(BULK).ok_ms is None
    assert store.metrics.signs(BULK).answered_ms == clock()
    assert meter.take() == {"facefit_canaries_total|bulk|wrong": 1, "facefit_canaries_total|bulk|ok": 0}


def test_a_canary_does_not_need_redis(finder: FaceFinder) -> None:
    store = MemoryJobStore()
    store.away = True
    Canary(finder, store.metrics, Settings(), Meter()).sing([BULK])
    store.away = False
    assert tallied(store) == {}
