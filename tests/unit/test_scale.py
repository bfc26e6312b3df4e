from __future__ import annotations

from dataclasses import asdict, replace
from itertools import permutations
from math import hypot

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import results
from shared.results import MeasurementStatus
from shared.schemas import KnownPdKind, ReferencePlacement
from worker.measure.camera import Camera
from worker.measure.rulers import FaceFacts, Refusal, Ruler, known_pd_ruler, reference_ruler, with_lens
from worker.measure.scale import choose_scale

CAMERA = Camera(focal_px=1000.0, focal_sd_px=300.0, centre_px=(500.0, 400.0), source="assumed")
SURE = replace(CAMERA, focal_sd_px=0.0)
FOREHEAD, LIP = (10, 151, 9), (0, 164, 2)
MESH_OVER_HAND = 1.003


def face_at(
    distance_mm: float,
    pupils_mm: float,
    *,
    yaw_deg: float = 0.0,
    camera: Camera = CAMERA,
    beside_mm: tuple[float, float] = (20.0, -35.0),
) -> FaceFacts:
    """The pupils as a pinhole sees them: so far apart, in a plane so far away, turned around their middle."""
    s = distance_mm / camera.focal_px
    yaw = np.deg2rad(yaw_deg)
    mesh, depth = np.zeros((478, 3)), np.zeros(478)
    for point, side in ((468, -0.5), (473, 0.5)):
        across_mm, behind_mm = side * pupils_mm * np.cos(yaw) + beside_mm[0], side * pupils_mm * np.sin(yaw)
        at = camera.focal_px * np.array([across_mm, beside_mm[1]]) / (distance_mm + behind_mm)
        mesh[point, :2] = at + camera.centre_px
        depth[point] = behind_mm / s
    return FaceFacts(mesh, depth, camera, yaw_deg)


def known(face: FaceFacts, pd_mm: float, kind: KnownPdKind = KnownPdKind.DISTANCE) -> Ruler:
    ruler = known_pd_ruler(face, pd_mm, kind)
    assert isinstance(ruler, Ruler)
    return ruler


@given(st.floats(150, 3000), st.floats(50, 75), st.floats(-35, 35))
def test_every_kind_of_pd_gives_the_scale_back(distance_mm: float, far_mm: float, yaw_deg: float) -> None:
    sight_mm = np.hypot(distance_mm, np.hypot(20.0, 35.0))
    seen_mm = far_mm * (sight_mm - 10.5) / sight_mm
    face = face_at(distance_mm, seen_mm * MESH_OVER_HAND, yaw_deg=yaw_deg)
    near_mm = far_mm * 400 / (400 + 27)  # in the plane of the lenses
    for pd_mm, kind in (
        (far_mm, KnownPdKind.DISTANCE),
        (near_mm, KnownPdKind.NEAR),
        (seen_mm, KnownPdKind.AS_PHOTOGRAPHED),
    ):
        assert known(face, pd_mm, kind).mm_per_px == pytest.approx(distance_mm / 1000, rel=1e-9)


def test_convergence_is_worth_a_fortieth_at_40_cm() -> None:
    face = face_at(400.0, 62.0)
    far, seen = known(face, 63.0), known(face, 63.0, KnownPdKind.AS_PHOTOGRAPHED)
    assert far.mm_per_px / seen.mm_per_px == pytest.approx(1 - 10.5 / 400, abs=0.001)


@given(st.floats(0.1, 20), st.floats(200, 2000))
def test_twice_the_pixels_are_half_the_scale(zoom: float, distance_mm: float) -> None:
    face = face_at(distance_mm, 62.0)
    camera = Camera(CAMERA.focal_px * zoom, CAMERA.focal_sd_px * zoom, (500 * zoom, 400 * zoom), "assumed")
    zoomed = FaceFacts(face.landmarks * zoom, face.depth_px * zoom, camera, 0.0)
    before, after = known(face, 63.0), known(zoomed, 63.0)
    assert after.mm_per_px * zoom == pytest.approx(before.mm_per_px)
    assert after.sd * zoom == pytest.approx(before.sd)


def test_the_sd_of_a_pd_grows_with_yaw_and_with_what_is_assumed() -> None:
    seen = known(face_at(400.0, 62.0), 63.0, KnownPdKind.AS_PHOTOGRAPHED)
    assert seen.sd / seen.mm_per_px == pytest.approx(hypot(0.7 / 63, 0.008), abs=1e-9)
    far, turned = known(face_at(400.0, 62.0), 63.0), known(face_at(400.0, 62.0, yaw_deg=20.0), 63.0)
    assert seen.sd / seen.mm_per_px < far.sd / far.mm_per_px < turned.sd / turned.mm_per_px
    assert turned.sd / turned.mm_per_px == pytest.approx(0.030, abs=0.001)


@pytest.mark.parametrize(
    ("yaw_deg", "reasons"), [(25.0, ()), (-25.0, ()), (25.1, ("head_turned",)), (-35.0, ("head_turned",))]
)
def test_a_turned_head_makes_a_pd_unreliable(yaw_deg: float, reasons: tuple[str, ...]) -> None:
    ruler = known(face_at(600.0, 62.0, yaw_deg=yaw_deg), 63.0)
    assert ruler.reasons == reasons
    assert ruler.status == (MeasurementStatus.UNRELIABLE if reasons else MeasurementStatus.OK)


