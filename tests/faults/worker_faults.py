"""Faults 1 to 7: what can happen to those who measure."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import replace
from typing import Final

from stack.services import API, DELIVERY, UPKEEP
from tests.faults import points
from tests.faults.broken_stack import BULK, INTERACTIVE, SHORT
from tests.faults.fault import COMES_WITHIN_S, Fault, Strike
from tests.faults.photos import Kind
from tests.faults.waiting import wait_until

LEASE_S: Final = float(SHORT["FACEFIT_LEASE_S"])
SECOND: Final = "worker-second"


def child_killed(strike: Strike) -> None:
    for _ in range(strike.times(12, 3)):
        strike.break_at(points.MID_INFERENCE)
        strike.pause(0.2, 2.0)


def poison(strike: Strike) -> None:
    """Do nothing: the photos are the fault."""
    strike.pause(1.0, 2.0)


def workers_killed(strike: Strike) -> None:
    for turn in range(strike.times(30, 4)):
        before = strike.broken.ready_children()
        strike.broken.kill(BULK if turn % 3 == 2 else INTERACTIVE)
        strike.broken.wait_for_ready(before)
        strike.pause(0.1, 2.0)


def killed_at_the_seams(strike: Strike) -> None:
    seams = (points.BEFORE_CLAIM, points.AFTER_CLAIM, points.BEFORE_OUTCOME, points.AFTER_OUTCOME)
    for _ in range(strike.times(5, 1)):
        for point in strike.chance.sample(seams, len(seams)):
            strike.break_at(point)
            strike.pause(0.1, 1.0)


def rolling_restart(strike: Strike) -> None:
    names = (INTERACTIVE, BULK, API, DELIVERY, UPKEEP)
    for turn in range(strike.times(20, len(names))):
        name = names[turn % len(names)]
        strike.broken.stop(name)
        before = strike.broken.ready_children()
        strike.broken.start(name)
        if name in {INTERACTIVE, BULK}:
            strike.broken.wait_for_ready(before)
        strike.pause(0.2, 1.0)


def hung(strike: Strike) -> None:
    """Stop a child in the middle of a photo for good; stop a whole worker before it writes, and let it go on.

    No batch comes meanwhile: there is one worker for bulk, and nobody to take over from it.
    """
    broken = strike.broken
    for _ in range(strike.times(3, 1)):
        strike.break_at(points.HANG)
        strike.pause(0.1, 1.0)
    _start_second(strike)
    try:
        for _ in range(strike.times(4, 2)):
            _stop_one_and_let_it_go_on(strike)
    finally:
        broken.supervisor.stop(SECOND)


def _start_second(strike: Strike) -> None:
    """Start another worker for single photos, so that somebody is there to finish what the first one holds."""
    supervisor = strike.broken.supervisor
    spec = supervisor._watched[INTERACTIVE].child.spec
    command = tuple("second@%h" if part.endswith("@%h") else part for part in spec.command)
    before = strike.broken.ready_children()
    supervisor.run(replace(spec, name=SECOND, command=command))
    supervisor.restart(SECOND, automatically=True)
    strike.broken.wait_for_ready(before)


def _stop_one_and_let_it_go_on(strike: Strike) -> None:
    marked = strike.broken.points
    marked.forget(points.STOPPED)
    strike.break_at(points.STOP_BEFORE_OUTCOME)
    wait_until(lambda: bool(marked.texts(points.STOPPED)), "no worker was stopped", COMES_WITHIN_S)
    group_text, child_text, key = marked.texts(points.STOPPED)[0].split()
    fenced = marked.noted(points.FENCED)
    objects = strike.broken.objects()
    with suppress(ProcessLookupError):
        try:
            # The lease runs out, and somebody else measures the photo, behind whatever waits; then this one writes.
            wait_until(lambda: objects.exists(key), "nobody took over", LEASE_S + COMES_WITHIN_S)
            # Before its parent, which would end it for the time it took.
            os.kill(int(child_text), signal.SIGCONT)
            wait_until(lambda: marked.noted(points.FENCED) > fenced, "nobody was refused", COMES_WITHIN_S)
        finally:
            os.killpg(int(group_text), signal.SIGCONT)
    strike.pause(0.5, 1.5)


def out_of_memory(strike: Strike) -> None:
    for _ in range(strike.times(12, 3)):
        strike.break_at(points.EAT_MEMORY)
        strike.pause(0.1, 1.0)
    strike.check(strike.broken.points.noted(points.MEMORY_ERROR) > 0, "no process ran out of memory")


FAULTS: Final = (
    Fault(1, "worker child killed mid-inference", child_killed, lasts_s=30),
    Fault(2, "poison photos", poison, lasts_s=20, special_share=0.04),
    Fault(3, "whole worker killed 30 times", workers_killed, lasts_s=150, good_may_fail=True),
    Fault(4, "killed at the seams of a claim", killed_at_the_seams, lasts_s=40),
    Fault(5, "rolling restart, 20 times", rolling_restart, lasts_s=110),
    Fault(6, "worker hung, then continued", hung, lasts_s=75, batches=0, in_mix=False),
    Fault(7, "out of memory", out_of_memory, lasts_s=25, special=Kind.GLUTTON, special_share=0.02),
)
