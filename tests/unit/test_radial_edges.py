from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.measure.radial_edges import STEP, LowerMedians, Search, find_peaks

BOX = 6
REACHES = st.sampled_from((5, 10))


@given(reach=REACHES, data=st.data())
def test_contrast_is_the_mean_beyond_less_the_mean_before(reach: int, data: st.DataObject) -> None:
    search = Search.within(reach)
    levels = st.integers(0, 255).map(float)
    [samples] = data.draw(arrays(np.float64, (1, search.radii.size), elements=levels))
    peaks = find_peaks(samples[np.newaxis], search)
    contrast_at = {
        place: samples[place + 1 : place + 1 + BOX].mean() - samples[place - BOX : place].mean()
        for place in range(BOX, samples.size - BOX)
    }
    middle = samples.size // 2
    near = range(middle - reach + 1, middle + reach)
    if peaks.contrast[0] > 0:
        assert any(peaks.contrast[0] == pytest.approx(contrast_at[place]) for place in near)
    strongest = max(near, key=contrast_at.__getitem__)
    beside = contrast_at[strongest - 1], contrast_at[strongest + 1]
    if contrast_at[strongest] > max(0, contrast_at[middle - reach], contrast_at[middle + reach], *beside):
        assert peaks.contrast[0] == pytest.approx(contrast_at[strongest])
        half_off = (contrast_at[strongest - BOX // 2] + contrast_at[strongest + BOX // 2]) / 2
        assert peaks.fall[0] == pytest.approx(1 - half_off / contrast_at[strongest])
        assert abs(peaks.radius[0] - search.radii[strongest]) <= STEP


@given(reach=REACHES, level=st.integers(0, 255))
def test_where_all_is_of_one_brightness_there_is_no_edge(reach: int, level: int) -> None:
    search = Search.within(reach)
    peaks = find_peaks(np.full((3, search.radii.size), float(level)), search)
    assert not peaks.contrast.any()


@given(reach=REACHES, offset=st.integers(-3, 3))
def test_a_step_is_found_where_it_is(reach: int, offset: int) -> None:
    search = Search.within(reach)
    middle = search.radii.size // 2 + offset
    steps = np.arange(search.radii.size)
    samples = np.where(steps < middle, 60.0, np.where(steps > middle, 180.0, 120.0))
    peaks = find_peaks(samples[np.newaxis], search)
    assert peaks.radius[0] == pytest.approx(search.radii[middle])
    assert peaks.contrast[0] == pytest.approx(120.0)
    assert peaks.fall[0] == pytest.approx(0.5, abs=0.1)


@given(st.data())
def test_medians_are_those_of_the_used_values_alone(data: st.DataObject) -> None:
    values = data.draw(arrays(np.float64, (3, 7), elements=st.floats(-1e6, 1e6)))
    used = data.draw(arrays(np.bool_, (3, 7)))
    chosen = [sorted(row[flags]) for row, flags in zip(values, used, strict=True)]
    expected = [row[(len(row) - 1) // 2] if row else 0 for row in chosen]
    assert LowerMedians(used).of(values).tolist() == expected
