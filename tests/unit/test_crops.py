from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.vision.crops import close_to, tiles, view_of_part, whole
from worker.vision.faces import Detection, Region, overlap

WIDTH, HEIGHT = 1300, 900


def numbered(width: int, height: int) -> NDArray[np.uint8]:
    """Give each px a colour that says where it is."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((x % 256, y % 256, x // 256 * 16 + y // 256), axis=2).astype(np.uint8)


PICTURE = numbered(WIDTH, HEIGHT)
parts = st.tuples(
    st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, WIDTH), st.integers(1, HEIGHT)
).map(lambda part: (part[:2], (min(part[2], WIDTH - part[0]), min(part[3], HEIGHT - part[1]))))


@given(parts, st.integers(0, 3), st.data())
def test_each_px_of_a_view_is_led_back_to_where_it_was_taken(
    part: tuple[tuple[int, int], tuple[int, int]], quarter_turns: int, data: st.DataObject
) -> None:
    view = view_of_part(PICTURE, *part, quarter_turns)
    row = data.draw(st.integers(0, view.pixels.shape[0] - 1))
    column = data.draw(st.integers(0, view.pixels.shape[1] - 1))
    [(x, y)] = view.to_picture(np.array([(column, row)], dtype=np.float64))
    assert (x % 1, y % 1) == (0, 0)
    assert PICTURE[int(y), int(x)].tolist() == view.pixels[row, column].tolist()


@given(st.integers(0, 3), st.floats(-math.pi, math.pi))
def test_a_detection_turns_with_its_view(quarter_turns: int, angle: float) -> None:
    view = view_of_part(PICTURE, (100, 50), (1200, 800), quarter_turns)
    eyes = np.array([(60.0, 70.0), (60.0 + 20 * math.cos(angle), 70.0 + 20 * math.sin(angle))])
    seen = Detection(0.9, eyes, 40.0, Region(60.0, 70.0, 60.0, 60.0, angle))
    moved = view.detection_in_picture(seen)
    along = moved.keypoints[1] - moved.keypoints[0]
    assert math.hypot(*along) == pytest.approx(20 * view.step_px)
    assert moved.region.width_px == 60 * view.step_px
    assert moved.width_px == 40 * view.step_px
    expected = (math.cos(moved.region.angle_rad), math.sin(moved.region.angle_rad))
    assert along / (20 * view.step_px) == pytest.approx(np.array(expected), abs=1e-9)
    assert (moved.region.centre_x_px, moved.region.centre_y_px) == pytest.approx(tuple(moved.keypoints[0]))


def test_a_whole_picture_that_is_small_is_not_copied() -> None:
    small = PICTURE[:300, :400].copy()
    assert np.shares_memory(whole(small).pixels, small)
    assert whole(small, 1).pixels.shape == (400, 300, 3)


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_tiles_cover_the_picture_and_overlap_or_reach_across(width: int, height: int) -> None:
    views = list(tiles(np.zeros((height, width, 3), np.uint8)))
    assert 1 <= len(views) <= 4
    for start, length, whole_length in (("left_px", "part_width_px", width), ("top_px", "part_height_px", height)):
        spans = sorted({(getattr(view, start), getattr(view, start) + getattr(view, length)) for view in views})
        assert spans[0][0] == 0
        assert spans[-1][1] == whole_length
        assert all(before[1] >= after[0] for before, after in pairwise(spans))


def test_a_close_look_shows_the_region_with_room_around_it_inside_the_picture() -> None:
    view = close_to(PICTURE, Region(400.0, 300.0, 150.0, 150.0, 0.3))
    assert view is not None
    assert (view.left_px, view.top_px, view.part_width_px, view.part_height_px) == (275, 175, 250, 250)
    at_the_edge = close_to(PICTURE, Region(10.0, 890.0, 150.0, 150.0, 0.0))
    assert at_the_edge is not None
    assert (at_the_edge.left_px, at_the_edge.top_px) == (0, 765)
    assert (at_the_edge.part_width_px, at_the_edge.part_height_px) == (135, 135)
    assert close_to(PICTURE, Region(-400.0, 300.0, 150.0, 150.0, 0.0)) is None


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Region(50.0, 50.0, 100.0, 100.0, 1.0), 1.0),
        (Region(100.0, 50.0, 100.0, 100.0, 0.0), 1 / 3),
        (Region(50.0, 50.0, 50.0, 50.0, 0.0), 0.25),
        (Region(150.0, 50.0, 100.0, 100.0, 0.0), 0.0),
        (Region(400.0, 400.0, 100.0, 100.0, 0.0), 0.0),
    ],
)
def test_overlap_is_the_intersection_over_the_union(other: Region, expected: float) -> None:
    one = Region(50.0, 50.0, 100.0, 100.0, 0.0)
    assert overlap(one, other) == pytest.approx(expected)
    assert overlap(other, one) == pytest.approx(expected)


def test_a_scaled_region_covers_the_same_blocks() -> None:
    # The px 10 to 19 of a picture are the px 40 to 79 of the same picture with four times as many to a side.
    coarse = Region(14.5, 14.5, 10.0, 10.0, 0.5)
    assert coarse.scaled(4) == Region(59.5, 59.5, 40.0, 40.0, 0.5)
    assert coarse.scaled(4).scaled(0.25) == coarse
