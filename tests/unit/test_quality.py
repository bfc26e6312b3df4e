from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.composites import blurred, gamma, jpeg, noisy
from tests.unit.portraits import COLLINS, HOPPER, Seen, mirrored, portrait, scaled, wearing
from worker.measure.expression import Expression, read_expression
from worker.measure.geometry import outer_eye_distance_px
from worker.measure.occlusion import find_occlusion
from worker.measure.quality import COMPONENTS, FullFacts, assess, edge_slope, overall

Pixels = NDArray[np.uint8]

STRAIGHT = FullFacts(yaw_deg=0, pitch_deg=0, outer_eye_distance_px=220, iris_diameter_px=28)
SHARP = 0.38
"""A portrait in focus has at least this slope, and 100 for sharpness."""


def components(
    face: Seen,
    facts: FullFacts = STRAIGHT,
    expression: Expression | None = None,
    pixels: Pixels | None = None,
) -> dict[str, int | None]:
    shown = face.pixels if pixels is None else pixels
    return assess(shown, face.mesh, facts, expression or read_expression(face.mesh), find_occlusion(shown, face.mesh))


def test_every_component_is_named_and_within_its_range() -> None:
    found = components(portrait(HOPPER))
    assert tuple(found) == COMPONENTS
    assert all(value is not None and 0 <= value <= 100 for value in found.values())


def test_a_good_portrait_is_good_and_its_weakest_component_is_the_score() -> None:
    found = components(portrait(HOPPER))
    assert {name for name, value in found.items() if value is not None and value < 90} == {"occlusion"}
    assert overall(found) == found["occlusion"]
    assert overall({**found, "contrast": 3, "iris_size": None}) == 3


@pytest.mark.parametrize("name", [COLLINS, HOPPER])
def test_blur_lowers_sharpness_step_by_step(name: str) -> None:
    face = portrait(name)
    per_unit = outer_eye_distance_px(face.mesh) / 200
    slopes = [edge_slope(blurred(sigma * per_unit)(face.pixels), face.mesh) for sigma in (0, 1.5, 2.5, 4, 6)]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] - slopes[-1] > 0.1


