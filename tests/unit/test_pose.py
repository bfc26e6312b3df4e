from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.mesh_depth import DEPTH_GAIN, PERSPECTIVE_SHARE
from tests.drawn_mesh import drawn_mesh
from worker.measure.camera import Camera
from worker.measure.depth import turn_onto_face
from worker.measure.landmarks import CANONICAL_POINTS, MESH_POINTS
from worker.measure.mean_face import mean_face, mirror_points
from worker.measure.pose import Pose, estimate_pose, pose_of, rotation_of, towards_camera, turn_onto

Points = NDArray[np.float64]

CENTRE_PX = (799.5, 599.5)
CAMERA = Camera(1200.0, 60.0, CENTRE_PX, "exif")
NOSE = np.array((0.0, 0.0, -1.0))

yaws = st.floats(-60, 60)
pitches = st.floats(-40, 40)
rolls = st.floats(-75, 75)
distances = st.floats(200, 3000)
fractions = st.floats(-0.3, 0.3)
seeds = st.integers(0, 2**32 - 1)


def in_front(angles: tuple[float, float, float], distance_mm: float, beside: tuple[float, float]) -> Points:
    """Place the mean face, its eyes beside the axis by `beside` times the distance to the lens [mm from the lens]."""
    turned = (mean_face() * (1, 1, DEPTH_GAIN)) @ rotation_of(*angles).T
    return np.asarray(turned + np.array((*beside, 1.0)) * distance_mm)


def photographed(
    angles: tuple[float, float, float],
    distance_mm: float,
    beside: tuple[float, float] = (0.0, 0.0),
    share: float = PERSPECTIVE_SHARE,
) -> Points:
    """Draw the mean face as the network does, with its share of the perspective; 1 is what a pinhole sees."""
    return drawn_mesh(in_front(angles, distance_mm, beside), CAMERA, share)


def unlike_the_mean(mesh: Points, seed: int, sd_px: float = 4.0) -> Points:
    return mesh + np.random.default_rng(seed).normal(0, sd_px, mesh.shape)


def angles_of(pose: Pose) -> tuple[float, float, float]:
    return pose.yaw_deg, pose.pitch_deg, pose.roll_deg


def test_yaw_moves_the_nose_to_the_right_of_the_image() -> None:
    assert rotation_of(30, 0, 0) @ NOSE == pytest.approx((0.5, 0, -np.sqrt(0.75)))


def test_pitch_moves_the_nose_up() -> None:
    assert rotation_of(0, 30, 0) @ NOSE == pytest.approx((0, -0.5, -np.sqrt(0.75)))


def test_roll_turns_the_chin_clockwise() -> None:
    assert rotation_of(0, 0, 90) @ (0, 1, 0) == pytest.approx((-1, 0, 0))


def test_pitch_comes_before_yaw_and_yaw_before_roll() -> None:
    together = rotation_of(20, -10, 35)
    one_by_one = rotation_of(0, 0, 35) @ rotation_of(20, 0, 0) @ rotation_of(0, -10, 0)
    np.testing.assert_allclose(together, one_by_one, atol=1e-12)


@given(st.floats(-89, 89), st.floats(-179, 179), st.floats(-179, 179))
def test_angles_survive_the_rotation(yaw: float, pitch: float, roll: float) -> None:
    pose = pose_of(rotation_of(yaw, pitch, roll))
    assert angles_of(pose) == pytest.approx((yaw, pitch, roll), abs=1e-6)
    np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-12)
    assert not pose.rotation.flags.writeable


