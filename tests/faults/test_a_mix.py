"""A short mix of faults from a seed, as `make soak` runs for an hour: nothing is lost, nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.broken_stack import BrokenStack
from tests.faults.catalogue import CATALOGUE
from tests.faults.soak import Mix, run_mix

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

CHILD_KILLED, AT_THE_SEAMS, FLUSHED, NOT_RECORDED = 1, 4, 9, 14


def test_nothing_is_lost_whatever_strikes(breaking: BrokenStack, tmp_path: Path) -> None:
    faults = [CATALOGUE[number] for number in (CHILD_KILLED, AT_THE_SEAMS, FLUSHED, NOT_RECORDED)]
    mixed = run_mix(breaking, Mix(7, 60, 15.0, faults, pause_s=(0.2, 1.0)), tmp_path)
    assert mixed.row.problems == []
    assert (mixed.row.accepted, mixed.row.lost, mixed.row.duplicated) == (60, 0, 0)
    assert mixed.row.webhooks_missing == 0
    assert mixed.struck.keys() == {fault.name for fault in faults}
