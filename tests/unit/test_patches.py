"""The colours of patches, against the same taken px by px."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.measure.patches import sample

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
