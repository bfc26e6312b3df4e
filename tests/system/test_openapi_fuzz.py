"""A short seeded run of `schemathesis` over the live service; `make schemathesis` is the long one."""

from __future__ import annotations

import pytest

from bench.openapi_fuzz import fuzz
from stack.stack import Stack

pytestmark = pytest.mark.system

SECONDS = 20
FEWEST = 20
"""Fewer are no run at all; a machine that does other things made 29 in this time."""


def test_no_fault_and_no_answer_outside_the_document(service: Stack) -> None:
    outcome = fuzz(service.url, seconds=SECONDS, seed=1, phases="fuzzing,stateful")
    assert outcome.passed, outcome.said
    assert outcome.requests >= FEWEST
