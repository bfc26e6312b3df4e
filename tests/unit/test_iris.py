from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.results import MeasurementStatus
from worker.measure.camera import Camera
from worker.measure.iris import iris_ruler
from worker.measure.rulers import FaceFacts, Refusal, Ruler

CAMERA = Camera(focal_px=1000.0, focal_sd_px=300.0, centre_px=(500.0, 500.0), source="assumed")


def face_with(
    right_px: float, left_px: float, *, roll_deg: float = 0.0, depths_px: tuple[float, float] = (0, 0)
) -> FaceFacts:
    """A mesh whose rings have these horizontal diameters; the vertical ones are nonsense, since lids cut them."""
    mesh = np.zeros((478, 3))
    roll = np.deg2rad(roll_deg)
    across, down = np.array([np.cos(roll), np.sin(roll)]), np.array([-np.sin(roll), np.cos(roll)])
    for first, side, depth_px, diameter in ((468, -100, depths_px[0], right_px), (473, 100, depths_px[1], left_px)):
        mesh[first : first + 5, :2] = 500.0 + side / (1 + depth_px / CAMERA.focal_px), 500.0
        mesh[first + 1, :2] += across * diameter / 2
        mesh[first + 3, :2] -= across * diameter / 2
        mesh[first + 2, :2] -= 99 * down
    depth = np.zeros(478)
    depth[468:473], depth[473:478] = depths_px
    return FaceFacts(mesh, depth, CAMERA, yaw_deg=0.0)


def measured(face: FaceFacts, limbus: tuple[float | None, float | None] = (None, None)) -> Ruler:
    ruler = iris_ruler(face, limbus)
    assert isinstance(ruler, Ruler)
    return ruler


def refused(face: FaceFacts) -> tuple[str, ...]:
    ruler = iris_ruler(face)
    assert isinstance(ruler, Refusal)
    assert ruler.source == "iris"
    return ruler.reasons


def test_the_ring_of_the_mesh_stands_for_12_2_mm() -> None:
    ruler = measured(face_with(24.4, 24.4))
    assert ruler.mm_per_px == pytest.approx(0.5, rel=0.001)
    assert (ruler.status, ruler.reasons, ruler.source) == (MeasurementStatus.OK, (), "iris")


def test_the_fitted_limbus_stands_for_11_8_mm_and_goes_before_the_mesh() -> None:
    assert measured(face_with(30.0, 30.0), (23.61, 23.61)).mm_per_px == pytest.approx(0.5, rel=0.001)


def test_the_sd_is_anatomy_and_image() -> None:
    assert measured(face_with(24.0, 24.0)).sd / measured(face_with(24.0, 24.0)).mm_per_px == pytest.approx(
        0.045, abs=1e-9
    )
    fitted = measured(face_with(24.0, 24.0), (23.2, 23.2))
    assert fitted.sd / fitted.mm_per_px == pytest.approx(0.04025, abs=1e-5)


def test_one_fitted_eye_weighs_more_than_the_other_of_the_mesh() -> None:
    mesh, fitted = measured(face_with(24.0, 24.0)), measured(face_with(24.0, 24.0), (25.0, 25.0))
    one = measured(face_with(24.0, 24.0), (25.0, None))
    assert (mesh.mm_per_px + fitted.mm_per_px) / 2 > one.mm_per_px > fitted.mm_per_px


def test_eyes_that_disagree_are_less_sure() -> None:
    agree, disagree = measured(face_with(24.0, 24.0)), measured(face_with(25.2, 22.8))
    assert disagree.mm_per_px == pytest.approx(agree.mm_per_px)
    assert (disagree.sd / disagree.mm_per_px) ** 2 - (agree.sd / agree.mm_per_px) ** 2 == pytest.approx(0.05**2)


