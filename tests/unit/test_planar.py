"""Scale from four corners: closed forms, with a camera and a rectangle that are exactly known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.cards import ID1_MM, View, corners_mm
from worker.measure.camera import Camera
from worker.measure.planar import (
    doubt_of_scale,
    homography,
    is_convex,
    rectangle_corners_mm,
    scale_of_rectangle,
)

AXIS_PX = (639.5, 479.5)
FOCAL_PX = 960.0

depths_mm = st.floats(200, 2000)
tilts_deg = st.floats(0, 25)
angles_deg = st.floats(0, 360)
asides = st.floats(-0.2, 0.2)
"""Of the object's centre from the optical axis, over the focal length: 11 degrees."""


def camera(focal_px: float = FOCAL_PX, sd: float = 0.0) -> Camera:
    return Camera(focal_px, sd * focal_px, AXIS_PX, "assumed")


def view(
    depth_mm: float = 500.0, tilt_deg: float = 0.0, axis_deg: float = 0.0, turn_deg: float = 0.0, aside: float = 0.0
) -> View:
    centre_px = (AXIS_PX[0] + aside * FOCAL_PX, AXIS_PX[1] - 0.7 * aside * FOCAL_PX)
    return View(FOCAL_PX, depth_mm, centre_px, AXIS_PX, tilt_deg, axis_deg, turn_deg)


def corners_of(seen: View, size_mm: tuple[float, float] = ID1_MM) -> NDArray[np.float64]:
    return seen.to_px(corners_mm(size_mm))


def test_a_card_that_lies_straight_has_its_length_over_its_px() -> None:
    corners = np.array([(100.0, 100.0), (314.0, 100.0), (314.0, 234.95), (100.0, 234.95)])  # 2.5 px for each mm
    scale = scale_of_rectangle(corners, ID1_MM, camera())
    assert scale.mm_per_px == pytest.approx(0.4, rel=1e-6)
    assert scale.tilt_deg == pytest.approx(0, abs=0.1)
    assert scale.misfit_px == pytest.approx(0, abs=1e-3)


@given(depths_mm, tilts_deg, angles_deg, angles_deg, asides)
def test_scale_and_tilt_are_exact_where_the_camera_is_known(
    depth_mm: float, tilt_deg: float, axis_deg: float, turn_deg: float, aside: float
) -> None:
    seen = view(depth_mm, tilt_deg, axis_deg, turn_deg, aside)
    scale = scale_of_rectangle(corners_of(seen), ID1_MM, camera())
    assert scale.mm_per_px == pytest.approx(depth_mm / FOCAL_PX, rel=1e-6)
    assert scale.misfit_px < 1e-3
    assert scale.tilt_deg == pytest.approx(tilt_deg, abs=0.01)


@given(depths_mm, angles_deg, asides, st.floats(0.7, 1.3))
def test_without_tilt_the_focal_length_does_not_matter(
    depth_mm: float, turn_deg: float, aside: float, wrong: float
) -> None:
    seen = view(depth_mm, 0.0, 0.0, turn_deg, aside)
    scale = scale_of_rectangle(corners_of(seen), ID1_MM, camera(wrong * FOCAL_PX))
    assert scale.mm_per_px == pytest.approx(seen.mm_per_px, rel=1e-6)


@given(depths_mm, tilts_deg, angles_deg, angles_deg, asides, st.floats(0.7, 1.3))
def test_a_focal_length_wrong_by_30_percent_costs_at_most_3_percent(
    depth_mm: float, tilt_deg: float, axis_deg: float, turn_deg: float, aside: float, wrong: float
) -> None:
    seen = view(depth_mm, tilt_deg, axis_deg, turn_deg, aside)
    scale = scale_of_rectangle(corners_of(seen), ID1_MM, camera(wrong * FOCAL_PX))
    assert scale.mm_per_px == pytest.approx(seen.mm_per_px, rel=0.03)


@given(tilts_deg, angles_deg, asides, st.floats(0.5, 4), st.integers(0, 3), st.booleans())
def test_size_of_the_picture_first_corner_and_sense_of_going_round_change_nothing(
    tilt_deg: float, axis_deg: float, aside: float, larger: float, first: int, back: bool
) -> None:
    seen = view(450.0, tilt_deg, axis_deg, 20.0, aside)
    corners = np.roll(corners_of(seen), first, axis=0)
    corners = corners[::-1] if back else corners  # its first side is then the third, and as long
    size_mm = ID1_MM if first % 2 == 0 else ID1_MM[::-1]
    enlarged = Camera(larger * FOCAL_PX, 0.0, (larger * AXIS_PX[0], larger * AXIS_PX[1]), "exif")
    scale = scale_of_rectangle(larger * corners, size_mm, enlarged)
    assert scale.mm_per_px == pytest.approx(seen.mm_per_px / larger, rel=1e-6)


