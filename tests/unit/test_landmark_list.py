"""The points of a mesh, read from the bytes of its message as its own fields tell them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.vision.face_mesh import preload
from worker.vision.landmark_list import coordinates

POINT = st.tuples(*[st.floats(width=32, allow_nan=False)] * 3)


@pytest.fixture(scope="module", autouse=True)
def _mediapipe() -> None:
    preload()


def list_of(points: list[tuple[float, float, float]], **more: float) -> Any:
    messages = importlib.import_module("mediapipe.framework.formats.landmark_pb2")
    made = messages.NormalizedLandmarkList()
    for x, y, z in points:
        made.landmark.add(x=x, y=y, z=z, **more)
    return made


@given(st.lists(POINT, max_size=20))
def test_every_point_as_it_is(points: list[tuple[float, float, float]]) -> None:
    read = coordinates(list_of(points))
    assert read.dtype == np.float64
    assert read.tolist() == [list(point) for point in points]


@pytest.mark.parametrize("more", [{"visibility": 0.5}, {"visibility": 0.5, "presence": 1.0}])
def test_points_that_say_more_than_where_they_are(more: dict[str, float]) -> None:
    points = [(0.25, 0.5, -0.125), (1.5, -2.0, 0.0)]
    assert coordinates(list_of(points, **more)).tolist() == [list(point) for point in points]


def test_points_that_say_less() -> None:
    """Of the same length in all, by chance: what is missing in one is more in the other."""
    made = list_of([(0.25, 0.5, -0.125), (1.5, -2.0, 0.75)], visibility=0.5)
    for point in made.landmark:
        point.ClearField("y")
    assert coordinates(made).tolist() == [[0.25, 0.0, -0.125], [1.5, 0.0, 0.75]]