def test_when_a_pd_is_refused() -> None:
    assert known_pd_ruler(face_at(600.0, 62.0, yaw_deg=35.1), 63.0, KnownPdKind.NEAR) == Refusal(
        "known_pd", ("head_turned",)
    )
    assert known_pd_ruler(face_at(30.0, 62.0, beside_mm=(0, 0)), 63.0, KnownPdKind.DISTANCE) == Refusal(
        "known_pd", ("too_close",)
    )
    with pytest.raises(ValueError, match="positive"):
        known_pd_ruler(face_at(600.0, 62.0), 0.0, KnownPdKind.DISTANCE)


def test_closed_eyes_make_a_pd_unreliable() -> None:
    ruler = known(replace(face_at(600.0, 62.0), eyes_closed=True), 63.0)
    assert (ruler.status, ruler.reasons) == (MeasurementStatus.UNRELIABLE, ("eyes_closed",))


def face_with_skin(distance_mm: float, forehead_mm: float, lip_mm: float, camera: Camera = CAMERA) -> FaceFacts:
    """Forehead and upper lip so far in front of the eyes."""
    face = face_at(distance_mm, 62.0, camera=camera)
    for points, in_front_mm in ((FOREHEAD, forehead_mm), (LIP, lip_mm)):
        face.depth_px[list(points)] = -in_front_mm * camera.focal_px / distance_mm
    return face


@given(st.floats(200, 3000), st.floats(-20, 40), st.floats(-20, 40))
def test_an_object_is_taken_back_to_the_eyes(distance_mm: float, forehead_mm: float, lip_mm: float) -> None:
    face = face_with_skin(distance_mm, forehead_mm, lip_mm)
    for placement, in_front_mm in (
        (ReferencePlacement.FOREHEAD, forehead_mm),
        (ReferencePlacement.UPPER_LIP, lip_mm),
        (None, (forehead_mm + lip_mm) / 2),
    ):
        at_object = (distance_mm - in_front_mm) / CAMERA.focal_px
        ruler = reference_ruler(face, at_object, 0.001, placement)
        assert ruler.mm_per_px == pytest.approx(distance_mm / CAMERA.focal_px)
        assert ruler.mm_per_px == pytest.approx(at_object + in_front_mm / CAMERA.focal_px)


def test_an_object_held_somewhere_is_unreliable_by_5_per_cent_at_40_cm() -> None:
    face = face_with_skin(400.0, 12.0, 24.0, SURE)
    ruler = reference_ruler(face, 0.38, 0.0, None)
    assert (ruler.status, ruler.reasons) == (MeasurementStatus.UNRELIABLE, ("scale_uncertain",))
    assert ruler.sd / ruler.mm_per_px == pytest.approx(0.05, abs=0.001)
    placed = reference_ruler(face, 0.38, 0.0, ReferencePlacement.FOREHEAD)
    assert (placed.status, placed.reasons) == (MeasurementStatus.OK, ())
    assert placed.sd / placed.mm_per_px == pytest.approx(0.0178, abs=0.001)


def test_the_sd_of_an_object_holds_its_reading() -> None:
    face = face_with_skin(400.0, 24.0, 24.0, SURE)
    ruler = reference_ruler(face, 0.376, 0.002, ReferencePlacement.UPPER_LIP)
    assert ruler.sd == pytest.approx(hypot(0.002 * 0.4 / 0.376, 0.007))


@given(st.floats(-0.5, 0.5), st.floats(0, 0.5))
def test_what_the_lens_does_is_in_the_sd_and_said_with_its_sign(slope: float, focal_sd: float) -> None:
    camera = replace(CAMERA, focal_sd_px=focal_sd * CAMERA.focal_px)
    face, longer = (face_at(400.0, 62.0, camera=replace(camera, focal_px=focal_px)) for focal_px in (1000.0, 1010.0))
    ruler = with_lens(lambda one: replace(IRIS, mm_per_px=0.52 * (one.camera.focal_px / 1000) ** slope), face, longer)
    assert isinstance(ruler, Ruler)
    assert ruler.focal_slope == pytest.approx(slope, abs=1e-9)
    assert ruler.sd == pytest.approx(hypot(IRIS.sd, 0.52 * slope * focal_sd))


def test_a_ruler_that_is_refused_with_either_lens_has_no_slope() -> None:
    face, refusal = face_at(400.0, 62.0), Refusal("iris", ("eyes_closed",))
    assert with_lens(lambda _: refusal, face, face) == refusal


def test_beside_the_axis_the_eyes_are_farther_than_their_plane() -> None:
    ahead, aside = choose_scale([IRIS], CAMERA)[0], choose_scale([IRIS], CAMERA, (0.6, -0.8))[0]
    assert ahead is not None
    assert aside is not None
    assert aside.distance_mm == pytest.approx(ahead.distance_mm * 2**0.5)
    # With a longer lens the plane of the eyes is farther, and they are less beside the axis: half of it at 45 degrees.
    assert aside.distance_sd_mm / aside.distance_mm == pytest.approx(hypot(IRIS.sd / IRIS.mm_per_px, 0.5 * 0.3))