@settings(deadline=None, max_examples=25)
@given(yaws, pitches, rolls, distances, fractions, fractions)
def test_the_pose_of_a_photographed_mean_face_is_exact_near_and_far_and_beside_the_axis(
    yaw: float, pitch: float, roll: float, distance_mm: float, beside_x: float, beside_y: float
) -> None:
    mesh = photographed((yaw, pitch, roll), distance_mm, (beside_x, beside_y))
    assert angles_of(estimate_pose(mesh, CAMERA)) == pytest.approx((yaw, pitch, roll), abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(seeds, yaws, pitches, distances)
def test_a_mirrored_face_is_turned_the_other_way(seed: int, yaw: float, pitch: float, distance_mm: float) -> None:
    mesh = unlike_the_mean(photographed((yaw, pitch, 10), distance_mm), seed)
    mirrored = mesh[mirror_points()] * (-1, 1, 1) + (2 * CENTRE_PX[0], 0, 0)
    pose, other = estimate_pose(mesh, CAMERA), estimate_pose(mirrored, CAMERA)
    assert angles_of(other) == pytest.approx((-pose.yaw_deg, pose.pitch_deg, -pose.roll_deg), abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(seeds, yaws, pitches, st.floats(-90, 90))
def test_turning_the_photo_about_its_centre_turns_the_roll_alone(
    seed: int, yaw: float, pitch: float, turn: float
) -> None:
    mesh = unlike_the_mean(photographed((yaw, pitch, 0), 400, (0.1, -0.2)), seed)
    about = np.array((*CENTRE_PX, 0.0))
    turned = (mesh - about) @ rotation_of(0, 0, turn).T + about
    pose, other = estimate_pose(mesh, CAMERA), estimate_pose(turned, CAMERA)
    assert (other.yaw_deg, other.pitch_deg) != (0, 0)
    np.testing.assert_allclose(other.rotation, rotation_of(0, 0, turn) @ pose.rotation, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seeds, yaws, pitches, st.floats(0.1, 8))
def test_the_pose_does_not_depend_on_the_size_of_the_photo(seed: int, yaw: float, pitch: float, times: float) -> None:
    mesh = unlike_the_mean(photographed((yaw, pitch, 5), 500), seed)
    camera = Camera(CAMERA.focal_px * times, 1, (CENTRE_PX[0] * times, CENTRE_PX[1] * times), "exif")
    same = estimate_pose(mesh * times, camera)
    np.testing.assert_allclose(same.rotation, estimate_pose(mesh, CAMERA).rotation, atol=1e-6)


def looking(mesh: Points) -> Pose:
    return towards_camera(estimate_pose(mesh, CAMERA), turn_onto_face(mesh, CAMERA))


@pytest.mark.parametrize("beside", [(0.3, 0.0), (-0.3, 0.0), (0.0, 0.3), (0.0, -0.3), (0.25, -0.2)])
def test_a_face_that_looks_into_the_lens_is_not_turned_wherever_it_is(beside: tuple[float, float]) -> None:
    # Moved aside without turning, a face looks past the lens by the angle of the line of sight...
    straight_ahead = looking(photographed((0, 0, 0), 5000, beside))
    assert straight_ahead.yaw_deg == pytest.approx(np.degrees(np.arctan(beside[0])), abs=0.6)
    assert straight_ahead.pitch_deg == pytest.approx(-np.degrees(np.arctan(beside[1])), abs=0.6)
    # ... and turned back by that angle it looks into it.
    yaw, pitch = -np.degrees(np.arctan(beside[0])), np.degrees(np.arctan(beside[1] / np.hypot(1, beside[0])))
    assert angles_of(looking(photographed((yaw, pitch, 0), 5000, beside)))[:2] == pytest.approx((0, 0), abs=0.6)


@settings(deadline=None, max_examples=25)
@given(yaws, pitches, rolls, distances)
def test_in_the_middle_of_the_frame_both_poses_are_one(
    yaw: float, pitch: float, roll: float, distance_mm: float
) -> None:
    mesh = photographed((yaw, pitch, roll), distance_mm)
    about_middle = mesh - np.append(mesh[:CANONICAL_POINTS, :2].mean(axis=0) - CENTRE_PX, 0.0)
    pose = estimate_pose(about_middle, CAMERA)
    assert angles_of(looking(about_middle)) == pytest.approx(angles_of(pose), abs=1e-6)


def test_a_crop_hardly_changes_how_far_a_head_is_turned() -> None:
    mesh = photographed((12, -8, 3), 900, (0.02, 0.05))
    whole = looking(mesh)
    for cut_px in ((300.0, 0.0), (0.0, -250.0), (-200.0, 200.0)):
        moved = looking(mesh + np.array((*cut_px, 0.0)))
        assert angles_of(moved) == pytest.approx(angles_of(whole), abs=2.5)


@settings(deadline=None, max_examples=25)
@given(yaws, pitches, rolls, st.floats(400, 3000), fractions, fractions)
def test_drawn_with_all_its_perspective_a_face_has_nearly_the_same_pose(
    yaw: float, pitch: float, roll: float, distance_mm: float, beside_x: float, beside_y: float
) -> None:
    mesh = photographed((yaw, pitch, roll), distance_mm, (beside_x, beside_y), share=1.0)
    turn = rotation_of(yaw, pitch, roll).T @ estimate_pose(mesh, CAMERA).rotation
    # 5.0 degrees is the worst that was seen: at 40 cm, turned by 48 and in a corner of the frame.
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 7


def test_a_wrong_focal_length_hardly_matters_on_the_axis() -> None:
    mesh = photographed((20, 5, 0), 600, (0, -0.05))
    for times in (0.7, 1.4):
        camera = Camera(CAMERA.focal_px * times, 0, CENTRE_PX, "assumed")
        assert angles_of(estimate_pose(mesh, camera)) == pytest.approx((20, 5, 0), abs=3)


@pytest.mark.parametrize(
    "mesh", [np.zeros((468, 3)), np.full((MESH_POINTS, 3), np.nan), np.full((MESH_POINTS, 3), 7.0)]
)
def test_what_is_no_mesh_is_refused(mesh: Points) -> None:
    with pytest.raises(ValueError, match="a mesh has"):
        estimate_pose(mesh, CAMERA)


@given(seeds, st.floats(0.01, 100))
def test_turning_onto_finds_rotation_and_size(seed: int, size: float) -> None:
    points = np.random.default_rng(seed).normal(size=(10, 3))
    rotation, found = turn_onto(points, size * points @ rotation_of(70, -30, 160).T + (3, 2, 1))
    np.testing.assert_allclose(rotation, rotation_of(70, -30, 160), atol=1e-9)
    assert found == pytest.approx(size)


def test_turning_onto_never_mirrors() -> None:
    rotation, _ = turn_onto(mean_face(), mean_face() * (-1, 1, 1))
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_the_mean_face_is_a_face() -> None:
    face, mirror = mean_face(), mirror_points()
    assert face.shape == (MESH_POINTS, 3)
    np.testing.assert_array_equal(mirror[mirror], np.arange(MESH_POINTS))
    np.testing.assert_array_equal(face[mirror], face * (-1, 1, 1))
    assert mirror[[33, 133, 234, 54, 172, 61, 468, 469, 470]].tolist() == [263, 362, 454, 284, 397, 291, 473, 476, 475]
    np.testing.assert_allclose((face[468] + face[473]) / 2, 0, atol=0.005)
    assert np.linalg.norm(face[473] - face[468]) == pytest.approx(63, abs=2)  # mm, as people have it
    assert face[152, 1] > face[1, 1] > 0 > face[10, 1]  # chin below nose below eyes below the forehead
    assert face[1, 2] < 0 < face[234, 2]  # the nose before the eyes, the ears behind them
