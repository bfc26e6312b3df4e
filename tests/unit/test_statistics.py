from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import (
    NORMAL_WITHIN,
    halves,
    interval_by_person,
    range_percent,
    share_of,
    summarise,
    wilson_interval,
    within_sds,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, 857, table I, method 3 (score without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    other_low, other_high = wilson_interval(trials - successes, trials)
    assert (other_low, other_high) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, -1)])
def test_wilson_refuses_what_is_no_share(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson_interval(successes, trials)


def test_nothing_has_no_share_and_no_mean() -> None:
    nothing = share_of([])
    assert (nothing.n, nothing.within) == (0, 0)
    assert all(math.isnan(x) for x in (nothing.share, nothing.low, nothing.high, summarise([]).mean))
    assert all(math.isnan(x) for x in (summarise([3.0]).sd, range_percent([3.0]), *interval_by_person([], [])))


def test_a_summary_divides_by_one_less() -> None:
    summary = summarise([2, 4, 4, 4, 5, 5, 7, 9])
    assert (summary.n, summary.mean) == (8, 5)
    assert summary.sd == pytest.approx(2.13809, abs=1e-5)  # √(32 / 7)


@pytest.mark.parametrize("multiple", [1, 2])
def test_normal_errors_are_covered_as_a_normal_is(multiple: int) -> None:
    """Each error drawn with its own standard deviation, from a tenth of a millimetre to ten."""
    generator = np.random.default_rng(7)
    sds = 10 ** generator.uniform(-1, 1, 40_000)
    covered = within_sds(generator.normal(0, sds), sds, multiple)
    assert share_of(covered).share == pytest.approx(NORMAL_WITHIN[multiple], abs=0.008)  # 3 standard errors


@pytest.mark.parametrize("wrong_by", [0.5, 2.0])
def test_wrong_standard_deviations_are_not_covered(wrong_by: float) -> None:
    generator = np.random.default_rng(8)
    covered = share_of(within_sds(generator.normal(0, 1, 2_000), np.full(2_000, wrong_by), 1))
    assert not covered.low < NORMAL_WITHIN[1] < covered.high


def test_an_error_of_exactly_so_many_sds_is_covered() -> None:
    assert within_sds([1.0, -1.0, 1.001], [1.0, 1.0, 1.0], 1).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("errors", "sds"), [([1.0], [0.0]), ([1.0], [-1.0]), ([math.nan], [1.0]), ([1.0], [math.nan]), ([1.0, 2.0], [1.0])]
)
def test_coverage_of_nonsense_is_refused(errors: list[float], sds: list[float]) -> None:
    with pytest.raises(ValueError, match=r"standard deviations"):
        within_sds(errors, sds, 1)


def test_values_that_hang_together_widen_the_interval() -> None:
    """Twenty people with ten values each, all ten alike: twenty trials, not two hundred."""
    hits = np.repeat(np.arange(20) % 3 > 0, 10)
    people = [str(person) for person in np.repeat(np.arange(20), 10)]
    low, high = interval_by_person(hits, people)
    alone = share_of(hits)
    assert low < alone.low < alone.share < alone.high < high
    assert (high - low) / (alone.high - alone.low) == pytest.approx(math.sqrt(10), rel=0.25)
    assert interval_by_person(hits, people) == (low, high)


@given(st.sets(st.integers(0, 999), min_size=1), st.randoms(use_true_random=False))
def test_the_split_depends_on_the_people_alone(numbers: set[int], shuffler: random.Random) -> None:
    named = [f"{number:03d}" for number in sorted(numbers)]
    shuffled = named * 2
    shuffler.shuffle(shuffled)
    fit, held_out = halves(shuffled)
    assert (fit, held_out) == (named[::2], named[1::2])


def test_people_are_sorted_by_number_and_not_by_letter() -> None:
    assert halves(["10", "9", "100", "ann"]) == (["9", "100"], ["10", "ann"])


def test_a_range_is_in_per_cent_of_the_mean() -> None:
    assert range_percent([98.0, 100.0, 102.0]) == pytest.approx(4.0)