def test_an_object_of_no_size_or_at_the_lens_is_an_error() -> None:
    with pytest.raises(ValueError, match="no object"):
        reference_ruler(face_with_skin(400.0, 12.0, 24.0), 0.0, 0.0, None)
    with pytest.raises(ValueError, match="no object"):
        reference_ruler(face_with_skin(400.0, 400.0, 400.0), 0.4, 0.0, None)


CARD = Ruler("reference_object", 0.500, 0.006)
PD = Ruler("known_pd", 0.505, 0.008)
IRIS = Ruler("iris", 0.520, 0.022)


@pytest.mark.parametrize("rulers", list(permutations((CARD, PD, IRIS))))
def test_the_most_trusted_ruler_is_chosen_and_checked_against_the_next(rulers: tuple[Ruler, ...]) -> None:
    scale, reasons = choose_scale(rulers, CAMERA)
    assert scale is not None
    assert (scale.source, scale.mm_per_px, scale.sd, scale.status, scale.reasons) == (
        "reference_object",
        0.5,
        0.006,
        MeasurementStatus.OK,
        (),
    )
    assert reasons == ()
    assert scale.agreement is not None
    assert (scale.agreement.source, scale.agreement.agrees) == ("known_pd", True)
    assert scale.agreement.difference_sd == pytest.approx(0.5)


@pytest.mark.parametrize("chosen_mm", [0.44, 0.60])
def test_rulers_that_disagree_either_way_make_the_scale_unreliable(chosen_mm: float) -> None:
    scale, _ = choose_scale([replace(PD, mm_per_px=chosen_mm), IRIS], CAMERA)
    assert scale is not None
    assert (scale.mm_per_px, scale.status, scale.reasons) == (
        chosen_mm,
        MeasurementStatus.UNRELIABLE,
        ("scale_uncertain",),
    )
    assert scale.agreement is not None
    assert not scale.agreement.agrees
    assert scale.agreement.difference_sd == pytest.approx(0.08 / hypot(0.008, 0.022))


def test_two_sds_are_still_agreement() -> None:
    sd_of_difference = hypot(0.006, 0.008)
    for difference_sd, agrees in ((1.99, True), (2.01, False)):
        scale, _ = choose_scale([CARD, replace(PD, mm_per_px=0.5 + difference_sd * sd_of_difference)], CAMERA)
        assert scale is not None
        assert scale.agreement is not None
        assert scale.agreement.agrees is agrees


def test_a_refused_ruler_checks_nothing() -> None:
    scale, reasons = choose_scale([PD, Refusal("iris", ("eyes_closed",))], CAMERA)
    assert scale is not None
    assert (scale.source, scale.agreement, scale.status, reasons) == ("known_pd", None, MeasurementStatus.OK, ())


def test_without_a_ruler_there_are_reasons() -> None:
    refused = [Refusal("known_pd", ("head_turned",)), Refusal("iris", ("eyes_closed", "head_turned"))]
    assert choose_scale(refused, CAMERA) == (None, ("head_turned", "eyes_closed"))
    assert choose_scale([], CAMERA) == (None, ())


def test_the_doubts_of_the_ruler_stay() -> None:
    doubted = replace(IRIS, status=MeasurementStatus.UNRELIABLE, reasons=("glasses",))
    scale, _ = choose_scale([doubted], CAMERA)
    assert scale is not None
    assert (scale.status, scale.reasons) == (MeasurementStatus.UNRELIABLE, ("glasses",))


def test_the_distance_follows_from_the_focal_length_and_is_as_uncertain() -> None:
    scale, _ = choose_scale([IRIS], CAMERA)
    assert scale is not None
    assert scale.distance_mm == pytest.approx(520.0)
    assert scale.distance_sd_mm == pytest.approx(520 * hypot(0.022 / 0.52, 0.3))


def test_it_fits_the_schema() -> None:
    scale, _ = choose_scale([CARD, IRIS], CAMERA)
    assert scale is not None
    said = {name: value for name, value in asdict(scale).items() if name != "focal_slope"}
    shown = results.Scale.model_validate({**said, "reasons": list(scale.reasons)})
    assert shown.agreement is not None
    assert shown.agreement.source == "iris"
    assert shown.source == "reference_object"


def test_a_ruler_that_is_ok_goes_before_a_more_trusted_one_that_is_not() -> None:
    card = Ruler("reference_object", 0.30, 0.015, MeasurementStatus.UNRELIABLE, ("scale_uncertain",))
    pd = Ruler("known_pd", 0.31, 0.005)
    scale, _ = choose_scale([card, pd], CAMERA)
    assert scale is not None
    assert (scale.source, scale.status) == ("known_pd", MeasurementStatus.OK)
    assert scale.agreement is not None
    assert scale.agreement.source == "reference_object"
