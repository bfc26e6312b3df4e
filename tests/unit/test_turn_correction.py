"""The correction for the turn of the head: its form, its bounds, where it is applied, and how it is set."""

from __future__ import annotations

from math import radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.turn_correction import (
    POSES_DEG,
    Pair,
    changes_of,
    compare_forms,
    fit,
    fit_sds,
    print_entries,
    remaining_of_others,
)
from bench.turned_widths import WIDTHS, TurnedView, TurnedWidth, deviation_sd
from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS
from shared.schemas import KnownPdKind
from shared.turn_correction import MAX_PITCH_DEG, MAX_YAW_DEG, TurnCorrection
from worker.measure.camera import Camera
from worker.measure.landmarks import MESH_POINTS
from worker.measure.metric import measure_mm
from worker.measure.pose import pose_of, rotation_of
from worker.measure.space import FaceInSpace, place_in_space

BY_KEY = {definition.key: definition for definition in DEFINITIONS}
CORRECTED = [definition for definition in DEFINITIONS if definition.turn is not None]
A_TURN = TurnCorrection(yaw=-0.1, pitch=0.2, yaw_and_pitch=0.4, yaw_sd=0.04, pitch_sd=0.03)

yaws = st.floats(-MAX_YAW_DEG, MAX_YAW_DEG)
pitches = st.floats(-MAX_PITCH_DEG, MAX_PITCH_DEG)
fractions = st.floats(-0.3, 0.3)
turns = st.builds(TurnCorrection, yaw=fractions, pitch=fractions, yaw_and_pitch=fractions)
every_corrected = pytest.mark.parametrize("definition", CORRECTED, ids=lambda definition: definition.key)


@pytest.mark.parametrize(
    ("yaw_deg", "pitch_deg", "factor", "sd"),
    [
        (0, 0, 1.0, 0.0),
        (30, 0, 1 - 0.1 / 4, 0.02),  # sin 30° = 1/2
        (-30, 0, 1 - 0.1 / 4, 0.02),
        (0, 20, 1 + 0.2 * 0.342020, 0.03 * 0.342020),
        (0, -20, 1 - 0.2 * 0.342020, 0.03 * 0.342020),
        (30, 20, 1 - 0.1 / 4 + 0.2 * 0.342020 + 0.4 / 4 * 0.342020, np.hypot(0.02, 0.03 * 0.342020)),
    ],
)
def test_it_is_this_polynomial_of_sines(yaw_deg: float, pitch_deg: float, factor: float, sd: float) -> None:
    assert A_TURN.factor(yaw_deg, pitch_deg) == pytest.approx(factor, abs=1e-6)
    assert A_TURN.remaining_sd(yaw_deg, pitch_deg) == pytest.approx(sd, abs=1e-6)


@given(turns)
def test_a_face_that_looks_into_the_lens_is_left_as_it_is(turn: TurnCorrection) -> None:
    assert turn.factor(0, 0) == 1.0
    assert turn.remaining_sd(0, 0) == 0.0


@given(turns, yaws, pitches)
def test_either_side_is_the_same(turn: TurnCorrection, yaw_deg: float, pitch_deg: float) -> None:
    assert turn.factor(yaw_deg, pitch_deg) == turn.factor(-yaw_deg, pitch_deg)
    assert turn.remaining_sd(yaw_deg, pitch_deg) == turn.remaining_sd(-yaw_deg, pitch_deg)


@given(turns, yaws, pitches, st.floats(-1, 1), st.floats(-1, 1))
def test_a_degree_more_is_never_a_step(
    turn: TurnCorrection, yaw_deg: float, pitch_deg: float, more_yaw: float, more_pitch: float
) -> None:
    change = turn.factor(yaw_deg + more_yaw, pitch_deg + more_pitch) - turn.factor(yaw_deg, pitch_deg)
    # No term is steeper than 0.3 · 1 per radian, three terms and the two angles of the last one.
    assert abs(change) <= 0.3 * radians(2 * abs(more_yaw) + 2 * abs(more_pitch)) + 1e-12


