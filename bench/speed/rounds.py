"""Rounds in which contenders take turns, and what a figure of several rounds is: median, lowest, highest."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contender did in one turn.

    Attributes
    ----------
    photos : int
        How many it was given.
    measured : int
        In how many it found a face.
    wall_s : float
        How long it took for all [s].
    cpu_s : dict of str to float
        What it cost, by kind of process [s].
    """

    photos: int
    measured: int
    wall_s: float
    cpu_s: Mapping[str, float]

    @property
    def photos_per_s(self) -> float:
        """Photos a second."""
        return self.photos / self.wall_s

    def cpu_ms(self, kinds: Callable[[str], bool] = lambda kind: kind != "client") -> float:
        """Return CPU per photo of the kinds of processes that `kinds` names [ms]."""
        return 1000 * sum(used for kind, used in self.cpu_s.items() if kinds(kind)) / self.photos

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of several rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Sum up the values of all rounds."""
        return cls(statistics.median(values), min(values), max(values), len(values))


def rotated(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Yield each name once a round, each round beginning with another: none always follows the same one."""
    for number in range(rounds):
        start = number % len(names)
        for name in (*names[start:], *names[:start]):
            yield number, name


def ratios(above: Sequence[float], below: Sequence[float]) -> Figure:
    """Divide round by round, so that what slowed a whole round down is in both."""
    return Figure.of([one / other for one, other in zip(above, below, strict=True)])


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
