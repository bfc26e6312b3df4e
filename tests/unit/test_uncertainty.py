"""Every standard deviation against a simulation that knows the same unknowns and nothing of the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.measurement_definition import MeasurementDefinition
from shared.measurements import DEFINITIONS
from shared.mesh_depth import DEPTH_GAIN, PERSPECTIVE_SHARE
from shared.schemas import KnownPdKind, ReferencePlacement
from tests.drawn_mesh import drawn_mesh
from worker.measure.camera import Camera
from worker.measure.iris import iris_ruler
from worker.measure.landmarks import MESH_POINTS
from worker.measure.mean_face import mean_face
from worker.measure.metric import measure_mm
from worker.measure.planar import doubt_of_scale, rectangle_corners_mm, scale_of_rectangle
from worker.measure.pose import YAW_SD_DEG, pose_of, rotation_of
from worker.measure.rulers import FaceFacts, Refusal, Ruler, known_pd_ruler, reference_ruler, with_lens
from worker.measure.space import FaceInSpace, Length, at_scale, mesh_in_space, place_in_space, with_longer_lens
from worker.measure.uncertainty import (
    DEPTH_GAIN_SD_FRACTION,
    PERSPECTIVE_SD_FRACTION,
    off_axis_term_mm,
    root_sum_of_squares,
)

Values = NDArray[np.float64]

DRAWS = 200_000
TOLERANCE = 0.04
"""First order against all orders, at the widest of these: a 30 % focal length."""
FOCAL_PX, SCALE, SCALE_SD = 1000.0, 0.4, 0.018
BY_KEY = {definition.key: definition for definition in DEFINITIONS}


def face_with(camera: Camera, pose_deg: tuple[float, float, float], **at: tuple[float, float, float]) -> FaceInSpace:
    """Place a mesh of a few points whose centre is on the axis, the others being there already."""
    mesh = np.zeros((MESH_POINTS, 3))
    for name, position in at.items():
        mesh[int(name.removeprefix("p"))] = position
    return place_in_space(mesh, camera, pose_of(rotation_of(*pose_deg)), SCALE, SCALE_SD)


def camera(sd_fraction: float) -> Camera:
    return Camera(FOCAL_PX, sd_fraction * FOCAL_PX, (0.0, 0.0), "assumed")


class Unknowns:
    """Draws of everything that is not known exactly."""

    def __init__(self, focal_sd_fraction: float, definition: MeasurementDefinition) -> None:
        draw = np.random.default_rng(1).normal
        self.scale: Values = draw(SCALE, SCALE_SD, DRAWS)
        # What is unsure is how much nearer the camera is than infinitely far: 1/f.
        self.per_focal: Values = draw(1, focal_sd_fraction, DRAWS) / FOCAL_PX
        self.share: Values = draw(1, PERSPECTIVE_SD_FRACTION, DRAWS) * PERSPECTIVE_SHARE
        self.gain: Values = draw(1, DEPTH_GAIN_SD_FRACTION, DRAWS)
        self.jitter: Values = draw(1, definition.repeatability.high, DRAWS)
        self.definition: Values = draw(1, definition.definition_sd, DRAWS)
        self.yaw_rad: Values = draw(0, np.radians(YAW_SD_DEG), DRAWS)

    def place(self, x: float, y: float, z: float, *, gain_is_known: bool = False) -> Values:
        """Back-project one point, shape (3, DRAWS)."""
        behind = self.scale * DEPTH_GAIN * z
        here = self.scale + self.share * behind * self.per_focal
        return np.stack((x * here, y * here, behind * (1 if gain_is_known else self.gain)))


def simulated_width(a: tuple[float, float, float], b: tuple[float, float, float], unknown: Unknowns) -> Values:
    width = np.linalg.norm(unknown.place(*a) - unknown.place(*b), axis=0)
    return np.asarray(width * unknown.jitter * unknown.definition)


def assert_spread(length: Length, simulated: Values, bias: float = 1.0) -> None:
    assert length.mm == pytest.approx(np.median(simulated) / bias, rel=0.01)
    assert length.sd_mm == pytest.approx(simulated.std() / bias, rel=TOLERANCE)


@pytest.mark.parametrize("focal_sd_fraction", [0.05, 0.3])
@pytest.mark.parametrize(
    ("key", "a", "b"),
    [
        ("face_width", (-170.0, 10.0, 140.0), (170.0, 10.0, 140.0)),  # a face that looks at the camera
        ("face_width", (-150.0, 40.0, 30.0), (120.0, -20.0, 220.0)),  # turned and rolled
        ("nose_breadth", (-45.0, 90.0, -45.0), (45.0, 90.0, -45.0)),  # before the eyes
        ("face_length", (0.0, -10.0, -40.0), (5.0, 280.0, 10.0)),
        ("jaw_width", (-120.0, 200.0, 100.0), (140.0, 205.0, 90.0)),
    ],
)
def test_a_width_is_as_unsure_as_its_simulation(
    key: str, a: tuple[float, float, float], b: tuple[float, float, float], focal_sd_fraction: float
) -> None:
    definition = BY_KEY[key]
    # Where the other points lie moves the line of sight; two more points keep it on the axis.
    at = {f"p{index}": point for index, point in zip(definition.landmarks, (a, b), strict=True)}
    balance = (-a[0] - b[0], -a[1] - b[1], 0.0)
    face = face_with(camera(focal_sd_fraction), (0, 0, 0), **at, p200=balance)
    simulated = simulated_width(a, b, Unknowns(focal_sd_fraction, definition))
    assert_spread(measure_mm(definition, face), simulated, definition.bias)


def test_a_pd_for_far_gaze_carries_the_distance() -> None:
    definition = BY_KEY["distance_pd"]
    mesh = np.zeros((MESH_POINTS, 3))
    mesh[[468, 473]] = (-80.0, 0.0, 0.0), (80.0, 0.0, 0.0)
    face = place_in_space(mesh, camera(0.3), pose_of(np.eye(3)), SCALE, 0.0)
    unknown = Unknowns(0.3, definition)
    distance_mm = SCALE / unknown.per_focal.clip(0.3 / FOCAL_PX)
    simulated = 160 * SCALE * unknown.jitter * unknown.definition * distance_mm / (distance_mm - 10.5)
    length = measure_mm(definition, face)
    assert_spread(length, simulated, definition.bias)
    without_distance = length.mm * np.hypot(definition.repeatability.high, definition.definition_sd)
    assert length.sd_mm > 1.2 * without_distance


def test_a_monocular_pd_carries_the_yaw() -> None:
    definition = BY_KEY["monocular_pd_left"]
    pupil, bridge = (80.0, 0.0, 0.0), (0.0, -5.0, -47.0)
    face = face_with(camera(0.05), (0, 0, 0), p473=pupil, p168=bridge, p6=bridge)
    unknown = Unknowns(0.05, definition)
    across, _, behind = unknown.place(*pupil, gain_is_known=True) - unknown.place(*bridge, gain_is_known=True)
    simulated = across * np.cos(unknown.yaw_rad) + behind * np.sin(unknown.yaw_rad)
    simulated *= unknown.jitter * unknown.definition
    length = measure_mm(definition, face)
    assert length.sd_mm == pytest.approx(simulated.std(), rel=TOLERANCE)
    without_yaw = np.hypot(length.mm * SCALE_SD / SCALE, length.mm * np.hypot(0.01, 0.01))
    assert np.sqrt(length.sd_mm**2 - without_yaw**2) == pytest.approx(1.4, abs=0.1)  # 4° cost 1 to 1.4 mm


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=6))
def test_more_causes_never_make_it_surer(terms: list[float]) -> None:
    together = root_sum_of_squares(*terms)
    assert together >= max(terms)
    assert together <= sum(terms) * (1 + 1e-12)


@pytest.mark.parametrize("term", [-0.1, np.nan, np.inf])
def test_what_is_no_standard_deviation_is_refused(term: float) -> None:
    with pytest.raises(ValueError, match="standard deviation"):
        root_sum_of_squares(1.0, term)


def test_a_better_lens_ruler_or_definition_makes_it_surer() -> None:
    at = {"p234": (-170.0, 0.0, 140.0), "p454": (170.0, 0.0, 140.0)}
    definition = BY_KEY["face_width"]
    rough, fine = (measure_mm(definition, face_with(camera(sd), (0, 0, 0), **at)) for sd in (0.3, 0.05))
    assert fine.mm == rough.mm
    assert fine.sd_mm < rough.sd_mm


@pytest.mark.parametrize(("angle_deg", "off"), [(20, 0.008), (25, 0.013)])
def test_a_place_beside_the_axis_costs_about_what_it_was_seen_to(angle_deg: float, off: float) -> None:
    """Root mean square over widths of portraits, seen by a camera turned away from them: docs/adr/0006."""
    aside = float(np.sin(np.radians(angle_deg)) ** 2)
    assert off_axis_term_mm(140.0, aside) == pytest.approx(140 * off, rel=0.1)


PLACES = [(0.0, 0.0), (0.4, 0.0), (0.0, -0.35), (-0.25, 0.3)]


CARD_MM = (40.0, 40.0)
CARD_TILT = 0.2


def card_at(beside: tuple[float, float], at_mm: float) -> Values:
    """Corners of a square before the upper lip that nearly looks into the lens, as they are seen [px]."""
    sight = np.array((*beside, 1.0)) / np.hypot(1.0, np.hypot(*beside))
    across = np.cross((0.0, 1.0, 0.0), sight)
    across /= np.linalg.norm(across)
    down = np.cross(sight, across)
    across = across * np.cos(CARD_TILT) + sight * np.sin(CARD_TILT)
    flat = rectangle_corners_mm(CARD_MM)
    middle = np.array((beside[0] * at_mm, beside[1] * at_mm + 30.0, at_mm)) - 20.0 * sight
    corners = middle + flat[:, :1] * across + flat[:, 1:] * down
    return np.asarray(corners[:, :2] / corners[:, 2:] * FOCAL_PX)


def ruler_of(source: str, landmarks: Values, card_px: Values, lens: Camera) -> Ruler:
    """Tell what a ruler says of a picture whose lens is taken to be this one, as the service does."""
    if source == "reference_object":
        read = scale_of_rectangle(card_px, CARD_MM, lens).mm_per_px
        doubt = doubt_of_scale(card_px, 0.1, CARD_MM, lens)

    def make(facts: FaceFacts) -> Ruler | Refusal:
        if source == "iris":
            return iris_ruler(facts)
        if source == "known_pd":
            return known_pd_ruler(facts, 63.0, KnownPdKind.DISTANCE)
        lip, slope = ReferencePlacement.UPPER_LIP, doubt.focal_slope
        return reference_ruler(facts, read, doubt.sd, lip, focal_slope=slope, read_with=lens)

    meshes = mesh_in_space(landmarks, lens), with_longer_lens(landmarks, lens)
    facts, longer = (FaceFacts(landmarks, mesh.points_px[:, 2], mesh.camera, 0.0) for mesh in meshes)
    ruler = with_lens(make, facts, longer)
    assert isinstance(ruler, Ruler)
    return ruler


@pytest.mark.parametrize("beside", PLACES)
@pytest.mark.parametrize("source", ["iris", "known_pd", "reference_object"])
@pytest.mark.parametrize(
    "key",
    ["face_width", "nose_breadth", "face_length", "interpupillary_distance", "monocular_pd_left", "monocular_pd_right"],
)
def test_what_the_lens_does_to_a_ruler_and_to_a_length_is_added_with_its_sign(
    beside: tuple[float, float], source: str, key: str
) -> None:
    """A lens of another length, the picture as it is: by how much the length changes, ruler and all."""
    seen_by, card_px = camera(0.0), card_at(beside, 400.0)
    yaw_deg, pitch_deg = -np.degrees(np.arctan(beside[0])), np.degrees(np.arctan2(beside[1], np.hypot(1, beside[0])))
    upright = mean_face() * (1, 1, DEPTH_GAIN) @ rotation_of(yaw_deg, pitch_deg, 0).T
    landmarks = drawn_mesh(upright + np.array((*beside, 1.0)) * 400, seen_by)

    def measured(lens: Camera) -> Length:
        ruler = ruler_of(source, landmarks, card_px, lens)
        meshes = mesh_in_space(landmarks, lens), with_longer_lens(landmarks, lens)
        space = at_scale(meshes, ruler.mm_per_px, ruler.sd, ruler.focal_slope)
        length = measure_mm(BY_KEY[key], space)
        factor = BY_KEY[key].turn_factor(space.turned.yaw_deg, space.turned.pitch_deg)
        return Length(length.mm * factor, length.sd_mm * factor)

    change = 0.02  # within which a card of this tilt has no kink
    longer, shorter = (measured(Camera(FOCAL_PX * k, 0.0, (0.0, 0.0), "exif")).mm for k in (1 + change, 1 - change))
    known, unknown = measured(seen_by), measured(camera(change))
    by_lens_mm = np.sqrt(max(0.0, unknown.sd_mm**2 - known.sd_mm**2)) / change
    assert by_lens_mm == pytest.approx(abs(longer - shorter) / (2 * change), rel=0.1, abs=0.01 * known.mm)


@pytest.mark.parametrize("kind", KnownPdKind)
@pytest.mark.parametrize("key", ["distance_pd", "interpupillary_distance"])
def test_a_pd_that_was_given_is_as_sure_as_it_was_given(kind: KnownPdKind, key: str) -> None:
    """Near, and with a lens that is only guessed, as well as far; the other gaze's also bears how the eyes turned."""
    mesh = np.zeros((MESH_POINTS, 3))
    mesh[[468, 473]] = (-80.0, 0.0, 0.0), (80.0, 0.0, 0.0)
    face = place_in_space(mesh, camera(0.3), pose_of(np.eye(3)), SCALE, SCALE_SD)
    length = measure_mm(BY_KEY[key], face, given=kind)
    is_converted = (key == "distance_pd") == (kind is KnownPdKind.AS_PHOTOGRAPHED)
    assert (length.sd_mm * BY_KEY[key].bias == pytest.approx(0.7)) != is_converted
    assert length.sd_mm * BY_KEY[key].bias >= 0.7 - 1e-9
