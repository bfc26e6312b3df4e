from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests.textures import textures
from worker.measure.geometry import bounding_box, outer_eye_distance_px
from worker.vision.face_mesh import FaceMesh
from worker.vision.faces import MeshFace
from worker.vision.find_faces import FaceFinder
from worker.vision.graphs import DetectionRange
from worker.vision.mesh_check import MIN_EYE_DISTANCE_PX, disagreement, too_small

PORTRAITS = Path(__file__).parents[2] / "stack" / "portraits"
NO_FACE = Path(__file__).parents[3] / "shared" / "data" / "no_face"
GREY = (127, 127, 127)

Pixels = NDArray[np.uint8]
Landmarks = NDArray[np.float64]

COLLINS = Image.open(PORTRAITS / "astronaut.png").convert("RGB").crop((80, 0, 370, 290))
HOPPER = Image.open(PORTRAITS / "grace_hopper.jpg").convert("RGB").crop((60, 20, 460, 460))
EACH = pytest.mark.parametrize("portrait", [COLLINS, HOPPER], ids=["collins", "hopper"])


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder() as built:
        yield built


@pytest.fixture(scope="module")
def mesh() -> Iterator[FaceMesh]:
    with FaceMesh() as built:
        yield built


def error_percent(found: Landmarks, true: Landmarks) -> float:
    """Give the mean distance over the mesh in per cent of the distance between the outer eye corners."""
    apart = np.linalg.norm(found[:, :2] - true[:, :2], axis=1)
    return float(100 * apart.mean() / outer_eye_distance_px(true))


def finer(landmarks: Landmarks, scale: float) -> Landmarks:
    """Move landmarks to the same picture with more px: a px is the centre of the block that it becomes."""
    half_block = (scale - 1) / 2
    moved: Landmarks = landmarks * scale + np.array((half_block, half_block, 0))
    return moved


def in_a_field(
    portrait: Image.Image, mesh: Landmarks, size: tuple[int, int], share: float, place: tuple[float, float]
) -> tuple[Image.Image, Landmarks]:
    """Paste a portrait on grey so that its face takes a share of the width; return where its mesh then lies."""
    scale = share * size[0] / bounding_box(mesh).width
    small = portrait.resize((round(portrait.width * scale), round(portrait.height * scale)), Image.Resampling.LANCZOS)
    x, y = (round(place[axis] * (size[axis] - small.size[axis])) for axis in (0, 1))
    field = Image.new("RGB", size, GREY)
    field.paste(small, (x, y))
    return field, finer(mesh, scale) + np.array((x, y, 0))


@EACH
def test_a_portrait_is_measured_as_by_the_face_mesh_alone_to_the_last_bit(
    portrait: Image.Image, finder: FaceFinder, mesh: FaceMesh
) -> None:
    pixels = np.array(portrait)
    [expected] = mesh.detect(pixels)
    [face] = finder.detect(pixels)
    assert face.landmarks.tobytes() == expected.landmarks.tobytes()
    assert (face.confidence, face.region) == (expected.confidence, expected.region)


@EACH
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_turned_by_quarters_is_found_as_it_lies(
    portrait: Image.Image, quarters: int, finder: FaceFinder
) -> None:
    [upright] = finder.detect(np.array(portrait))
    width, height = portrait.size
    pixels = np.ascontiguousarray(np.rot90(np.array(portrait), quarters))
    [turned] = finder.detect(pixels)
    x, y = turned.landmarks[:, 0], turned.landmarks[:, 1]
    back = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[quarters]
    assert error_percent(np.stack(back, axis=1), upright.landmarks) < 2.5
    # Depth does not turn with the picture: the nose stays in front, at the same scale.
    depth_apart = np.abs(turned.landmarks[:, 2] - upright.landmarks[:, 2]).mean()
    assert depth_apart < 0.06 * outer_eye_distance_px(upright.landmarks)


