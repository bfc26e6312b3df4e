"""Cards and markers painted into portraits: found where they are, to a fraction of a per cent, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.reference_objects import ARUCO_DICTIONARIES, parse_reference_object
from tests.card_scenes import ASSUMED_FOCAL, Held, Scene, held
from tests.cards import ID1_CORNER_MM, ID1_MM, card, corners_mm, marker, paint
from worker.measure.camera import Camera
from worker.measure.rectangles import RectangleShape, candidate_rectangles
from worker.vision.face_mesh import FaceMesh
from worker.vision.reference_object import ReferenceReading, ReferenceSearch, find_reference

REPOSITORY = Path(__file__).parents[2]
PORTRAITS = ("astronaut.png", "grace_hopper.jpg")
LONDON = REPOSITORY.parent / "shared" / "data" / "faces" / "london"
NO_FACE = REPOSITORY.parent / "shared" / "data" / "no_face"
CARD = parse_reference_object("id1_card")
MARKER = parse_reference_object("aruco:4x4_50:40")
STRAIGHT = Scene(tilt_deg=(0, 5), fingers=0, upright=0, focal=(1, 1), turn_sd_deg=3, long_px=170)

Pixels = NDArray[np.uint8]


def mesh_of(pixels: Pixels) -> NDArray[np.float64]:
    with FaceMesh() as mesh:
        return mesh.detect(pixels)[0].landmarks


@cache
def portrait(name: str) -> tuple[Pixels, NDArray[np.float64]]:
    """Give a portrait and its mesh, the face in the middle of a frame of its own."""
    image = Image.open(REPOSITORY / "stack" / "portraits" / name).convert("RGB")
    box = (90, 0, 350, 270) if name == "astronaut.png" else (60, 30, 460, 470)
    pixels = np.array(image.crop(box))
    return pixels, mesh_of(pixels)


def person(scene: Scene, seed: int = 1, name: str = "grace_hopper.jpg") -> Held:
    return held(*portrait(name), scene, seed)


def moved(landmarks_px: NDArray[np.float64], x_px: float, y_px: float) -> NDArray[np.float64]:
    return np.asarray(landmarks_px + (x_px, y_px, 0.0), dtype=np.float64)  # noqa: RUF005 - a sum


def camera_of(pixels: Pixels, sd: float = 0.3) -> Camera:
    height, width = pixels.shape[:2]
    focal_px = ASSUMED_FOCAL * max(height, width)
    return Camera(focal_px, sd * focal_px, ((width - 1) / 2, (height - 1) / 2), "assumed")


def search(scene: Held, name: str = "id1_card") -> ReferenceSearch:
    return find_reference(scene.pixels, parse_reference_object(name), scene.landmarks_px, camera_of(scene.pixels))


def found(scene: Held, name: str = "id1_card") -> ReferenceReading:
    result = search(scene, name)
    assert result.why == "found"
    assert result.reading is not None
    return result.reading


def also(scene: Held, texture: Pixels, size_mm: tuple[float, float], aside_mm: tuple[float, float]) -> Held:
    """Paint another flat thing so far from the first."""
    x, y = (centre + mm / scene.view.mm_per_px for centre, mm in zip(scene.view.centre_px, aside_mm, strict=True))
    view = replace(scene.view, centre_px=(x, y), turn_deg=0.0, tilt_deg=0.0)
    return replace(scene, pixels=paint(scene.pixels, texture, size_mm, view, 0.0))


@pytest.mark.parametrize("kind", ["white", "stripe", "dark", "identity"])
def test_a_straight_card_on_the_upper_lip_tells_the_scale(kind: str) -> None:
    scene = person(replace(STRAIGHT, kind=kind, place="upper_lip"))
    reading = found(scene)
    assert reading.mm_per_px == pytest.approx(scene.view.mm_per_px, rel=0.006)
    assert abs(reading.mm_per_px - scene.view.mm_per_px) < 3 * reading.sd
    assert reading.sd < 0.01 * reading.mm_per_px
    true = scene.view.to_px(corners_mm(ID1_MM))
    gaps = np.linalg.norm(reading.corners_px[:, np.newaxis] - true, axis=-1).min(axis=1)
    assert gaps.max() < 0.8


@pytest.mark.parametrize(
    "scene",
    [
        Scene(long_px=170),
        Scene(kind="stripe", upright=1, long_px=170),
        Scene(kind="identity", tilt_deg=(22, 25), long_px=170),
        Scene(kind="identity", jpeg_quality=60, blur_px=1, long_px=130),
        Scene(kind="stripe", glare=True, long_px=150),
        Scene(kind="pictured", fingers=0, long_px=170),
    ],
    ids=lambda scene: scene.kind,
)
def test_a_card_as_people_hold_it_is_mostly_found_and_never_found_wrong(scene: Scene) -> None:
    count = 0
    for seed in range(4):
        photo = person(replace(scene, focal=(0.95, 1.05), place="upper_lip"), seed)
        reading = search(photo).reading
        if reading is not None:
            count += 1
            assert reading.mm_per_px == pytest.approx(photo.view.mm_per_px, rel=0.01)
            assert reading.tilt_deg == pytest.approx(photo.view.tilt_deg, abs=10)
    assert count >= 3


@pytest.mark.parametrize("seed", range(3))
def test_a_marker_tells_the_scale(seed: int) -> None:
    scene = person(Scene(kind="marker", size_mm=(40.0, 40.0), long_px=90, focal=(1, 1)), seed)
    reading = found(scene, "aruco:4x4_50:40")
    assert reading.mm_per_px == pytest.approx(scene.view.mm_per_px, rel=0.01)
    assert search(scene, "id1_card").reading is None


def test_a_marker_of_another_dictionary_is_none() -> None:
    bare = person(replace(STRAIGHT, kind="marker", size_mm=(40.0, 40.0), long_px=90))
    fives = also(bare, marker("5x5_50", 3, 40, 20), (80.0, 80.0), (0, 0))
    assert search(fives, "aruco:4x4_50:40").reading is None
    assert found(fives, "aruco:5x5_50:40").mm_per_px == pytest.approx(bare.view.mm_per_px, rel=0.006)
    sixes = also(bare, marker("6x6_250", 11, 40, 20), (80.0, 80.0), (0, 0))
    assert search(sixes, "aruco:5x5_50:40").reading is None
    assert found(sixes, "aruco:6x6_250:40").mm_per_px == pytest.approx(bare.view.mm_per_px, rel=0.006)


def test_of_several_markers_the_one_nearest_to_the_face_is_taken() -> None:
    near = person(replace(STRAIGHT, kind="marker", size_mm=(40.0, 40.0), long_px=90, place="upper_lip"))
    both = also(near, marker("4x4_50", 23, 40, 6), (52.0, 52.0), (70, 0))
    middle = found(both, "aruco:4x4_50:40").corners_px.mean(axis=0)
    assert middle == pytest.approx(near.view.centre_px, abs=2)


@pytest.mark.parametrize("name", PORTRAITS)
def test_nothing_is_found_in_a_portrait_without_an_object(name: str) -> None:
    pixels, landmarks = portrait(name)
    pixels = np.array(Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)))
    for reference in (CARD, *(parse_reference_object(f"aruco:{each}:40") for each in ARUCO_DICTIONARIES)):
        assert find_reference(pixels, reference, 2 * landmarks, camera_of(pixels)).why == "not_seen"


@pytest.mark.parametrize(
    ("size_mm", "corner_mm"),
    [
        ((88.0, 63.0), 3.5),  # a playing card
        ((88.9, 50.8), 0.0),  # a business card of the United States
        ((140.0, 70.0), 8.0),  # a phone
        ((105.0, 74.0), 0.0),  # paper, A7
        (ID1_MM, 0.0),  # a card's size, but cut with scissors
        ((150.0, 94.6), 5.6),  # a card's shape, but much larger
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_only_resembles_a_card_is_none(size_mm: tuple[float, float], corner_mm: float, seed: int) -> None:
    scene = replace(STRAIGHT, size_mm=size_mm, corner_mm=corner_mm, long_px=2 * size_mm[0], place="upper_lip")
    assert search(person(scene, seed)).why == "not_seen"


def test_two_cards_are_ambiguous() -> None:
    scene = person(replace(STRAIGHT, place="upper_lip", turn_sd_deg=0, fingers=0))
    view = replace(scene.view, centre_px=(scene.view.centre_px[0], scene.view.centre_px[1] - 75 / scene.view.mm_per_px))
    pixels = paint(scene.pixels, card("white"), ID1_MM, view, ID1_CORNER_MM)
    assert search(replace(scene, pixels=pixels)) == ReferenceSearch(None, "ambiguous")


def test_a_card_away_from_the_face_is_not_looked_at() -> None:
    scene = person(replace(STRAIGHT, place="upper_lip"))
    wall = np.full((scene.pixels.shape[0], 600, 3), 90, dtype=np.uint8)
    pixels = np.concatenate([np.tile(portrait_of(scene), (1, 1, 1)), wall], axis=1)
    view = replace(scene.view, centre_px=(pixels.shape[1] - 200.0, scene.view.centre_px[1]), axis_px=scene.view.axis_px)
    pixels = paint(pixels, card("white"), ID1_MM, replace(view, tilt_deg=0.0), ID1_CORNER_MM)
    assert search(replace(scene, pixels=pixels)).why == "not_seen"
    beside = moved(scene.landmarks_px, pixels.shape[1] - 200 - scene.landmarks_px[1, 0], 0)
    assert search(replace(scene, pixels=pixels, landmarks_px=beside)).why == "found"  # the card itself is a good one


def portrait_of(scene: Held) -> Pixels:
    """Give the portrait without the object, at the size of a scene."""
    pixels, _ = portrait("grace_hopper.jpg")
    return np.array(Image.fromarray(pixels).resize(scene.pixels.shape[1::-1]))


def test_shifting_the_picture_shifts_the_corners_and_nothing_else() -> None:
    scene = person(replace(STRAIGHT, kind="identity"))
    cut = replace(scene, pixels=np.ascontiguousarray(scene.pixels[5:, 3:]), landmarks_px=scene.landmarks_px - (3, 5, 0))
    camera = camera_of(scene.pixels)
    aside = replace(camera, centre_px=(camera.centre_px[0] - 3, camera.centre_px[1] - 5))
    whole = found(scene)
    part = find_reference(cut.pixels, CARD, cut.landmarks_px, aside).reading
    assert part is not None
    assert part.mm_per_px == pytest.approx(whole.mm_per_px, rel=0.002)
    assert part.corners_px + np.array((3, 5)) == pytest.approx(whole.corners_px, abs=0.4)


def test_half_the_pixels_are_twice_the_millimetres_each() -> None:
    scene = person(replace(STRAIGHT, kind="stripe", long_px=240))
    size = (scene.pixels.shape[1] // 2, scene.pixels.shape[0] // 2)
    small = np.array(Image.fromarray(scene.pixels).resize(size, Image.Resampling.BOX))
    half = find_reference(small, CARD, scene.landmarks_px / 2, camera_of(small)).reading
    assert half is not None
    assert half.mm_per_px == pytest.approx(2 * found(scene).mm_per_px, rel=0.006)


def test_a_focal_length_less_sure_makes_the_scale_less_sure() -> None:
    scene = person(Scene(tilt_deg=(24, 25), fingers=0, upright=0, place="upper_lip", long_px=170, focal=(1, 1)))
    known = find_reference(scene.pixels, CARD, scene.landmarks_px, camera_of(scene.pixels, sd=0.02)).reading
    assert known is not None
    assert found(scene).sd > known.sd > 0.001 * known.mm_per_px


def test_a_face_too_small_for_the_object_says_so() -> None:
    pixels, landmarks = portrait("astronaut.png")  # a card would have 58 px
    assert find_reference(pixels, CARD, landmarks, camera_of(pixels)) == ReferenceSearch(None, "too_small")
    assert find_reference(pixels, MARKER, landmarks, camera_of(pixels)) == ReferenceSearch(None, "too_small")


def test_a_mesh_outside_the_picture_finds_nothing() -> None:
    scene = person(STRAIGHT)
    away = moved(scene.landmarks_px, 10_000, 0)
    assert find_reference(scene.pixels, CARD, away, camera_of(scene.pixels)).why == "not_seen"


def test_what_is_no_picture_is_refused() -> None:
    landmarks = portrait("grace_hopper.jpg")[1]
    with pytest.raises(ValueError, match="uint8"):
        find_reference(np.zeros((64, 64), np.uint8), CARD, landmarks, camera_of(np.zeros((64, 64, 3), np.uint8)))


@pytest.mark.parametrize("hostile", ["noise", "bricks", "flat", "stripes"])
def test_pictures_made_to_be_hard_end_without_a_find(hostile: str) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:900, :900]
    grey = {
        "noise": rng.integers(0, 256, (900, 900)),
        "bricks": 255 * (((x + 40 * (y // 50 % 2)) % 80 < 4) | (y % 50 < 4)),
        "flat": np.full((900, 900), 128),
        "stripes": 255 * (x // 7 % 2),
    }[hostile]
    pixels = np.ascontiguousarray(grey.astype(np.uint8)[..., np.newaxis].repeat(3, axis=2))
    landmarks = portrait("grace_hopper.jpg")[1]
    centred = landmarks - np.append(landmarks[:, :2].mean(axis=0), 0)
    for reference in (CARD, MARKER):
        assert find_reference(pixels, reference, moved(1.5 * centred, 450, 450), camera_of(pixels)).why == "not_seen"


def test_only_the_longest_segments_are_looked_at() -> None:
    rng = np.random.default_rng(0)
    long = np.array([(100, 100, 230, 100), (230, 100, 230, 182), (230, 182, 100, 182), (100, 182, 100, 100.0)])
    starts = rng.uniform(0, 400, (50_000, 2))
    many = np.concatenate([long, np.hstack([starts, starts + rng.normal(0, 4, starts.shape)])])
    lengths = np.hypot(*(many[:, 2:] - many[:, :2]).T)
    longest = many[np.argsort(-lengths, kind="stable")[:1000]]
    shape = RectangleShape((85, 175), (1.3, 1.9), 0.05)
    all_of_them, those = candidate_rectangles(many, shape, 8), candidate_rectangles(longest, shape, 8)
    assert all_of_them == pytest.approx(those)
    assert 1 <= len(all_of_them) <= 8
    assert min(np.abs(np.sort(one.ravel()) - np.sort(long[:, :2].ravel())).max() for one in all_of_them) < 3


@pytest.mark.skipif(not LONDON.exists(), reason="the London photos are not here")
def test_no_card_is_found_on_people_who_hold_none() -> None:
    with FaceMesh() as mesh:
        for path in sorted(LONDON.glob("*.jpg"))[::2]:
            pixels = np.array(Image.open(path).convert("RGB").reduce(2))
            landmarks = mesh.detect(pixels)[0].landmarks
            assert find_reference(pixels, CARD, landmarks, camera_of(pixels)).why == "not_seen"


@pytest.mark.skipif(not NO_FACE.exists(), reason="the scenes are not here")
def test_no_card_is_found_in_scenes_without_people() -> None:
    landmarks = portrait("grace_hopper.jpg")[1]
    centred = landmarks - np.append(landmarks[:, :2].mean(axis=0), 0)
    for path in sorted(NO_FACE.glob("*.jpg")):
        pixels = np.array(Image.open(path).convert("RGB"))
        for where in ((0.3, 0.5), (0.7, 0.5)):
            face = moved(centred, where[0] * pixels.shape[1], where[1] * pixels.shape[0])
            assert find_reference(pixels, CARD, face, camera_of(pixels)).why == "not_seen"
