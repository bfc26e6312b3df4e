"""Every reason reached by a picture that goes through the whole pipeline, and rulers that are not there refused."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bench.renders import lift, render
from shared.errors import RequirementNotMet
from shared.results import Face, JobResult
from shared.schemas import JobOptions
from tests.unit.portraits import COLLINS, HOPPER, portrait, wearing
from worker.pipeline import measure_photo
from worker.vision.decode import DecodeLimits
from worker.vision.find_faces import FaceFinder

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
RIGHT_PUPIL, CHIN = 468, 152

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder() as face_finder:
        yield face_finder


def measured(pixels: Pixels, finder: FaceFinder, **options: object) -> Face:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    asked = JobOptions.model_validate(options)
    return JobResult.model_validate(measure_photo(out.getvalue(), asked, finder, LIMITS).result).faces[0]


def enlarged(pixels: Pixels, factor: float) -> Pixels:
    image = Image.fromarray(pixels)
    size = (round(image.width * factor), round(image.height * factor))
    return np.array(image.resize(size, Image.Resampling.LANCZOS))


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))


def turned(yaw_deg: float) -> Pixels:
    bare = portrait(HOPPER)
    return render(lift(bare.pixels, bare.mesh, 0.72), 600.0, (yaw_deg, 0.0, 0.0), size_px=640).pixels


def close_up() -> Pixels:
    """Fill a frame of 4:3, which is then taken for a whole one, with little more than the face."""
    x, y = portrait(HOPPER).mesh[RIGHT_PUPIL, :2].astype(int)
    return portrait(HOPPER).pixels[y - 110 : y + 190, x - 70 : x + 155]


def without_the_chin() -> Pixels:
    return portrait(HOPPER).pixels[: int(portrait(HOPPER).mesh[CHIN, 1]) - 6]


def without_the_eyes() -> Pixels:
    return portrait(HOPPER).pixels[int(portrait(HOPPER).mesh[RIGHT_PUPIL, 1]) + 12 :]


@pytest.mark.parametrize(
    ("reason", "key", "pixels"),
    [
        ("forehead_covered", "forehead_width", lambda: portrait(HOPPER).pixels),
        ("glasses", "eye_gap", lambda: portrait(HOPPER).pixels),
        ("nose_covered", "nose_breadth", lambda: wearing("FFP2, white", HOPPER).pixels),
        ("mouth_covered", "mouth_width", lambda: wearing("surgical, blue", COLLINS).pixels),
        ("chin_covered", "chin_width", lambda: wearing("cloth, own skin", COLLINS).pixels),
        ("eyes_closed", "interpupillary_distance", lambda: enlarged(wearing("eyes shut", COLLINS).pixels, 1.5)),
        ("mouth_open", "face_length", lambda: portrait(COLLINS).pixels),
        ("expression", "mouth_width", lambda: portrait(COLLINS).pixels),
        ("face_too_small", "face_width", lambda: enlarged(portrait(COLLINS).pixels, 0.7)),
        ("blurred", "biocular_width", lambda: blurred(portrait(HOPPER).pixels, 5)),
        ("head_turned", "face_width", lambda: turned(32)),
        ("too_close", "face_width", close_up),
        ("cropped", "chin_width", without_the_chin),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_that_has_this_reason(finder: FaceFinder, reason: str, key: str, pixels: object) -> None:
    assert callable(pixels)
    face = measured(pixels(), finder)
    value = face.measurements[key]
    assert reason in value.reasons
    assert value.status != "ok"
    # What covers the mouth covers the chin, and one sentence says so.
    told = "mouth_covered" if reason == "chin_covered" else reason
    assert told in [hint.code for hint in face.quality.retake]


def test_rulers_that_contradict_each_other_make_the_scale_uncertain(finder: FaceFinder) -> None:
    face = measured(portrait(COLLINS).pixels, finder, known_pd_mm=80)
    assert face.scale is not None
    assert face.scale.agreement is not None
    assert not face.scale.agreement.agrees
    assert face.measurements["face_width"].reasons == ["scale_uncertain"]


@pytest.mark.parametrize("options", [{}, {"known_pd_mm": 63}], ids=["iris", "known PD"])
def test_eyes_beyond_the_edge_of_the_photo_are_no_ruler(finder: FaceFinder, options: dict[str, object]) -> None:
    face = measured(without_the_eyes(), finder, **options)
    assert face.scale is None
    assert face.quality.components["iris_size"] is face.quality.components["eyes_open"] is None
    for value in face.measurements.values():
        assert (value.mm, value.status) == (None, "not_measurable")
        assert "cropped" in value.reasons


@pytest.mark.parametrize("options", [{}, {"known_pd_mm": 63}], ids=["iris", "known PD"])
@pytest.mark.parametrize("kind", ["dark lenses", "mirrored, gold"])
def test_eyes_behind_dark_lenses_are_no_ruler(finder: FaceFinder, kind: str, options: dict[str, object]) -> None:
    face = measured(wearing(kind, HOPPER).pixels, finder, **options)
    assert face.scale is None
    assert all("glasses" in value.reasons and value.mm is None for value in face.measurements.values())


@pytest.mark.parametrize(("kind", "key"), [("distance", "distance_pd"), ("as_photographed", "interpupillary_distance")])
def test_a_known_pd_comes_back_no_less_sure_than_it_was_given(finder: FaceFinder, kind: str, key: str) -> None:
    given = measured(enlarged(portrait(COLLINS).pixels, 2), finder, known_pd_mm=63, known_pd_kind=kind)
    value = given.measurements[key]
    assert value.mm == pytest.approx(63, abs=0.05)
    assert value.mm_sd is not None
    assert value.mm_sd < 1


def test_a_well_taken_photo_that_is_not_sure_enough_is_told_of_a_better_ruler(finder: FaceFinder) -> None:
    pixels = enlarged(portrait(COLLINS).pixels, 2)
    with pytest.raises(RequirementNotMet, match=r"biocular_width is known to ± \d\.\d\d mm, not to 1") as caught:
        measured(pixels, finder, require="biocular_width", max_mm_sd=1)
    assert [code for code, _ in caught.value.hints] == ["scale_uncertain"]


def test_hints_are_those_of_what_was_required(finder: FaceFinder) -> None:
    with pytest.raises(RequirementNotMet) as caught:
        measured(portrait(COLLINS).pixels, finder, require="mouth_width")
    assert {code for code, _ in caught.value.hints} == {"mouth_open", "expression"}
