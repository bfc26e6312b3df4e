"""The few statistics that the accuracy tables need, in numpy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95: Final = 1.959963984540054
"""The standard normal's 97.5 % point: two-sided 95 %."""
NORMAL_WITHIN: Final = {1: 0.6826894921370859, 2: 0.9544997361036416}
"""The share of a normal within one and two standard deviations."""
BOOTSTRAP_REPEATS: Final = 2000
"""Enough for two digits of a 95 % interval (Efron & Tibshirani 1993 ask for 1,000 and more)."""
BOOTSTRAP_SEED: Final = 20261
"""Any fixed number: reruns print the same table."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample in three numbers.

    Attributes
    ----------
    n : int
        Values.
    mean : float
        NaN of an empty sample.
    sd : float
        Standard deviation of the sample (n - 1); NaN below two values.
    """

    n: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Share:
    """A share with the interval that it could be.

    Attributes
    ----------
    within, n : int
        So many of so many.
    low, high : float
        Wilson's 95 % interval; NaN of nothing.
    """

    within: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """`within` over `n`; NaN of nothing."""
        return self.within / self.n if self.n else math.nan


def summarise(values: ArrayLike) -> Summary:
    """Give the number, mean and standard deviation (n - 1) of a sample."""
    sample = np.asarray(values, dtype=np.float64)
    return Summary(
        n=sample.size,
        mean=float(sample.mean()) if sample.size else math.nan,
        sd=float(sample.std(ddof=1)) if sample.size > 1 else math.nan,
    )


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Give Wilson's score interval of a share.

    Parameters
    ----------
    successes, trials : int
        So many of so many.
    z : float
        How many standard deviations; 1.96 makes it 95 %.

    Returns
    -------
    tuple of float
        Lower and upper end, within 0 to 1; NaN of no trials.

    Raises
    ------
    ValueError
        If there are more successes than trials, or fewer than none.

    References
    ----------
    Wilson 1927, J. Am. Stat. Assoc. 22, 209; the form of Newcombe 1998, Statistics in Medicine 17, 857, method 3.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share")
    if trials == 0:
        return math.nan, math.nan
    centre = 2 * successes + z * z
    spread = z * math.sqrt(z * z + 4 * successes * (trials - successes) / trials)
    width = 2 * (trials + z * z)
    return max(0.0, (centre - spread) / width), min(1.0, (centre + spread) / width)


def share_of(hits: ArrayLike) -> Share:
    """Count the true ones, with Wilson's 95 % interval."""
    flags = np.asarray(hits, dtype=bool)
    within = int(flags.sum())
    low, high = wilson_interval(within, flags.size)
    return Share(within=within, n=flags.size, low=low, high=high)


def within_sds(errors: ArrayLike, sds: ArrayLike, multiple: float) -> NDArray[np.bool_]:
    """Tell which errors are no larger than so many of their standard deviations.

    Parameters
    ----------
    errors, sds : array_like, shape (n,)
        In the same unit.
    multiple : float
        How many standard deviations.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where it covers.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or a standard deviation is not positive.
    """
    error, sd = np.asarray(errors, dtype=np.float64), np.asarray(sds, dtype=np.float64)
    if error.shape != sd.shape:
        raise ValueError(f"{error.shape} errors and {sd.shape} standard deviations")
    if not (np.isfinite(error).all() and np.isfinite(sd).all() and (sd > 0).all()):
        raise ValueError("errors are finite, and standard deviations finite and positive")
    covered: NDArray[np.bool_] = np.abs(error) <= multiple * sd
    return covered


def interval_by_person(hits: ArrayLike, people: Sequence[str]) -> tuple[float, float]:
    """Give the 95 % interval of a share when one person's values hang together.

    Wilson's interval takes each value for a trial of its own; the widths of one person share a ruler. This one draws
    people, not values (a percentile bootstrap by cluster).

    Parameters
    ----------
    hits : array_like of bool, shape (n,)
        Which values count.
    people : sequence of str, length n
        Whose they are.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN of nothing. The same on each call.
    """
    flags = np.asarray(hits, dtype=bool)
    if flags.size == 0:
        return math.nan, math.nan
    _, owner = np.unique(np.asarray(people), return_inverse=True)
    values = np.bincount(owner)
    counted = np.bincount(owner, weights=flags)
    drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(0, values.size, (BOOTSTRAP_REPEATS, values.size))
    shares = counted[drawn].sum(axis=1) / values[drawn].sum(axis=1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return float(low), float(high)


def halves(people: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split people into those whom constants may be set on, and those whom they are shown on.

    Sorted by the number in the id (then by the id itself), positions 0, 2, 4 … are the fit half and 1, 3, 5 … are
    held out. One person's photos all fall into one half, and the order in which people are named does not matter.

    Parameters
    ----------
    people : iterable of str
        Ids; repeats count once.

    Returns
    -------
    tuple of list of str
        The fit half, the held-out half.
    """
    ordered = sorted(set(people), key=_by_number)
    return ordered[::2], ordered[1::2]


def range_percent(values: ArrayLike) -> float:
    """Give the largest less the smallest value, in per cent of the mean; NaN below two values."""
    sample = np.asarray(values, dtype=np.float64)
    return float(100 * np.ptp(sample) / sample.mean()) if sample.size > 1 else math.nan


def _by_number(person: str) -> tuple[float, str]:
    number = re.search(r"\d+", person)
    return (float(number.group()) if number else math.inf, person)
