"""Never more have a place than there are, whoever comes, ends, waits too long or is turned away; nobody is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from api.upload_lines import UploadLine

PLACES = 3


class Line(RuleBasedStateMachine):
    """Connections in one line, against lists that say the same plainly."""

    def __init__(self) -> None:
        super().__init__()
        self.line = UploadLine(PLACES)
        self.now_s = 0.0
        self.waiting: list[Any] = []
        self.inside: list[Any] = []

    @rule(patience_s=st.integers(1, 5))
    def come(self, patience_s: int) -> None:
        # As long a wait for each of those that have come, so that the first to come is the first to give up.
        latest_s = max((conn.until_s for conn in self.waiting), default=0.0)
        conn: Any = _Connection(max(self.now_s + patience_s, latest_s))
        self.line.join(conn)
        self.waiting.append(conn)

    @rule()
    def let_in(self) -> None:
        room = PLACES - len(self.inside)
        expected = self.waiting[:room]
        assert list(self.line.let_in()) == expected
        del self.waiting[:room]
        self.inside += expected

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), times=st.integers(1, 2))
    def end(self, data: st.DataObject, times: int) -> None:
        conn = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        for _ in range(times):  # told by the request, and by its answer
            self.line.leave(conn)

    @rule(later_s=st.integers(0, 4))
    def wait(self, later_s: int) -> None:
        self.now_s += later_s
        expected = [conn for conn in self.waiting if conn.until_s <= self.now_s]
        assert list(self.line.give_up(self.now_s)) == expected
        self.waiting = [conn for conn in self.waiting if conn not in expected]

    @rule()
    def turn_away(self) -> None:
        assert self.line.turn_away() is (self.waiting.pop(0) if self.waiting else None)

    @invariant()
    def all_are_accounted_for(self) -> None:
        assert list(self.line.waiting) == self.waiting
        assert all(conn in self.line for conn in self.inside)
        assert not any(conn in self.line for conn in self.waiting)
        assert len(self.inside) <= PLACES


@dataclass(eq=False)
class _Connection:
    until_s: float


TestLine = Line.TestCase
