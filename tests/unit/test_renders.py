"""A real mesh network on pictures whose truth is known: the one test where perspective is not our own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.geometry import iris_mm_per_px
from bench.renders import Head, lift, render
from shared.measurements import DEFINITIONS
from worker.measure.landmarks import CANONICAL_POINTS
from worker.measure.metric import measure_mm
from worker.measure.pose import estimate_pose
from worker.measure.space import place_in_space
from worker.vision.face_mesh import FaceMesh

PORTRAIT = Path(__file__).parents[2] / "stack" / "portraits" / "astronaut.png"
POSE_TOLERANCE_DEG = 5.0
"""Yaw is seen 5 to 12 % too small, and a person's own pitch is not the mean face's."""
STEADY = ("interpupillary_distance", "biocular_width", "face_width", "face_edge_breadth", "temple_width")


@pytest.fixture(scope="module")
def mesh() -> Iterator[FaceMesh]:
    with FaceMesh() as graph:
        yield graph


@pytest.fixture(scope="module")
def head(mesh: FaceMesh) -> Head:
    photo = np.array(Image.open(PORTRAIT).convert("RGB"))
    landmarks = mesh.detect(photo)[0].landmarks
    return lift(photo, landmarks, iris_mm_per_px(landmarks), "mean", 1.1)


def widths_mm(mesh: FaceMesh, head: Head, distance_mm: float, angles: tuple[float, float, float]) -> dict[str, float]:
    view = render(head, distance_mm, angles, size_px=640)
    found = mesh.detect(view.pixels)[0].landmarks
    pose = estimate_pose(found, view.camera)
    error = np.subtract((pose.yaw_deg, pose.pitch_deg, pose.roll_deg), angles)
    assert np.abs(error).max() < POSE_TOLERANCE_DEG
    face = place_in_space(found, view.camera, pose, view.mm_per_px, 0.0)
    return {definition.key: measure_mm(definition, face).mm for definition in DEFINITIONS if definition.key in STEADY}


def test_a_render_shows_the_face_where_it_says(mesh: FaceMesh, head: Head) -> None:
    view = render(head, 1500.0, size_px=640)
    assert view.mm_per_px == pytest.approx(0.5, rel=1e-3)
    found = mesh.detect(view.pixels)[0].landmarks
    off_px = np.linalg.norm(found[:CANONICAL_POINTS, :2] - view.points_px[:CANONICAL_POINTS], axis=1)
    eyes_px = np.linalg.norm(view.points_px[33] - view.points_px[263])
    assert np.median(off_px) < 0.03 * eyes_px


def test_widths_hold_when_the_camera_comes_nearer(mesh: FaceMesh, head: Head) -> None:
    far, near = widths_mm(mesh, head, 1000, (0, 0, 0)), widths_mm(mesh, head, 350, (0, 0, 0))
    assert near == pytest.approx(far, rel=0.03)


@pytest.mark.parametrize("angles", [(20.0, 0.0, 0.0), (-20.0, 10.0, 0.0), (0.0, -12.0, 20.0)])
def test_widths_hold_when_the_head_turns(mesh: FaceMesh, head: Head, angles: tuple[float, float, float]) -> None:
    straight, turned = widths_mm(mesh, head, 500, (0, 0, 0)), widths_mm(mesh, head, 500, angles)
    assert turned == pytest.approx(straight, rel=0.045)
