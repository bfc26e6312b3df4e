from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.portraits import COLLINS, HOPPER, mirrored, portrait, wearing
from worker.measure.expression import Expression, read_expression
from worker.measure.landmarks import MESH_POINTS
from worker.measure.pose import rotation_of

Mesh = NDArray[np.float64]

angles = st.floats(-60, 60)


def drawn(*, lids: float = 9.0, lips: float = 1.0, lift: float = 0.0) -> Mesh:
    """Place the points that matter by hand: eyes 30 wide and 60 apart, a mouth 50 wide [px]."""
    mesh = np.zeros((MESH_POINTS, 3))
    for side, corners, upper, lower in (
        (-1, (33, 133), (160, 159, 158), (144, 145, 153)),
        (1, (263, 362), (387, 386, 385), (373, 374, 380)),
    ):
        mesh[corners[0]], mesh[corners[1]] = (side * 45, 0, 0), (side * 15, 0, 0)
        for place, (up, low) in enumerate(zip(upper, lower, strict=True)):
            x = side * (37.5 - 7.5 * place)
            mesh[up], mesh[low] = (x, -lids / 2, -2), (x, lids / 2, -2)
    mesh[61], mesh[291] = (-25, 70 - lift, 0), (25, 70 - lift, 0)
    mesh[13], mesh[14] = (0, 70 - lips / 2, -5), (0, 70 + lips / 2, -5)
    mesh[168], mesh[152] = (0, 0, -10), (0, 110, -10)
    return mesh


def test_ratios_are_those_of_the_lengths() -> None:
    face = read_expression(drawn(lids=9, lips=4, lift=5))
    assert (face.right_eye, face.left_eye) == pytest.approx((0.3, 0.3))
    assert face.mouth == pytest.approx(4 / 50)
    assert face.smile == pytest.approx(50 / 90 + 5 / 50)


@pytest.mark.parametrize(("lids", "is_open"), [(9.0, True), (6.0, True), (4.0, False), (1.0, False)])
def test_eyes_are_open_or_shut(lids: float, is_open: bool) -> None:
    assert read_expression(drawn(lids=lids)).eyes_open is is_open


@pytest.mark.parametrize(("lips", "is_open"), [(0.5, False), (4.0, False), (7.0, True), (20.0, True)])
def test_lips_are_apart_or_not(lips: float, is_open: bool) -> None:
    assert read_expression(drawn(lips=lips)).mouth_open is is_open


@pytest.mark.parametrize(("lift", "smiles"), [(-4.0, False), (0.0, False), (4.0, False), (6.0, True)])
def test_corners_lifted_enough_are_a_smile(lift: float, smiles: bool) -> None:
    assert read_expression(drawn(lift=lift)).smiling is smiles


@given(st.tuples(angles, angles, angles), st.floats(0.1, 10), st.floats(-1000, 1000))
def test_turning_moving_and_scaling_the_head_change_nothing(
    turn: tuple[float, float, float], size: float, shift: float
) -> None:
    mesh = drawn(lids=8, lips=3, lift=2)
    moved = size * (mesh @ rotation_of(*turn).T) + shift
    assert as_numbers(read_expression(moved)) == pytest.approx(as_numbers(read_expression(mesh)), abs=1e-6)


def test_one_eye_shut_is_enough() -> None:
    mesh = drawn()
    mesh[[387, 386, 385], 1] = mesh[[373, 374, 380], 1]
    winking = read_expression(mesh)
    assert winking.left_eye == 0
    assert winking.right_eye == pytest.approx(0.3)
    assert not winking.eyes_open


def test_a_laugh_and_a_straight_face_in_real_portraits() -> None:
    collins, hopper = (read_expression(portrait(name).mesh) for name in (COLLINS, HOPPER))
    assert collins.smiling
    assert collins.mouth_open
    assert collins.eyes_open
    assert not hopper.smiling
    assert not hopper.mouth_open
    assert hopper.eyes_open


def test_lids_drawn_over_the_eyes_shut_them() -> None:
    for name in (COLLINS, HOPPER):
        assert not read_expression(wearing("eyes shut", name).mesh).eyes_open


def test_the_mirror_exchanges_the_eyes() -> None:
    face, mirror = (read_expression(one.mesh) for one in (portrait(HOPPER), mirrored(portrait(HOPPER))))
    assert (mirror.right_eye, mirror.left_eye) == pytest.approx((face.left_eye, face.right_eye), abs=0.05)
    assert (mirror.mouth, mirror.smile) == pytest.approx((face.mouth, face.smile), abs=0.06)


def as_numbers(face: Expression) -> tuple[float, ...]:
    return (face.right_eye, face.left_eye, face.mouth, face.smile)