@EACH
def test_upside_down_the_face_mesh_alone_is_wrong_about_the_eyes(portrait: Image.Image, mesh: FaceMesh) -> None:
    [upright] = mesh.detect(np.array(portrait))
    for bogus in mesh.detect(np.ascontiguousarray(np.array(portrait)[::-1, ::-1])):
        back = np.array(portrait.size) - bogus.landmarks[:, :2]
        assert error_percent(back, upright.landmarks) > 50


@EACH
@pytest.mark.parametrize("angle", [-60, -30, 45, 75])
def test_a_tilted_head_is_left_as_it_is(portrait: Image.Image, angle: int, finder: FaceFinder) -> None:
    tilted = np.array(portrait.rotate(-angle, fillcolor=GREY, resample=Image.Resampling.BICUBIC))
    [face] = finder.detect(tilted)
    right_eye, left_eye = face.landmarks[33, :2], face.landmarks[263, :2]
    [straight] = finder.detect(np.array(portrait))
    before = straight.landmarks[263, :2] - straight.landmarks[33, :2]
    turned_by = np.degrees(
        np.arctan2(*(left_eye - right_eye)[::-1]) - np.arctan2(before[1], before[0])
    )  # clockwise in the image
    assert turned_by == pytest.approx(angle, abs=4)


@EACH
@pytest.mark.parametrize("share", [0.05, 0.07, 0.10])
@pytest.mark.parametrize(
    ("size", "place"), [((1500, 1500), (0.1, 0.8)), ((1500, 1125), (0.5, 0.5)), ((1125, 1500), (1.0, 0.0))]
)
def test_a_small_face_is_found_once_and_refined(
    portrait: Image.Image, share: float, size: tuple[int, int], place: tuple[float, float], finder: FaceFinder
) -> None:
    [large] = finder.detect(np.array(portrait))
    double = (size[0] * 2, size[1] * 2)
    field, expected = in_a_field(portrait, large.landmarks, double, share, place)
    [face] = finder.detect(np.array(field.reduce(2)))
    assert error_percent(finer(face.landmarks, 2), expected) < 4
    [refined] = finder.refine(np.array(field), [face], 2)
    assert error_percent(refined.landmarks, expected) < 2
    assert refined.confidence == face.confidence


def test_a_small_face_beside_a_large_one_is_looked_for_when_it_is_asked_for(finder: FaceFinder) -> None:
    [large], [other] = finder.detect(np.array(HOPPER)), finder.detect(np.array(COLLINS))
    field, expected = in_a_field(COLLINS, other.landmarks, (1600, 1200), 0.06, (0.9, 0.5))
    field.paste(HOPPER.resize((800, 880)), (100, 160))
    pixels = np.array(field)
    [first] = finder.detect(pixels)
    assert error_percent(first.landmarks, large.landmarks * 2 + (100, 160, 0)) < 2
    biggest, smallest = finder.detect(pixels, max_faces=2)
    assert biggest.landmarks.tobytes() == first.landmarks.tobytes()
    assert error_percent(smallest.landmarks, expected) < 4


def test_faces_turned_differently_are_each_turned_their_own_way(finder: FaceFinder) -> None:
    field = Image.new("RGB", (900, 450), GREY)
    field.paste(HOPPER, (20, 5))
    field.paste(HOPPER.rotate(180), (480, 5))
    faces = finder.detect(np.array(field), max_faces=2)
    eye_to_mouth = sorted(float(face.landmarks[13, 1] - face.landmarks[168, 1]) for face in faces)
    assert len(faces) == 2
    assert eye_to_mouth[0] == pytest.approx(-eye_to_mouth[1], rel=0.03)


def test_no_face_in_forty_textures(finder: FaceFinder) -> None:
    found = [name for name, pixels in textures(40, seed=1) if finder.detect(pixels, max_faces=10)]
    assert found == []


