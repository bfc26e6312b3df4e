"""What is found by a short cut, against the same taken plainly; what sharpness means is in test_quality.py."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.measure import sharpness

# Few different values: many are equal, and in no order that a sample of them would know of.
RISES = arrays(np.float32, st.integers(64, 3000), elements=st.sampled_from((0.0, 0.5, 1.0, 2.0, 80.0)))


@given(RISES)
def test_the_steepest_rise_is_that_of_all_in_order(rises: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    expected = np.sort(rises)[int(0.98 * rises.size)]
    before = rises.copy()
    assert sharpness._steepest(rises) == expected
    assert (rises == before).all()


@given(st.integers(1000, 9000), st.integers(0, 2**32 - 1))
def test_also_where_the_sample_has_all_the_steep_ones(size: int, seed: int) -> None:
    rises = np.random.default_rng(seed).exponential(1, size).astype(np.float32)
    rises[:: sharpness._SAMPLED] += 100
    assert sharpness._steepest(rises) == np.sort(rises)[int(0.98 * size)]
