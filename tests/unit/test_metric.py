from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.measurements import DEFINITIONS
from shared.mesh_depth import DEPTH_GAIN, mesh_in_millimetres
from tests.drawn_mesh import drawn_mesh
from worker.measure.camera import Camera
from worker.measure.depth import back_projected_px, to_millimetres
from worker.measure.landmarks import MESH_POINTS
from worker.measure.mean_face import mean_face, mirror_points
from worker.measure.metric import measure_mm
from worker.measure.pose import Pose, pose_of, rotation_of
from worker.measure.space import FaceInSpace, place_in_space

Points = NDArray[np.float64]

CENTRE_PX = (999.5, 749.5)
CAMERA = Camera(1000.0, 300.0, CENTRE_PX, "assumed")
BY_KEY = {definition.key: definition for definition in DEFINITIONS}
WIDTHS = [definition for definition in DEFINITIONS if len(definition.landmarks) == 2]
AHEAD = pose_of(np.eye(3))

seeds = st.integers(0, 2**32 - 1)
angles = st.tuples(st.floats(-40, 40), st.floats(-20, 20), st.floats(-60, 60))
distances = st.floats(300, 2000)
fractions = st.floats(-0.3, 0.3)


def flat_mesh(**at: tuple[float, float, float]) -> Points:
    """Put every point on the optical axis at the depth of the eyes, but those that are named."""
    mesh = np.tile((*CENTRE_PX, 0.0), (MESH_POINTS, 1))
    for name, (x, y, z) in at.items():
        mesh[int(name.removeprefix("p"))] += (x, y, z)
    return mesh


def head(seed: int) -> Points:
    """Make a face unlike the mean one [mm, in its own frame], its depth as it is and not as the mesh has it."""
    shape = np.random.default_rng(seed).normal(1, 0.1, 3) * (1, 1, DEPTH_GAIN)
    return np.asarray(mean_face() * shape + np.random.default_rng(seed).normal(0, 2, (MESH_POINTS, 3)))


def as_the_mesh_draws_it(points_mm: Points, distance_mm: float, beside: tuple[float, float], camera: Camera) -> Points:
    """Draw a head, its eyes `beside` times the distance beside the axis, as the network does."""
    eyes_mm = (points_mm[468, 2] + points_mm[473, 2]) / 2
    place = np.array((beside[0] * distance_mm, beside[1] * distance_mm, distance_mm - eyes_mm))
    return drawn_mesh(points_mm + place, camera)


def in_space(mesh: Points, pose: Pose = AHEAD, mm_per_px: float = 0.5, sd: float = 0.02) -> FaceInSpace:
    return place_in_space(mesh, CAMERA, pose, mm_per_px, sd)


def lengths_mm(face: FaceInSpace) -> list[float]:
    return [measure_mm(definition, face).mm for definition in DEFINITIONS]


def test_points_in_the_plane_of_the_eyes_are_only_scaled() -> None:
    points = to_millimetres(flat_mesh(p468=(-60, 0, 0), p473=(60, 0, 0), p9=(0, -40, 0)), 0.5, CAMERA)
    np.testing.assert_allclose(points[[468, 473, 9]], [(-30, 0, 0), (30, 0, 0), (0, -20, 0)], atol=0.02)


def test_a_point_behind_the_eyes_is_further_from_the_axis_than_it_looks() -> None:
    mesh = flat_mesh(p234=(-100, 0, 100), p454=(100, 0, 100))
    depth_mm = 0.5 * 1.05 * 100
    width_mm = 200 * (0.5 + 0.55 * depth_mm / 1000)
    points = to_millimetres(mesh, 0.5, CAMERA)
    np.testing.assert_allclose(points[454], (width_mm / 2, 0, depth_mm), rtol=1e-12)
    assert measure_mm(BY_KEY["face_width"], in_space(mesh)).mm == pytest.approx(width_mm / 0.997)


def test_depth_counts_from_the_mean_of_both_irises() -> None:
    depth = back_projected_px(flat_mesh(p468=(0, 0, 30), p473=(0, 0, 10), p1=(0, 0, -40)), CAMERA)[:, 2]
    assert depth[[468, 473, 1]] == pytest.approx([10.5, -10.5, -63])