@pytest.mark.parametrize("turn_deg", [0.0, 35.0])
@pytest.mark.parametrize(("tilt_deg", "aside"), [(0.0, 0.0), (10.0, 0.2), (25.0, -0.2)])
def test_the_standard_deviation_is_that_of_many_tries(tilt_deg: float, aside: float, turn_deg: float) -> None:
    corners = corners_of(view(500, tilt_deg, 60, turn_deg, aside))
    rng = np.random.default_rng(1)
    tries = [scale_of_rectangle(corners + rng.normal(0, 0.2, (4, 2)), ID1_MM, camera()).mm_per_px for _ in range(300)]
    # Without tilt the larger of two equal sides is taken, which swings less than either.
    assert 0.85 * np.std(tries) < doubt_of_scale(corners, 0.2, ID1_MM, camera()).sd < 1.5 * np.std(tries)


def test_an_unsure_focal_length_makes_a_tilted_card_less_sure_and_a_straight_one_not() -> None:
    tilted, straight = corners_of(view(500, 25, 45, 0, 0.2)), corners_of(view(500, 0, 0, 0, 0.2))
    sure, unsure = (doubt_of_scale(corners, 0.0, ID1_MM, camera(sd=0.3)) for corners in (straight, tilted))
    assert sure == pytest.approx((0, 0), abs=1e-7)
    mm_per_px = scale_of_rectangle(tilted, ID1_MM, camera()).mm_per_px
    by_lens = np.hypot(unsure.sd, unsure.focal_slope * 0.3 * mm_per_px)
    assert by_lens > 3 * doubt_of_scale(tilted, 0.1, ID1_MM, camera(sd=0.0)).sd


@pytest.mark.parametrize(
    ("size_mm", "least"), [((88.9, 50.8), 0.012), ((88.0, 63.0), 0.02), ((85.6, 49.5), 0.01), ((85.0, 55.0), 0.005)]
)
def test_a_straight_rectangle_of_other_proportions_is_no_view_of_a_card(
    size_mm: tuple[float, float], least: float
) -> None:
    corners = corners_of(view(300), size_mm)
    misfit_px = scale_of_rectangle(corners, ID1_MM, camera(sd=0.3)).misfit_px
    assert misfit_px > least * np.sqrt(np.prod(size_mm)) / view(300).mm_per_px / 1.5


def test_the_misfit_of_a_card_stays_small_where_the_focal_length_is_wrong_within_its_error() -> None:
    for wrong in (0.7, 0.85, 1.15, 1.3):
        seen = view(350, 22, 30, 10, 0.15)
        scale = scale_of_rectangle(corners_of(seen), ID1_MM, camera(wrong * FOCAL_PX, sd=0.3))
        assert scale.misfit_px < 0.004 * np.sqrt(np.prod(ID1_MM)) / seen.mm_per_px


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (10, 0), (0, 10), (10, 10)],  # crossed
        [(0, 0), (10, 0), (2, 2), (0, 10)],  # dented
        [(0, 0), (10, 0), (20, 0), (0, 10)],  # three on a line
        [(5, 5), (5, 5), (5, 5), (5, 5)],
    ],
)
def test_what_is_no_convex_quadrilateral_is_refused(corners: list[tuple[float, float]]) -> None:
    assert not is_convex(np.array(corners, dtype=float))
    with pytest.raises(ValueError, match="convex"):
        scale_of_rectangle(np.array(corners, dtype=float), ID1_MM, camera())


def test_a_size_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="positive sides"):
        scale_of_rectangle(corners_of(view()), (85.6, 0.0), camera())


@given(angles_deg, tilts_deg)
def test_a_homography_takes_each_point_to_its_image(turn_deg: float, tilt_deg: float) -> None:
    flat, seen = rectangle_corners_mm(ID1_MM), view(400, tilt_deg, 30, turn_deg, 0.1)
    to_px = homography(flat, seen.to_px(flat))
    inside = np.array([(10.0, 5.0), (-30.0, 20.0)])
    mapped = np.c_[inside, np.ones(2)] @ to_px.T
    assert mapped[:, :2] / mapped[:, 2:] == pytest.approx(seen.to_px(inside), abs=1e-6)
