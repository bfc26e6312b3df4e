"""The colours of patches, against the same taken px by px."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.measure import patches
from worker.measure.landmarks import CANONICAL_POINTS
from worker.measure.patches import LIGHT, median_colour, sample, sample_light

WIDTH, HEIGHT = 40, 30


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def plainly(pixels: NDArray[np.uint8], x: float, y: float, radius_px: float) -> list[float]:
    steps = (-radius_px, 0.0, radius_px) if radius_px else (0.0,)
    near = [
        pixels[min(max(round(y + down), 0), HEIGHT - 1), min(max(round(x + across), 0), WIDTH - 1)].astype(float)
        for down in steps
        for across in steps
    ]
    red, green, blue = np.mean(near, axis=0) + 10
    return [
        float(np.log(red / green)),
        float(np.log(blue / green)),
        float(np.log(0.299 * red + 0.587 * green + 0.114 * blue)),
    ]


@pytest.mark.parametrize("radius_px", [0.0, 0.4, 2.3])
def test_a_sample_is_the_mean_of_nine_px_or_the_one_px_and_beyond_the_edge_the_edge(radius_px: float) -> None:
    pixels = picture()
    points = np.random.default_rng(6).uniform(-5, 45, (50, 2))
    expected = [plainly(pixels, x, y, radius_px) for x, y in points.tolist()]
    assert sample(pixels, points, radius_px) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


def test_each_point_may_have_a_radius_of_its_own() -> None:
    pixels = picture()
    points = np.random.default_rng(6).uniform(-5, 45, (50, 2))
    radii_px = np.random.default_rng(7).uniform(0, 3, 50)
    expected = [
        plainly(pixels, x, y, radius_px) for (x, y), radius_px in zip(points.tolist(), radii_px.tolist(), strict=True)
    ]
    assert sample(pixels, points, radii_px) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


def test_light_alone_is_that_of_the_one_px() -> None:
    pixels = picture()
    points = np.random.default_rng(6).uniform(-5, 45, (50, 2))
    assert sample_light(pixels, points) == pytest.approx(sample(pixels, points, 0.0)[:, LIGHT], rel=1e-12)


def test_the_medians_of_all_groups_are_those_of_each() -> None:
    colours = np.random.default_rng(8).normal(0, 1, (CANONICAL_POINTS, 3))
    each = [median_colour(colours[list(group)]) for group in patches._SKIN_GROUPS]
    assert patches._group_medians(colours).tolist() == np.array(each).tolist()
