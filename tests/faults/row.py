"""One row of the table: what a fault did, and what was counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Row:
    """What came of one fault.

    Attributes
    ----------
    put_off : int
        Requests that were sent again: refused, or not answered.
    unasked : int
        Photos without an idempotency key that were taken twice, because an answer was lost.
    used_up : int
        Good photos that ended as failed because they were hit three times.
    recovered_s : float or None
        From the end of the fault until a photo that was sent then was measured.
    not_run : str
        Why it was not run; nothing if it was.
    """

    number: int
    name: str
    seed: int
    photos: int
    good_may_fail: bool = False
    accepted: int = 0
    terminal: int = 0
    results: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0
    refused: int = 0
    put_off: int = 0
    unasked: int = 0
    used_up: int = 0
    uploads_left: int = 0
    webhooks_owed: int = 0
    webhooks_missing: int = 0
    webhooks_repeated: int = 0
    struck_s: float = 0.0
    recovered_s: float | None = None
    lasted_s: float = 0.0
    not_run: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.not_run and not self.problems and not self.lost

    @property
    def verdict(self) -> str:
        if self.not_run:
            return "not run"
        return "passed" if self.passed else "FAILED"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Row:
        return cls(**{name: value for name, value in values.items() if name != "verdict"})
