"""A face is as wide in a corner of the frame as in its middle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.beside_axis import KEYS, beside_axis, lengths_mm, measured
from worker.vision.find_faces import FaceFinder

PORTRAIT = Path("stack/portraits/astronaut.png")
WIDTHS = [KEYS.index(key) for key in ("interpupillary_distance", "biocular_width", "face_width", "face_length")]


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder() as finder:
        yield finder


@cache
def portrait() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PORTRAIT).convert("RGB"))


@pytest.mark.parametrize("ruler", [{}, {"known_pd_mm": 63.0}], ids=["iris", "pd"])
@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), [(20, 0), (-20, 0), (0, 20), (0, -20), (14, -14)])
def test_a_camera_that_is_turned_away_measures_alike(
    finder: FaceFinder, ruler: dict[str, float], yaw_deg: float, pitch_deg: float
) -> None:
    ahead = measured(beside_axis(portrait(), 0, 0), finder, ruler)
    aside = measured(beside_axis(portrait(), yaw_deg, pitch_deg), finder, ruler)
    assert ahead is not None
    assert aside is not None
    np.testing.assert_allclose(lengths_mm(aside)[WIDTHS] / lengths_mm(ahead)[WIDTHS], 1, atol=0.035)
    assert aside["pose"]["yaw_deg"] == pytest.approx(ahead["pose"]["yaw_deg"], abs=4)
    assert aside["pose"]["pitch_deg"] == pytest.approx(ahead["pose"]["pitch_deg"], abs=4)