def test_each_iris_is_taken_to_the_plane_of_the_eyes() -> None:
    # 100 px behind a plane that is 1000 px away, an iris looks smaller by a tenth; as much in front, larger.
    straight = measured(face_with(24.0, 24.0))
    turned = measured(face_with(24.0 / 1.1, 24.0 / 0.9, depths_px=(100.0, -100.0)))
    assert turned.mm_per_px == pytest.approx(straight.mm_per_px)
    assert turned.sd == pytest.approx(straight.sd)


@given(st.floats(0.5, 20), st.floats(-180, 180), st.floats(10, 40), st.floats(0.9, 1.1))
def test_scale_follows_the_photo_and_not_its_roll(zoom: float, roll_deg: float, right_px: float, other: float) -> None:
    before = measured(face_with(right_px, right_px * other))
    face = face_with(right_px * zoom, right_px * other * zoom, roll_deg=roll_deg)
    if right_px * zoom * min(other, 1) >= 8.5:
        after = measured(replace(face, camera=replace(CAMERA, focal_px=CAMERA.focal_px * zoom)))
        assert after.mm_per_px * zoom == pytest.approx(before.mm_per_px)
        assert after.sd * zoom == pytest.approx(before.sd)


@given(st.floats(20, 40), st.floats(0.9, 1.1), st.floats(-100, 100), st.floats(-25, 25))
def test_a_mirror_changes_nothing(right_px: float, other: float, depth_px: float, yaw_deg: float) -> None:
    one = face_with(right_px, right_px * other, depths_px=(depth_px, -depth_px))
    mirrored = face_with(right_px * other, right_px, depths_px=(-depth_px, depth_px))
    first, second = (iris_ruler(replace(one, yaw_deg=yaw_deg)), iris_ruler(replace(mirrored, yaw_deg=-yaw_deg)))
    assert type(first) is type(second)
    if isinstance(first, Ruler) and isinstance(second, Ruler):
        assert first.mm_per_px == pytest.approx(second.mm_per_px)
        assert first.sd == pytest.approx(second.sd)
        assert first.reasons == second.reasons


def test_it_is_never_divided_by_the_cosine_of_yaw() -> None:
    straight, turned = (measured(replace(face_with(24.0, 24.0), yaw_deg=yaw)) for yaw in (0.0, 24.0))
    assert turned.mm_per_px == straight.mm_per_px
    assert turned.sd > straight.sd


@pytest.mark.parametrize(
    ("yaw_deg", "status"), [(12.0, "ok"), (-12.0, "ok"), (12.1, "unreliable"), (-25.0, "unreliable")]
)
def test_a_turned_head_makes_it_unreliable(yaw_deg: float, status: str) -> None:
    ruler = measured(replace(face_with(24.0, 24.0), yaw_deg=yaw_deg))
    assert ruler.status == status
    assert ruler.reasons == (("head_turned",) if status == "unreliable" else ())


def test_glasses_make_it_unreliable_and_less_sure() -> None:
    plain, glasses = measured(face_with(24.0, 24.0)), measured(replace(face_with(24.0, 24.0), glasses=True))
    assert (glasses.status, glasses.reasons) == (MeasurementStatus.UNRELIABLE, ("glasses",))
    assert glasses.mm_per_px == plain.mm_per_px
    assert glasses.sd / glasses.mm_per_px == pytest.approx(0.075)


def test_what_is_refused() -> None:
    assert refused(replace(face_with(24.0, 24.0), eyes_closed=True)) == ("eyes_closed",)
    assert refused(replace(face_with(24.0, 24.0), yaw_deg=25.1)) == ("head_turned",)
    assert refused(face_with(7.9, 8.2)) == ("face_too_small",)
    assert refused(face_with(24.0, 28.0)) == ("scale_uncertain",)
    assert refused(replace(face_with(6.0, 8.0), yaw_deg=-40.0)) == ("head_turned", "face_too_small", "scale_uncertain")
    assert refused(face_with(0.0, 0.0)) == ("face_too_small",)


def test_what_is_not_yet_refused() -> None:
    measured(face_with(8.0, 8.0))
    measured(face_with(24.0, 27.0))