def test_a_small_face_enlarged_is_not_sharp() -> None:
    face = portrait(HOPPER)
    image = Image.fromarray(face.pixels)
    enlarged = image.resize((image.width // 4, image.height // 4)).resize(image.size, Image.Resampling.BICUBIC)
    assert edge_slope(face.pixels, face.mesh) > SHARP
    assert edge_slope(np.array(enlarged), face.mesh) < 0.26


@pytest.mark.parametrize("spoil", [noisy(8), jpeg(20)])
def test_noise_and_blocks_are_no_sharpness(spoil: Callable[[Pixels], Pixels]) -> None:
    face = portrait(HOPPER)
    out_of_focus = blurred(3.0)(face.pixels)
    assert edge_slope(spoil(out_of_focus), face.mesh) < 0.25
    assert edge_slope(spoil(face.pixels), face.mesh) > 0.33


def test_a_step_is_sharp_and_an_even_picture_has_no_edge() -> None:
    face = portrait(HOPPER)
    flat = np.full_like(face.pixels, 120)
    assert edge_slope(flat, face.mesh) == 0.0
    stripes = flat.copy()
    stripes[:, np.arange(flat.shape[1]) // 20 % 2 == 0] = 40
    assert edge_slope(stripes, face.mesh) > 0.6


def test_darkening_lowers_exposure_and_fog_lowers_contrast() -> None:
    face = portrait(HOPPER)
    dimmed = [(face.pixels * share).astype(np.uint8) for share in (1.0, 0.4, 0.2, 0.1)]
    exposures = [components(face, pixels=pixels)["exposure"] for pixels in dimmed]
    assert exposures[0] == 100
    assert exposures[0] > exposures[1] > exposures[2] > exposures[3] == 0  # type: ignore[operator]
    fogged = [(160 + (face.pixels.astype(float) - 160) * share).astype(np.uint8) for share in (1.0, 0.3, 0.1)]
    contrasts = [components(face, pixels=pixels)["contrast"] for pixels in fogged]
    assert contrasts[0] > contrasts[1] > contrasts[2]  # type: ignore[operator]


def test_a_face_burnt_out_is_badly_exposed() -> None:
    face = portrait(HOPPER)
    burnt = (face.pixels.astype(int) * 3).clip(0, 255).astype(np.uint8)
    assert components(face, pixels=burnt)["exposure"] == 0


@pytest.mark.parametrize(
    ("component", "facts"),
    [
        ("pose_frontal", [FullFacts(yaw, 0, 220, 28) for yaw in (0, 12, -20, 30, -40)]),
        ("pose_frontal", [FullFacts(0, pitch, 220, 28) for pitch in (0, -12, 20, -30, 40)]),
        ("face_size", [FullFacts(0, 0, px, 28) for px in (300, 150, 90, 50, 20)]),
        ("iris_size", [FullFacts(0, 0, 220, px) for px in (28, 20, 15, 10, 7)]),
    ],
)
def test_turning_and_shrinking_cost_points(component: str, facts: list[FullFacts]) -> None:
    scores = [components(portrait(HOPPER), one)[component] for one in facts]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert scores[0] == 100
    assert scores[-1] == 0


def test_shut_eyes_an_open_mouth_and_a_laugh_cost_points() -> None:
    found = components(portrait(HOPPER), expression=Expression(0.0992, 0.3, 0.17, 0.7))
    calm = components(portrait(HOPPER), expression=Expression(0.3, 0.3, 0.02, 0.5))
    assert (calm["eyes_open"], calm["mouth_closed"], calm["expression_neutral"]) == (100, 100, 100)
    assert (found["eyes_open"], found["mouth_closed"], found["expression_neutral"]) == (12, 60, 50)
    assert found["iris_size"] is None


def test_what_is_hidden_is_not_assessed() -> None:
    behind_lenses, behind_mask = components(wearing("dark lenses", HOPPER)), components(wearing("FFP2, white", HOPPER))
    assert (behind_lenses["eyes_open"], behind_lenses["iris_size"]) == (None, None)
    assert behind_lenses["mouth_closed"] == 100
    assert (behind_mask["mouth_closed"], behind_mask["expression_neutral"]) == (None, None)
    assert (behind_mask["eyes_open"] or 0) > 90
    assert behind_mask["occlusion"] == 0


def test_the_margin_shrinks_with_the_frame() -> None:
    face = portrait(HOPPER)
    left, top = np.floor(face.mesh[:468, :2].min(axis=0)).astype(int)
    margins = []
    for room in (40, 20, 5, -10):
        cut = np.ascontiguousarray(face.pixels[top - room :, left - room :])
        moved = Seen(cut, face.mesh - np.array([left - room, top - room, 0]))
        margins.append(components(moved)["crop_margin"])
    assert margins == sorted(margins, reverse=True)  # type: ignore[type-var]
    assert margins[0] == 100
    assert margins[-1] == 0


@pytest.mark.parametrize("change", [mirrored, lambda face: scaled(face, 0.85), lambda face: scaled(face, 1.2)])
def test_mirror_and_small_scaling_hardly_matter(change: Callable[[Seen], Seen]) -> None:
    before, after = components(portrait(HOPPER)), components(change(portrait(HOPPER)))
    for name in COMPONENTS:
        assert after[name] == pytest.approx(before[name], abs=20), name


def test_a_brighter_or_darker_development_hardly_changes_sharpness() -> None:
    face = portrait(HOPPER)
    slopes = [edge_slope(gamma(exponent)(face.pixels), face.mesh) for exponent in (0.7, 1.0, 1.4)]
    assert slopes == pytest.approx([slopes[1]] * 3, abs=0.04)
