"""Every reason, reached by a real picture, and the ladder from `ok` down by plain facts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.geometry import iris_mm_per_px
from bench.renders import lift, render
from shared.measurement_definition import MeasurementDefinition
from shared.measurements import DEFINITIONS
from shared.results import MeasurementStatus
from shared.schemas import KnownPdKind
from tests.composites import blurred
from tests.unit.portraits import COLLINS, HOPPER, Seen, mirrored, portrait, scaled, seen, wearing
from worker.measure.camera import Camera, camera_of_photo
from worker.measure.expression import read_expression
from worker.measure.geometry import outer_eye_distance_px, points_outside
from worker.measure.iris import iris_ruler
from worker.measure.occlusion import find_occlusion
from worker.measure.pose import estimate_pose
from worker.measure.quality import edge_slope
from worker.measure.retake import retake_hints
from worker.measure.rulers import FaceFacts as RulerFacts
from worker.measure.rulers import known_pd_ruler
from worker.measure.scale import choose_scale
from worker.measure.space import mesh_in_space
from worker.measure.verdicts import FaceFacts, judge

OK, UNRELIABLE, NOT_MEASURABLE = MeasurementStatus.OK, MeasurementStatus.UNRELIABLE, MeasurementStatus.NOT_MEASURABLE
BY_KEY = {definition.key: definition for definition in DEFINITIONS}
GOOD = FaceFacts(distance_mm=600, scale_status=OK)
EYES = ("eye_gap", "interpupillary_distance", "distance_pd", "monocular_pd_right", "biocular_width")
LOWER_FACE = ("chin_width", "jaw_width", "face_length", "mouth_width")

every_measurement = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.key)


def facts_of(face: Seen, camera: Camera | None = None, known_pd_mm: float | None = None) -> FaceFacts:
    """Gather the facts of a picture as the service does."""
    height, width = face.pixels.shape[:2]
    camera = camera or camera_of_photo(width, height, None)
    pose, expression = estimate_pose(face.mesh, camera), read_expression(face.mesh)
    occlusion = find_occlusion(face.pixels, face.mesh)
    mesh = mesh_in_space(face.mesh, camera)
    shut, framed = not expression.eyes_open, occlusion.eyewear.glasses >= 0.5
    ruled = RulerFacts(face.mesh, mesh.points_px[:, 2], camera, pose.yaw_deg, eyes_closed=shut, glasses=framed)
    rulers = [iris_ruler(ruled)]
    if known_pd_mm is not None:
        rulers.append(known_pd_ruler(ruled, known_pd_mm, KnownPdKind.DISTANCE))
    scale, why_not = choose_scale(rulers, camera)
    return FaceFacts(
        yaw_deg=pose.yaw_deg,
        pitch_deg=pose.pitch_deg,
        distance_mm=scale.distance_mm if scale else None,
        scale_status=scale.status if scale else None,
        scale_reasons=scale.reasons if scale else why_not,
        eyes_open=expression.eyes_open,
        mouth_open=expression.mouth_open,
        smiling=expression.smiling,
        forehead_covered=occlusion.forehead,
        nose_covered=occlusion.nose,
        mouth_covered=occlusion.mouth,
        chin_covered=occlusion.chin,
        glasses=occlusion.eyewear.glasses,
        sunglasses=occlusion.eyewear.sunglasses,
        edge_slope=edge_slope(face.pixels, face.mesh),
        outer_eye_distance_px=outer_eye_distance_px(face.mesh),
        outside=points_outside(face.mesh[:, :2], width, height),
    )


def verdict(key: str, facts: FaceFacts) -> tuple[MeasurementStatus, list[str]]:
    return judge(BY_KEY[key], facts)


@cache
def turned(yaw_deg: float, distance_mm: float) -> tuple[Seen, Camera]:
    bare = portrait(HOPPER)
    view = render(
        lift(bare.pixels, bare.mesh, iris_mm_per_px(bare.mesh)), distance_mm, (yaw_deg, 0.0, 0.0), size_px=640
    )
    return seen(view.pixels), view.camera


# Reached by pictures


@pytest.mark.parametrize("kind", ["surgical, blue", "cloth, own skin", "FFP2, black", "hand on the mouth"])
def test_a_masked_face_keeps_its_eyes_and_loses_mouth_and_chin(kind: str) -> None:
    facts = replace(facts_of(wearing(kind, COLLINS)), scale_status=OK, scale_reasons=())
    for key in EYES:
        assert verdict(key, facts) == (OK, [])
    for key in LOWER_FACE:
        status, reasons = verdict(key, facts)
        assert status is not OK
        assert reasons[0] == ("mouth_covered" if key == "mouth_width" else "chin_covered")


def test_a_mask_over_the_nose_a_cap_and_a_beard() -> None:
    assert "nose_covered" in verdict("nose_breadth", facts_of(wearing("FFP2, white", HOPPER)))[1]
    assert "forehead_covered" in verdict("forehead_width", facts_of(portrait(HOPPER)))[1]
    bearded = facts_of(wearing("full beard", HOPPER))
    assert "chin_covered" in verdict("jaw_width", bearded)[1]
    assert "mouth_covered" not in verdict("mouth_width", bearded)[1]


def test_glasses_make_the_eyes_unreliable_and_sunglasses_hide_them() -> None:
    glasses, dark = facts_of(portrait(HOPPER)), facts_of(wearing("dark lenses", HOPPER))
    for key in EYES:
        status, reasons = verdict(key, glasses)
        assert (status, "glasses" in reasons) == (UNRELIABLE, True)
        status, reasons = verdict(key, dark)
        assert (status, "glasses" in reasons) == (NOT_MEASURABLE, True)


def test_shut_eyes_have_no_pupils_and_give_no_iris_scale() -> None:
    facts = replace(facts_of(scaled(wearing("eyes shut", COLLINS), 1.5)), pitch_deg=0)  # she bows her head, too
    assert facts.scale_status is None
    assert facts.scale_reasons == ("eyes_closed",)
    assert verdict("jaw_width", facts) == (NOT_MEASURABLE, ["mouth_open", "expression", "eyes_closed"])
    known = replace(facts, scale_status=OK, scale_reasons=())
    assert verdict("interpupillary_distance", known) == (NOT_MEASURABLE, ["eyes_closed"])
    assert verdict("biocular_width", known) == (UNRELIABLE, ["eyes_closed"])
    assert verdict("face_width", known) == (OK, [])


def test_a_laugh_spoils_the_lower_face_and_nothing_else() -> None:
    facts = replace(facts_of(portrait(COLLINS)), scale_status=OK, scale_reasons=(), pitch_deg=0)
    assert verdict("mouth_width", facts) == (UNRELIABLE, ["mouth_open", "expression"])
    assert verdict("nose_breadth", facts) == (UNRELIABLE, ["expression"])
    assert verdict("face_width", facts) == (OK, [])


def test_a_small_a_blurred_and_a_cut_off_face() -> None:
    small = facts_of(scaled(portrait(COLLINS), 0.7))
    assert "face_too_small" in verdict("face_width", small)[1]
    out_of_focus = facts_of(seen(blurred(4.5)(portrait(HOPPER).pixels)))
    assert "blurred" in verdict("face_width", out_of_focus)[1]
    face = portrait(HOPPER)
    chin = int(face.mesh[176, 1])
    cut = facts_of(seen(face.pixels[: chin - 4]))
    assert verdict("face_length", cut)[0] is NOT_MEASURABLE
    assert "cropped" in verdict("face_length", cut)[1]
    assert "cropped" not in verdict("biocular_width", cut)[1]


@pytest.mark.parametrize(("yaw_deg", "widths", "monocular"), [(0, OK, OK), (27, UNRELIABLE, NOT_MEASURABLE)])
def test_a_turned_head(yaw_deg: float, widths: MeasurementStatus, monocular: MeasurementStatus) -> None:
    face, camera = turned(yaw_deg, 600)
    facts = replace(facts_of(face, camera), scale_status=OK, scale_reasons=(), glasses=0.0)
    assert verdict("face_width", facts) == (widths, [] if widths is OK else ["head_turned"])
    assert verdict("monocular_pd_left", facts)[0] is monocular


def test_a_face_too_close() -> None:
    face, camera = turned(0, 180)
    facts = facts_of(face, camera)
    assert facts.distance_mm == pytest.approx(180, rel=0.1)
    assert "too_close" in verdict("face_width", facts)[1]


def test_a_known_distance_that_the_iris_belies_makes_the_scale_uncertain() -> None:
    facts = facts_of(portrait(COLLINS), known_pd_mm=42)
    assert facts.scale_reasons == ("scale_uncertain",)
    assert verdict("temple_width", facts)[0] is not OK
    assert "scale_uncertain" in verdict("face_width", facts)[1]


@pytest.mark.parametrize("name", [COLLINS, HOPPER])
def test_the_mirror_changes_no_verdict(name: str) -> None:
    enlarged = scaled(portrait(name), 1.5)
    face, mirror = facts_of(enlarged), facts_of(mirrored(enlarged))
    swap = {"monocular_pd_right": "monocular_pd_left", "monocular_pd_left": "monocular_pd_right"}
    for key in BY_KEY:
        assert verdict(swap.get(key, key), mirror) == verdict(key, face)


# By plain facts


@every_measurement
def test_nothing_amiss_is_ok_and_no_scale_is_not_measurable(definition: MeasurementDefinition) -> None:
    assert judge(definition, GOOD) == (OK, [])
    without = replace(GOOD, scale_status=None, scale_reasons=("face_too_small",), distance_mm=None)
    assert judge(definition, without) == (NOT_MEASURABLE, ["face_too_small"])
    assert judge(definition, replace(GOOD, scale_status=UNRELIABLE, scale_reasons=("glasses",))) == (
        UNRELIABLE,
        ["glasses"],
    )


@pytest.mark.parametrize(
    ("key", "facts", "status"),
    [
        ("face_width", replace(GOOD, yaw_deg=19), OK),
        ("face_width", replace(GOOD, yaw_deg=-21), UNRELIABLE),
        ("face_width", replace(GOOD, yaw_deg=41), NOT_MEASURABLE),
        ("biocular_width", replace(GOOD, yaw_deg=16), OK),
        ("monocular_pd_right", replace(GOOD, yaw_deg=9), UNRELIABLE),
        ("monocular_pd_right", replace(GOOD, yaw_deg=-16), NOT_MEASURABLE),
        ("face_length", replace(GOOD, pitch_deg=16), UNRELIABLE),
        ("face_length", replace(GOOD, pitch_deg=-26), NOT_MEASURABLE),
        ("face_length", replace(GOOD, yaw_deg=20), OK),
        ("jaw_width", replace(GOOD, pitch_deg=13), OK),
        ("face_width", replace(GOOD, distance_mm=200), UNRELIABLE),
        ("eye_gap", replace(GOOD, distance_mm=200), OK),
        ("chin_width", replace(GOOD, chin_covered=0.5), UNRELIABLE),
        ("chin_width", replace(GOOD, chin_covered=0.9), NOT_MEASURABLE),
        ("forehead_width", replace(GOOD, chin_covered=0.9), OK),
        ("mouth_width", replace(GOOD, outer_eye_distance_px=50), UNRELIABLE),
        ("mouth_width", replace(GOOD, outer_eye_distance_px=25), NOT_MEASURABLE),
        ("face_width", replace(GOOD, edge_slope=0.15), UNRELIABLE),
        ("face_width", replace(GOOD, edge_slope=0.05), NOT_MEASURABLE),
        ("chin_width", replace(GOOD, outside=frozenset({400})), NOT_MEASURABLE),
        ("jaw_width", replace(GOOD, outside=frozenset({400})), OK),
    ],
)
def test_the_ladder(key: str, facts: FaceFacts, status: MeasurementStatus) -> None:
    assert verdict(key, facts)[0] is status


@given(st.floats(0, 60), st.floats(0, 60), st.sampled_from(DEFINITIONS))
def test_turning_further_never_improves_a_verdict(less: float, more: float, definition: MeasurementDefinition) -> None:
    ladder = [OK, UNRELIABLE, NOT_MEASURABLE]
    near, far = sorted((less, more))
    angles = (near, far, -far)
    for turns in ([replace(GOOD, yaw_deg=one) for one in angles], [replace(GOOD, pitch_deg=one) for one in angles]):
        statuses = [ladder.index(judge(definition, facts)[0]) for facts in turns]
        assert statuses[0] <= statuses[1] == statuses[2]


def test_points_outside_are_told_by_half_a_pixel() -> None:
    places = np.array([[0, 0], [-0.5, 5], [-0.6, 5], [9.5, 5], [9.6, 5], [5, 20.0]])
    assert points_outside(places, 10, 20) == {2, 4, 5}


REASONS = (
    "cropped",
    "face_too_small",
    "mouth_covered",
    "chin_covered",
    "nose_covered",
    "forehead_covered",
    "glasses",
    "eyes_closed",
    "head_turned",
    "too_close",
    "blurred",
    "mouth_open",
    "expression",
    "scale_uncertain",
)


def test_each_reason_has_one_hint_and_the_important_come_first() -> None:
    for reason in REASONS:
        hints = retake_hints([reason, reason])
        assert [hint.code for hint in hints] == [reason]
        assert hints[0].message.endswith(".")
    codes = [hint.code for hint in retake_hints(reversed(REASONS))]
    assert codes.index("cropped") < codes.index("glasses") < codes.index("expression") < codes.index("scale_uncertain")
    assert "chin_covered" not in codes  # one mask, one sentence
    assert retake_hints([]) == []


def test_poor_light_is_advised_upon_though_it_is_no_reason() -> None:
    assert [hint.code for hint in retake_hints([], {"exposure": 20, "contrast": None})] == ["exposure"]
    assert retake_hints([], {"exposure": 0})[0].code == "exposure"
    assert retake_hints([], {"exposure": 90}) == retake_hints([], {"exposure": None}) == []
