"""Hands go on, whatever the work in them does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from worker.hands import Hands


@dataclass
class Named:
    id: str


@dataclass
class Claim:
    record: Named = field(default_factory=lambda: Named("one"))


def test_a_record_that_cannot_be_read_ends_no_hands() -> None:
    stop, answers = threading.Event(), iter([KeyError("no such field"), Claim(), None])
    done: list[str] = []

    def take() -> Claim | None:
        answer = next(answers)
        if isinstance(answer, KeyError):
            raise answer
        if answer is None:
            stop.set()
        return answer

    Hands("delivery", 2, 0.001).keep_busy(take, lambda claim: done.append(claim.record.id), stop)
    assert done == ["one"]


def test_work_that_goes_wrong_ends_no_hands() -> None:
    stop, answers = threading.Event(), iter([Claim(), Claim(), None])
    begun: list[str] = []

    def take() -> Claim | None:
        answer = next(answers)
        if answer is None:
            stop.set()
        return answer

    def do(claim: Claim) -> None:
        begun.append(claim.record.id)
        raise KeyError(claim.record.id)

    Hands("delivery", 1, 0.001).keep_busy(take, do, stop)
    assert begun == ["one", "one"]