def test_beside_the_axis_depth_is_along_the_axis_and_not_the_line_of_sight() -> None:
    mesh = flat_mesh(p468=(-60, 0, 0), p473=(60, 0, 0)) + np.array((500, 0, 0))
    depth = back_projected_px(mesh, CAMERA)[:, 2]
    assert depth[[468, 473]] == pytest.approx([24, -24], abs=0.1)  # at 26.6° to the right: 60 px · sin · cos


@given(seeds, st.floats(0.05, 2), st.floats(500, 5000))
@settings(deadline=None, max_examples=20)
def test_plain_python_and_numpy_agree(seed: int, mm_per_px: float, focal_px: float) -> None:
    camera = Camera(focal_px, 1, CENTRE_PX, "exif")
    mesh = np.random.default_rng(seed).normal(800, 200, (MESH_POINTS, 3))
    plain = mesh.tolist()
    np.testing.assert_allclose(
        mesh_in_millimetres(plain, mm_per_px, focal_px, CENTRE_PX), to_millimetres(mesh, mm_per_px, camera), atol=1e-9
    )


@given(seeds, angles, distances, fractions, fractions)
@settings(deadline=None, max_examples=40)
def test_with_exact_depth_every_length_is_the_same_near_and_far_turned_and_beside_the_axis(
    seed: int, turned: tuple[float, float, float], distance_mm: float, beside_x: float, beside_y: float
) -> None:
    rotation, upright = rotation_of(*turned), head(seed)
    mesh = as_the_mesh_draws_it(upright @ rotation.T, distance_mm, (beside_x, beside_y), CAMERA)
    face = in_space(mesh, pose_of(rotation), distance_mm / CAMERA.focal_px)
    for definition in WIDTHS:
        if definition.key != "distance_pd":
            a, b = upright[definition.landmarks, :]
            divisor = definition.bias * definition.turn_factor(face.turned.yaw_deg, face.turned.pitch_deg)
            assert measure_mm(definition, face).mm == pytest.approx(np.linalg.norm(a - b) / divisor)
    for key, pupil in (("monocular_pd_right", 468), ("monocular_pd_left", 473)):
        bridge = (upright[168, 0] + upright[6, 0]) / 2
        assert measure_mm(BY_KEY[key], face).mm == pytest.approx(abs(upright[pupil, 0] - bridge))


def test_without_the_perspective_step_the_same_widths_would_change_with_the_distance() -> None:
    near, far = (as_the_mesh_draws_it(head(0), distance_mm, (0, 0), CAMERA) for distance_mm in (300, 2000))
    flat = [np.linalg.norm((mesh[234] - mesh[454])[:2]) * z for mesh, z in ((near, 0.3), (far, 2.0))]
    assert flat[0] < 0.92 * flat[1]


@given(seeds, angles, st.floats(0.1, 8))
@settings(deadline=None, max_examples=20)
def test_a_larger_copy_of_the_photo_gives_the_same_lengths(
    seed: int, turned: tuple[float, float, float], times: float
) -> None:
    pose = pose_of(rotation_of(*turned))
    mesh = as_the_mesh_draws_it(head(seed) @ pose.rotation.T, 500, (0.1, 0.1), CAMERA)
    camera = Camera(CAMERA.focal_px * times, 300 * times, (CENTRE_PX[0] * times, CENTRE_PX[1] * times), "assumed")
    small, large = in_space(mesh, pose), place_in_space(mesh * times, camera, pose, 0.5 / times, 0.02 / times)
    for definition in DEFINITIONS:
        once, again = measure_mm(definition, small), measure_mm(definition, large)
        assert (again.mm, again.sd_mm) == pytest.approx((once.mm, once.sd_mm))


@given(seeds, angles, st.floats(-180, 180))
@settings(deadline=None, max_examples=20)
def test_turning_the_photo_about_its_centre_changes_no_length(
    seed: int, turned: tuple[float, float, float], roll: float
) -> None:
    pose = pose_of(rotation_of(*turned))
    mesh = as_the_mesh_draws_it(head(seed) @ pose.rotation.T, 500, (0.1, 0.1), CAMERA)
    about = np.array((*CENTRE_PX, 0.0))
    spin = rotation_of(0, 0, roll)
    spun = in_space((mesh - about) @ spin.T + about, pose_of(spin @ pose.rotation))
    assert lengths_mm(spun) == pytest.approx(lengths_mm(in_space(mesh, pose)))