@given(turns, st.floats(-180, 180), st.floats(-180, 180))
def test_beyond_what_was_rendered_it_stays_what_it_was(turn: TurnCorrection, yaw_deg: float, pitch_deg: float) -> None:
    at_most = (np.clip(yaw_deg, -MAX_YAW_DEG, MAX_YAW_DEG), np.clip(pitch_deg, -MAX_PITCH_DEG, MAX_PITCH_DEG))
    assert turn.factor(yaw_deg, pitch_deg) == turn.factor(*at_most)
    assert abs(turn.factor(yaw_deg, pitch_deg) - 1) <= 0.3 * (0.42 + 0.35 + 0.42 * 0.35)


def test_every_width_has_one_and_monocular_pds_have_none() -> None:
    assert {definition.kind for definition in DEFINITIONS if definition.turn is None} == {Kind.TO_MIDLINE}
    assert BY_KEY["interpupillary_distance"].turn is BY_KEY["distance_pd"].turn  # the same two points
    assert BY_KEY["monocular_pd_left"].turn_factor(30, 10) == 1.0


@every_corrected
@given(yaws, pitches)
def test_none_of_the_registry_changes_a_width_by_more_than_a_seventh(
    definition: MeasurementDefinition, yaw_deg: float, pitch_deg: float
) -> None:
    assert 6 / 7 < definition.turn_factor(yaw_deg, pitch_deg) < 8 / 7


# Applied


def face(
    definition: MeasurementDefinition, yaw_deg: float, pitch_deg: float, beside_px: float = 0.0, sd: float = 0.0
) -> FaceInSpace:
    """Place the two points 200 px apart in the plane of the eyes, the rest between them; 1,000 px is the lens."""
    mesh = np.tile((beside_px, 0.0, 0.0), (MESH_POINTS, 1))
    mesh[list(definition.landmarks[:2])] += ((-100.0, 0.0, 0.0), (100.0, 0.0, 0.0))
    camera = Camera(1000.0, 0.0, (0.0, 0.0), "exif")
    return place_in_space(mesh, camera, pose_of(rotation_of(yaw_deg, pitch_deg, 0.0)), 0.5, sd)


@every_corrected
@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), [(0, 0), (25, 0), (-25, 0), (0, 15), (-20, -15), (60, 40)])
def test_millimetres_are_divided_by_it_and_carry_what_remains(
    definition: MeasurementDefinition, yaw_deg: float, pitch_deg: float
) -> None:
    assert definition.turn is not None
    straight, turned = (
        measure_mm(definition, face(definition, 0, 0)),
        measure_mm(definition, face(definition, yaw_deg, pitch_deg)),
    )
    assert turned.mm == pytest.approx(straight.mm / definition.turn.factor(yaw_deg, pitch_deg))
    share = np.hypot(straight.sd_mm / straight.mm, definition.turn.remaining_sd(yaw_deg, pitch_deg))
    assert turned.sd_mm == pytest.approx(turned.mm * share)


def test_what_counts_is_the_turn_away_from_the_camera_and_not_from_its_axis() -> None:
    """A face 45° beside the axis that is turned by those 45° looks past the camera no more than one before it."""
    definition = BY_KEY["face_length"]
    aside = face(definition, -45, 0, beside_px=1000.0)
    assert aside.turned.yaw_deg == pytest.approx(0, abs=0.1)
    along_axis = face(definition, 0, 0, beside_px=1000.0)
    assert abs(along_axis.turned.yaw_deg) == pytest.approx(45, abs=0.1)
    ratio = measure_mm(definition, along_axis).mm / measure_mm(definition, aside).mm
    assert ratio == pytest.approx(1 / definition.turn_factor(MAX_YAW_DEG, 0), rel=1e-3)


@pytest.mark.parametrize("key", ["interpupillary_distance", "distance_pd"])
def test_a_pd_that_was_given_is_given_back(key: str) -> None:
    definition = BY_KEY[key]
    straight, turned = face(definition, 0, 0, sd=0.01), face(definition, 30, 20, sd=0.01)
    kind = KnownPdKind.DISTANCE
    assert measure_mm(definition, turned, given=kind) == measure_mm(definition, straight, given=kind)


