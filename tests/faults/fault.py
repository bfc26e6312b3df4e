"""What a fault is: how it strikes, and what its load must look like for that to be seen."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.faults.broken_stack import BrokenStack
from tests.faults.photos import Kind
from tests.faults.plan import RECEIVER_PATH, WEBHOOK_SHARE
from tests.faults.waiting import wait_until

FULL: Final = 300
"""With a load of so many photos a fault strikes as often, and as long, as its description says; less with fewer."""
COMES_WITHIN_S: Final = 90.0
"""How soon a process must come to a marked point, under load."""
COMES_BY_ITSELF_S: Final = 4.0
"""Or else the load may be over: a photo beside it is sent."""


class StrikeFailed(AssertionError):
    """Raised when a fault did not come about, or showed something that must not be."""


class On(StrEnum):
    """The stack that a fault needs."""

    USUAL = "usual"
    PROXIES = "proxies"
    SMALL_DISK = "small disk"


@dataclass(frozen=True, slots=True)
class Strike:
    """What a fault is given to strike with.

    Attributes
    ----------
    scale : float
        Between 0 and 1: how much of its full number or time it strikes.
    """

    broken: BrokenStack
    chance: random.Random
    scale: float = 1.0

    def times(self, full: int, least: int = 2) -> int:
        return max(least, round(full * self.scale))

    def seconds(self, full: float, least: float) -> float:
        return max(least, full * self.scale)

    def pause(self, least_s: float, most_s: float) -> None:
        time.sleep(self.chance.uniform(least_s, most_s))

    def break_at(self, point: str) -> None:
        """Have the next process break that comes to a point, and wait until one has; a photo helps when none does."""
        marked = self.broken.points
        marked.arm(point)
        until = time.monotonic() + COMES_WITHIN_S
        while marked.left(point):
            self.check(time.monotonic() < until, f"no process came to {point}")
            with suppress(AssertionError):
                wait_until(lambda: marked.left(point) == 0, point, COMES_BY_ITSELF_S)
                return
            self.broken.send_one()

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            raise StrikeFailed(what)


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table.

    Attributes
    ----------
    strike : callable
        Does it, and has undone it when it returns.
    lasts_s : float
        About how long that takes at full scale: the load is spread over this time.
    good_may_fail : bool
        Whether a good photo may be hit so often that its attempts are used up.
    in_mix : bool
        Whether it may strike at random beside others.
    """

    number: int
    name: str
    strike: Callable[[Strike], None]
    lasts_s: float = 25.0
    on: On = On.USUAL
    needs_root: bool = False
    good_may_fail: bool = False
    in_mix: bool = True
    special: Kind = Kind.POISON
    special_share: float = 0.01
    batches: int = 1
    webhook_share: float = WEBHOOK_SHARE
    paths: tuple[str, ...] = (RECEIVER_PATH,)
    afterwards: Callable[[Strike], list[str]] | None = None
    """Looks for what only this fault could have spoilt, when all has ended; returns what is wrong."""