@given(seeds, angles)
@settings(deadline=None, max_examples=20)
def test_a_mirrored_photo_swaps_left_and_right(seed: int, turned: tuple[float, float, float]) -> None:
    yaw, pitch, roll = turned
    pose = pose_of(rotation_of(yaw, pitch, roll))
    mesh = as_the_mesh_draws_it(head(seed) @ pose.rotation.T, 500, (0.1, 0.1), CAMERA)
    mirrored = mesh[mirror_points()] * (-1, 1, 1) + (2 * CENTRE_PX[0], 0, 0)
    there, here = in_space(mirrored, pose_of(rotation_of(-yaw, pitch, -roll))), in_space(mesh, pose)
    swapped = {"monocular_pd_right": "monocular_pd_left", "monocular_pd_left": "monocular_pd_right"}
    for definition in DEFINITIONS:
        other = BY_KEY[swapped.get(definition.key, definition.key)]
        assert measure_mm(definition, there).mm == pytest.approx(measure_mm(other, here).mm)


@given(seeds, st.floats(0.2, 5))
@settings(deadline=None, max_examples=20)
def test_a_head_twice_as_large_and_twice_as_far_has_twice_the_lengths(seed: int, times: float) -> None:
    mesh = as_the_mesh_draws_it(head(seed), 500, (0, 0), CAMERA)
    plain = {definition.key for definition in DEFINITIONS} - {"distance_pd"}  # eyes do not grow
    for key in plain:
        once = measure_mm(BY_KEY[key], in_space(mesh))
        grown = measure_mm(BY_KEY[key], in_space(mesh, mm_per_px=0.5 * times, sd=0.02 * times))
        assert (grown.mm, grown.sd_mm) == pytest.approx((times * once.mm, times * once.sd_mm))


def test_the_pupils_are_further_apart_when_they_look_into_the_distance() -> None:
    mesh = flat_mesh(p468=(-77.5, 0, 0), p473=(77.5, 0, 0))
    face = in_space(mesh, mm_per_px=0.4)  # 62 mm at 400 mm
    assert measure_mm(BY_KEY["distance_pd"], face).mm == pytest.approx(62 * 400 / 389.5 / 1.003, rel=1e-5)


def test_both_monocular_pds_of_a_symmetric_face_are_half_the_pd_however_it_is_turned() -> None:
    pose = pose_of(rotation_of(30, -10, 5))
    mesh = as_the_mesh_draws_it(mean_face() @ pose.rotation.T, 600, (0.1, 0), CAMERA)
    face = in_space(mesh, pose, 0.6)
    half = np.linalg.norm(mean_face()[473] - mean_face()[468]) / 2
    for key in ("monocular_pd_right", "monocular_pd_left"):
        assert measure_mm(BY_KEY[key], face).mm == pytest.approx(half, abs=0.01)


def test_the_distance_to_the_camera_is_as_unsure_as_lens_and_ruler() -> None:
    distance = in_space(flat_mesh(), mm_per_px=0.5, sd=0.02).distance
    assert distance.mm == 500
    assert distance.sd_mm == pytest.approx(500 * np.hypot(0.3, 0.04))


@pytest.mark.parametrize("mm_per_px", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_none_is_refused(mm_per_px: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        in_space(flat_mesh(), mm_per_px=mm_per_px)


def test_what_is_not_positive_or_not_a_mesh_is_refused() -> None:
    with pytest.raises(ValueError, match="standard deviation"):
        in_space(flat_mesh(), sd=-0.1)
    with pytest.raises(ValueError, match="focal length"):
        place_in_space(flat_mesh(), Camera(0, 1, CENTRE_PX, "exif"), AHEAD, 0.5, 0.1)
    with pytest.raises(ValueError, match="mesh"):
        in_space(np.zeros((468, 3)))
    with pytest.raises(ValueError, match="coincide"):
        measure_mm(BY_KEY["face_width"], in_space(flat_mesh()))
    with pytest.raises(ValueError, match="cannot look"):
        measure_mm(BY_KEY["distance_pd"], in_space(flat_mesh(p468=(1, 0, 0)), mm_per_px=0.01))
