from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from worker.measure.geometry import BoundingBox, bounding_box, distance_px, outer_eye_distance_px
from worker.measure.landmarks import CANONICAL_POINTS, LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_OUTER

Mesh = NDArray[np.float64]

COORDINATE_LIMIT_PX = 20_000.0
ROUNDING_PX = 1e-6

coordinates = st.floats(-COORDINATE_LIMIT_PX, COORDINATE_LIMIT_PX, allow_subnormal=False)
meshes = arrays(np.float64, (MESH_POINTS, 3), elements=coordinates, fill=coordinates)
points = st.integers(0, MESH_POINTS - 1)
shifts = arrays(np.float64, (3,), elements=coordinates)
angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.01, 100.0)


def mesh_with(**at: tuple[float, float, float]) -> Mesh:
    mesh = np.zeros((MESH_POINTS, 3))
    for name, position in at.items():
        mesh[int(name.removeprefix("p"))] = position
    return mesh


def turned_in_the_image_plane(mesh: Mesh, angle: float) -> Mesh:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(mesh @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]))


def test_distance_is_euclidean_in_the_image_plane() -> None:
    mesh = mesh_with(p54=(10.0, 20.0, -7.0), p284=(13.0, 24.0, 900.0))
    assert distance_px(mesh, 54, 284) == 5.0


def test_outer_eye_distance_is_between_points_33_and_263() -> None:
    mesh = mesh_with(p33=(100.0, 200.0, 0.0), p263=(160.0, 120.0, 0.0))
    assert outer_eye_distance_px(mesh) == 100.0


def test_bounding_box_holds_the_skin_and_not_the_irises() -> None:
    mesh = np.full((MESH_POINTS, 3), 5.0)
    mesh[0] = (-2.0, 3.0, 99.0)
    mesh[CANONICAL_POINTS - 1] = (8.0, 7.5, -99.0)
    mesh[CANONICAL_POINTS] = (1000.0, -1000.0, 0.0)
    box = bounding_box(mesh)
    assert box == BoundingBox(x=-2.0, y=3.0, width=10.0, height=4.5)
    assert box.area == 45.0


@given(meshes, points, points)
def test_distance_is_symmetric_and_zero_to_itself(mesh: Mesh, a: int, b: int) -> None:
    assert distance_px(mesh, a, b) == distance_px(mesh, b, a) >= 0
    assert distance_px(mesh, a, a) == 0


@given(meshes, points, points, points)
def test_a_detour_is_never_shorter(mesh: Mesh, a: int, b: int, c: int) -> None:
    assert distance_px(mesh, a, c) <= distance_px(mesh, a, b) + distance_px(mesh, b, c) + ROUNDING_PX


@given(meshes, points, points, shifts)
def test_moving_the_face_changes_no_distance_and_moves_the_box(mesh: Mesh, a: int, b: int, shift: Mesh) -> None:
    moved = mesh + shift
    assert distance_px(moved, a, b) == pytest.approx(distance_px(mesh, a, b), abs=ROUNDING_PX)
    before, after = bounding_box(mesh), bounding_box(moved)
    assert after == pytest.approx(
        (before.x + shift[0], before.y + shift[1], before.width, before.height), abs=ROUNDING_PX
    )


@given(meshes, points, points, scales)
def test_a_larger_picture_gives_proportional_distances_and_box(mesh: Mesh, a: int, b: int, scale: float) -> None:
    assert distance_px(mesh * scale, a, b) == pytest.approx(scale * distance_px(mesh, a, b), abs=ROUNDING_PX)
    assert bounding_box(mesh * scale) == pytest.approx(scale * np.array(bounding_box(mesh)), abs=ROUNDING_PX)


@given(meshes, points, points, angles)
def test_turning_in_the_image_plane_changes_no_distance(mesh: Mesh, a: int, b: int, angle: float) -> None:
    turned = turned_in_the_image_plane(mesh, angle)
    assert distance_px(turned, a, b) == pytest.approx(distance_px(mesh, a, b), abs=ROUNDING_PX)


@given(meshes, points, points)
def test_mirroring_changes_no_distance_and_no_size_of_the_box(mesh: Mesh, a: int, b: int) -> None:
    mirrored = mesh * (-1.0, 1.0, 1.0)
    assert distance_px(mirrored, a, b) == distance_px(mesh, a, b)
    before, after = bounding_box(mesh), bounding_box(mirrored)
    assert after == pytest.approx((-(before.x + before.width), before.y, before.width, before.height), abs=ROUNDING_PX)


@given(meshes, points, points, st.floats(-1e3, 1e3))
def test_depth_plays_no_part(mesh: Mesh, a: int, b: int, factor: float) -> None:
    deeper = mesh * (1.0, 1.0, factor)
    assert distance_px(deeper, a, b) == distance_px(mesh, a, b)
    assert bounding_box(deeper) == bounding_box(mesh)


@given(meshes)
def test_every_point_on_the_skin_lies_in_the_box(mesh: Mesh) -> None:
    x, y, width, height = bounding_box(mesh)
    skin = mesh[:CANONICAL_POINTS]
    assert (skin[:, 0] >= x).all()
    assert (skin[:, 1] >= y).all()
    assert (skin[:, 0] <= x + width + ROUNDING_PX).all()
    assert (skin[:, 1] <= y + height + ROUNDING_PX).all()


@pytest.mark.parametrize("shape", [(CANONICAL_POINTS, 3), (MESH_POINTS, 2), (3, MESH_POINTS), (MESH_POINTS,), (0, 3)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        distance_px(np.zeros(shape), 0, 1)
    with pytest.raises(ValueError, match="shape"):
        bounding_box(np.zeros(shape))
    with pytest.raises(ValueError, match="shape"):
        outer_eye_distance_px(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_mesh_that_is_not_finite_is_refused(value: float) -> None:
    mesh = mesh_with(p7=(value, 0.0, 0.0))
    with pytest.raises(ValueError, match="finite"):
        distance_px(mesh, RIGHT_EYE_OUTER, LEFT_EYE_OUTER)
    with pytest.raises(ValueError, match="finite"):
        bounding_box(mesh)


@pytest.mark.parametrize("pair", [(-1, 0), (0, -1), (MESH_POINTS, 0), (0, MESH_POINTS)])
def test_a_point_outside_the_mesh_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no point"):
        distance_px(np.zeros((MESH_POINTS, 3)), *pair)