@pytest.mark.skipif(not NO_FACE.exists(), reason="the data folder is not here")
def test_no_face_in_scenes_without_one(finder: FaceFinder) -> None:
    paths = sorted(NO_FACE.glob("*.jpg"))
    assert len(paths) == 9
    assert [path.name for path in paths if finder.detect(np.array(Image.open(path).convert("RGB")))] == []


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((600, 800, 3), 127, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 3000, 3), 200, np.uint8),
        np.full((3000, 1, 3), 200, np.uint8),
        np.full((20, 4000, 3), 90, np.uint8),
    ],
    ids=lambda pixels: f"{pixels.shape[1]} x {pixels.shape[0]}",
)
def test_pictures_of_nothing_in_any_shape_have_no_face(pixels: Pixels, finder: FaceFinder) -> None:
    assert finder.detect(pixels, max_faces=10) == []


def test_a_face_in_a_panorama_is_found(finder: FaceFinder) -> None:
    panorama = Image.new("RGB", (4000, 440), GREY)
    panorama.paste(HOPPER, (2900, 0))
    [face] = finder.detect(np.array(panorama))
    [alone] = finder.detect(np.array(HOPPER))
    assert error_percent(face.landmarks, alone.landmarks + np.array((2900, 0, 0))) < 2


def test_a_drawn_face_is_looked_at_without_harm(finder: FaceFinder) -> None:
    smiley = Image.new("RGB", (400, 400), "white")
    draw = ImageDraw.Draw(smiley)
    draw.ellipse((50, 50, 350, 350), fill="gold", outline="black", width=5)
    draw.ellipse((130, 140, 160, 180), fill="black")
    draw.ellipse((240, 140, 270, 180), fill="black")
    draw.arc((120, 160, 280, 300), 20, 160, fill="black", width=8)
    for face in finder.detect(np.array(smiley)):
        assert np.isfinite(face.landmarks).all()


def test_faces_without_a_region_cannot_be_refined(finder: FaceFinder) -> None:
    with pytest.raises(ValueError, match="found here"):
        finder.refine(np.array(HOPPER), [MeshFace(np.zeros((478, 3)), 0.9)], 1)


def test_where_no_face_is_seen_any_more_the_mesh_is_scaled(finder: FaceFinder) -> None:
    [face] = finder.detect(np.array(HOPPER))
    [kept] = finder.refine(np.full((880, 800, 3), 127, np.uint8), [face], 2)
    assert np.array_equal(kept.landmarks, finer(face.landmarks, 2))


def test_a_closed_finder_refuses() -> None:
    closed = FaceFinder()
    closed.close()
    closed.close()
    with pytest.raises(RuntimeError, match="closed"):
        closed.detect(np.array(HOPPER))


def test_disagreement_is_the_mean_distance_in_widths_of_the_box(mesh: FaceMesh) -> None:
    [detection] = mesh.find(np.array(HOPPER), DetectionRange.SHORT)
    landmarks = mesh.mesh(np.array(HOPPER), detection.region)
    assert landmarks is not None
    of_mesh = [(landmarks[a, :2] + landmarks[b, :2]) / 2 for a, b in ((33, 133), (263, 362), (1, 1), (13, 14))]
    moved = replace(detection, keypoints=np.array([*of_mesh, (0, 0), (0, 0)]) + (30.0, 40.0), width_px=200.0)  # noqa: RUF005
    assert disagreement(landmarks, moved) == pytest.approx(0.25)
    assert disagreement(landmarks, detection) < 0.06


def test_a_face_is_too_small_below_the_limit_and_is_told_the_size_it_needs() -> None:
    landmarks = np.zeros((478, 3))
    landmarks[263, 0] = MIN_EYE_DISTANCE_PX
    assert too_small(landmarks) is None
    landmarks[263, 0] = 20.0
    assert too_small(landmarks) == (
        "The largest face has 20 px between the outer corners of the eyes; at least 30 px are needed,"
        " 1.5 times as many."
    )
