"""A short run of every fuzzer; and that a fuzzer would notice."""

from __future__ import annotations

import os
import signal

import pytest

from tests.fuzz.run import damaged, run
from tests.fuzz.targets import MAKERS, Target

SECONDS = 60.0
"""More than it ever takes: the number of files ends the run."""


@pytest.mark.parametrize("door", sorted(MAKERS))
def test_nothing_but_stated_refusals_leaves_a_door(door: str) -> None:
    report = run(door, MAKERS[door](), seed=1, seconds=SECONDS, most=150)
    assert report.findings == []
    assert report.executions == sum(report.outcomes.values()) > 0
    assert len(report.outcomes) > 1, "every file ended alike: the damage is not where the door looks"


def picky(data: bytes) -> str:
    if b"raise" in data:
        raise KeyError
    if b"kill" in data:
        os.kill(os.getpid(), signal.SIGKILL)
    return "fine"


@pytest.mark.parametrize(("seed", "what"), [(b"raise", "KeyError"), (b"kill", "SIGKILL")])
def test_what_a_door_raises_and_what_kills_it_are_findings_and_the_run_goes_on(seed: bytes, what: str) -> None:
    target = Target((seed * 20, b"good"), picky)
    report = run("picky", target, seed=3, seconds=SECONDS, most=40)
    assert report.executions == 40
    assert 0 < len(report.findings) < 40
    assert report.outcomes["fine"] == 40 - len(report.findings)
    assert all(what in told for _, told in report.findings)
    assert all(seed in damaged("picky", target, 3, number) for number, _ in report.findings)