# Set


def seen(yaw_deg: float, pitch_deg: float, mm: float) -> TurnedView:
    width = TurnedWidth(mm=mm, factor=1.0, turn_sd=0.0, points_sd=0.005)
    return TurnedView(yaw_deg, pitch_deg, {definition.key: width for definition in WIDTHS})


def pairs(turn: TurnCorrection, people: int = 8) -> list[Pair]:
    """Turn heads that the mesh misreads as told, half of the people by one SD more and half by one less."""
    draw = np.random.default_rng(1).normal
    made = []
    for person in range(people):
        own_yaw, own_pitch = turn.yaw_sd * (-1) ** person, turn.pitch_sd * (-1) ** (person // 2)
        straight = seen(0, -4, 100 * turn.factor(0, -4))
        for yaw_deg, pitch_deg in POSES_DEG:
            own = own_yaw * abs(sin(radians(yaw_deg))) + own_pitch * sin(radians(pitch_deg)) + draw(0, 0.005)
            turned = seen(yaw_deg, pitch_deg, 100 * turn.factor(yaw_deg, pitch_deg) * (1 + own))
            made.append(Pair(str(person), (yaw_deg, pitch_deg), turned, straight))
    return made


NAMES = ("yaw", "pitch", "yaw_and_pitch")


def test_the_fit_finds_what_was_put_in() -> None:
    changes = changes_of(pairs(A_TURN, people=40), "face_width")
    found = fit(changes, NAMES, np.full(len(changes.ratio), True))
    assert found == pytest.approx({"yaw": -0.1, "pitch": 0.2, "yaw_and_pitch": 0.4}, abs=0.03)
    yaw_sd, pitch_sd = fit_sds(changes, NAMES)
    assert yaw_sd == pytest.approx(0.04, rel=0.3)
    assert pitch_sd == pytest.approx(0.03, rel=0.3)


def test_terms_that_people_do_not_share_are_left_out() -> None:
    changes = changes_of(pairs(TurnCorrection(pitch=0.2, yaw_sd=0.06)), "face_width")
    assert list(fit(changes, NAMES, np.full(len(changes.ratio), True))) == ["pitch"]
    nothing = changes_of(pairs(TurnCorrection(yaw_sd=0.06, pitch_sd=0.06)), "face_width")
    assert fit(nothing, NAMES, np.full(len(nothing.ratio), True)) == {}


def test_nobody_is_judged_by_a_fit_to_themselves() -> None:
    """One person who is misread and seven who are not: the seven's fit leaves that person as it was."""
    odd = [pair for pair in pairs(A_TURN) if pair.person == "0"]
    others = [pair for pair in pairs(TurnCorrection()) if pair.person != "0"]
    changes = changes_of([*odd, *others], "face_width")
    remaining = remaining_of_others(changes, NAMES)[changes.people == "0"]
    own = changes.ratio[changes.people == "0"] - 1
    assert remaining == pytest.approx(own, abs=0.01)


def test_the_tables_name_every_form_and_every_width(capsys: pytest.CaptureFixture[str]) -> None:
    widths = {definition.key: changes_of(pairs(A_TURN, people=4), definition.key) for definition in WIDTHS}
    compare_forms(widths)
    print_entries(widths)
    printed = capsys.readouterr().out
    assert printed.count("pitch 20 ") == 4
    assert all(f"{definition.key}: TurnCorrection(" in printed for definition in WIDTHS)


def test_what_both_views_share_is_in_neither_s_sd() -> None:
    """√(3² + 2² + 6² + 0²) = 7."""
    turned = TurnedWidth(mm=100.0, factor=1.1, turn_sd=0.03, points_sd=0.02)
    straight = TurnedWidth(mm=99.0, factor=1.0, turn_sd=0.0, points_sd=0.06)
    assert deviation_sd(turned, straight) == pytest.approx(0.07)
    assert turned.uncorrected_mm == pytest.approx(110)
