from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.measure.camera import Camera, camera_of_photo

sides = st.integers(64, 20_000)
focals = st.floats(8, 400)


def test_the_focal_length_of_a_phone_is_that_of_its_diagonal() -> None:
    camera = camera_of_photo(4032, 3024, 26)
    assert camera.focal_px == pytest.approx(26 * 5040 / 43.27)
    assert camera.focal_sd_px == pytest.approx(0.05 * camera.focal_px)
    assert camera.source == "exif"


def test_a_camera_that_crops_may_keep_the_tag_of_the_whole_sensor() -> None:
    for size in ((3024, 3024), (1920, 1080)):
        camera = camera_of_photo(*size, 26)
        assert camera.focal_sd_px == pytest.approx(0.15 * camera.focal_px)


def test_a_full_frame_of_36_by_24_mm_has_its_own_focal_length() -> None:
    camera = camera_of_photo(3600, 2400, 50)
    assert camera.focal_px == pytest.approx(5000, rel=2e-4)  # 100 px are one millimetre of film


def test_without_a_focal_length_it_is_three_quarters_of_the_long_side_and_unsure() -> None:
    assert camera_of_photo(1000, 2000, None) == Camera(1500.0, 450.0, (499.5, 999.5), "assumed")


@pytest.mark.parametrize("size", [(4032, 3024), (3000, 2000), (1080, 1920), (640, 480), (1179, 2556), (1000, 751)])
def test_frames_of_the_shapes_that_cameras_take_are_taken_for_whole(size: tuple[int, int]) -> None:
    assert camera_of_photo(*size, None).focal_px == pytest.approx(0.75 * max(size))


@pytest.mark.parametrize("size", [(1350, 1350), (512, 600), (800, 1000), (1000, 700)])
def test_a_frame_of_another_shape_was_cropped_so_its_lens_is_longer_and_less_sure(size: tuple[int, int]) -> None:
    camera = camera_of_photo(*size, None)
    assert camera.focal_px == pytest.approx(1.5 * max(size))
    assert camera.focal_sd_px == pytest.approx(0.5 * camera.focal_px)


def test_a_focal_length_of_0_is_unknown() -> None:
    assert camera_of_photo(1000, 2000, 0) == camera_of_photo(1000, 2000, None)


def test_the_centre_is_the_middle_when_the_first_px_has_its_centre_at_0() -> None:
    assert camera_of_photo(3, 5, None).centre_px == (1.0, 2.0)


@pytest.mark.parametrize(
    ("width_px", "height_px", "focal_35mm"),
    [(0, 10, None), (10, -1, None), (10, 10, -26.0), (10, 10, math.nan), (10, 10, math.inf)],
)
def test_nonsense_is_refused(width_px: int, height_px: int, focal_35mm: float | None) -> None:
    with pytest.raises(ValueError, match="not"):
        camera_of_photo(width_px, height_px, focal_35mm)


@given(sides, sides, st.none() | focals, st.integers(1, 8))
def test_a_larger_copy_of_a_photo_has_a_proportional_camera(
    width_px: int, height_px: int, focal_35mm: float | None, times: int
) -> None:
    small = camera_of_photo(width_px, height_px, focal_35mm)
    large = camera_of_photo(times * width_px, times * height_px, focal_35mm)
    assert large.focal_px == pytest.approx(times * small.focal_px)
    assert large.focal_sd_px == pytest.approx(times * small.focal_sd_px)
    assert large.source == small.source


@given(sides, sides, st.none() | focals)
def test_turning_a_photo_by_a_quarter_leaves_its_lens(width_px: int, height_px: int, focal_35mm: float | None) -> None:
    upright = camera_of_photo(width_px, height_px, focal_35mm)
    turned = camera_of_photo(height_px, width_px, focal_35mm)
    assert turned.focal_px == pytest.approx(upright.focal_px)
    assert turned.centre_px == upright.centre_px[::-1]
