from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS, DEFINITIONS_VERSION
from worker.measure import landmarks as names
from worker.measure.geometry import distance_px, outer_eye_distance_px
from worker.vision import face_mesh
from worker.vision.face_mesh import FaceMesh

PORTRAITS = Path(__file__).parents[2] / "stack" / "portraits"
BRIDGE_OF_NOSE, CHIN_BOTTOM = 168, 152
BY_KEY = {definition.key: definition for definition in DEFINITIONS}
ACROSS = [d for d in DEFINITIONS if d.kind is not Kind.TO_MIDLINE and d.key != "face_length"]

every_definition = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.key)
every_width_across = pytest.mark.parametrize("definition", ACROSS, ids=lambda definition: definition.key)


@pytest.fixture(scope="module", params=["astronaut.png", "grace_hopper.jpg"])
def portrait(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    pixels = np.array(Image.open(PORTRAITS / request.param).convert("RGB"))
    with FaceMesh() as mesh:
        [face] = mesh.detect(pixels)
    return face.landmarks


def test_the_registry_holds_these_and_no_others() -> None:
    assert DEFINITIONS_VERSION == "2026-11.4"
    assert {key: definition.landmarks for key, definition in BY_KEY.items()} == {
        "forehead_width": (54, 284),
        "eye_gap": (133, 362),
        "chin_width": (176, 400),
        "interpupillary_distance": (468, 473),
        "distance_pd": (468, 473),
        "monocular_pd_right": (468, 168, 6),
        "monocular_pd_left": (473, 168, 6),
        "biocular_width": (33, 263),
        "face_width": (234, 454),
        "temple_width": (21, 251),
        "face_edge_breadth": (127, 356),
        "jaw_width": (172, 397),
        "face_length": (168, 152),
        "nose_breadth": (64, 294),
        "mouth_width": (61, 291),
    }
    assert len(BY_KEY) == len(DEFINITIONS)


def test_its_points_are_the_named_ones() -> None:
    assert BY_KEY["eye_gap"].landmarks == (names.RIGHT_EYE_INNER, names.LEFT_EYE_INNER)
    assert BY_KEY["biocular_width"].landmarks == (names.RIGHT_EYE_OUTER, names.LEFT_EYE_OUTER)


@every_definition
def test_points_are_different_ones_of_the_mesh(definition: MeasurementDefinition) -> None:
    assert len(set(definition.landmarks)) == len(definition.landmarks) >= 2
    assert all(0 <= point < names.MESH_POINTS for point in definition.landmarks)
    assert len(definition.landmarks) == (3 if definition.kind is Kind.TO_MIDLINE else 2)


@every_definition
def test_an_entry_explains_itself_and_cannot_be_changed(definition: MeasurementDefinition) -> None:
    for field in ("key", "term", "formula", "source", "stands_for"):
        assert getattr(definition, field).strip()
    assert 0.9 < definition.bias < 1.1
    assert 0 < definition.definition_sd <= 0.1
    assert 0 < definition.repeatability.low <= definition.repeatability.high <= 0.01
    assert definition.needs
    with pytest.raises(dataclasses.FrozenInstanceError):
        definition.key = "another"  # type: ignore[misc]


def test_bias_and_spread_come_from_the_comparison_with_points_placed_by_hand() -> None:
    chin = BY_KEY["chin_width"]
    assert chin.bias == 1.055
    assert chin.definition_sd == pytest.approx(0.10 / 1.055)
    length = BY_KEY["face_length"]  # whose hand points mark something else: only the spread is known
    assert (length.bias, length.definition_sd) == (1.0, 0.023)
    monocular = BY_KEY["monocular_pd_left"]  # compared with nothing
    assert (monocular.bias, monocular.definition_sd) == (1.0, monocular.repeatability.high)


def test_known_error_and_repeatability_read_as_sentences() -> None:
    definition = BY_KEY["forehead_width"]
    assert str(definition.known_error).startswith("mesh ÷ manual 0.984 ± 0.041 ")
    assert str(definition.repeatability).startswith("SD 0.35% to 0.50% ")
    assert "not known" in str(BY_KEY["face_length"].known_error)


def test_proxies_of_palpated_bone_say_so() -> None:
    proxies = {key for key, definition in BY_KEY.items() if "proxy" in definition.stands_for}
    assert proxies == {"face_width", "temple_width", "jaw_width"}


@every_definition
def test_no_measurement_is_a_single_edge_of_the_mesh(definition: MeasurementDefinition) -> None:
    face_mesh.preload()
    connections = importlib.import_module("mediapipe.python.solutions.face_mesh_connections")
    edges = {frozenset(edge) for edge in connections.FACEMESH_TESSELATION}
    assert frozenset((10, 338)) in edges  # the known trap
    assert frozenset(definition.landmarks[:2]) not in edges


@every_width_across
def test_points_straddle_the_midline_right_before_left(
    definition: MeasurementDefinition, portrait: NDArray[np.float64]
) -> None:
    top, bottom = portrait[BRIDGE_OF_NOSE, :2], portrait[CHIN_BOTTOM, :2]
    down = (bottom - top) / np.linalg.norm(bottom - top)
    towards_subjects_left = np.array([down[1], -down[0]])
    right, left = ((portrait[point, :2] - top) @ towards_subjects_left for point in definition.landmarks)
    assert right < 0 < left
    assert abs(right + left) < 0.5 * (left - right)  # about as far on either side, as the heads are turned a little


def test_widths_are_plausible_beside_each_other(portrait: NDArray[np.float64]) -> None:
    width = {definition.key: distance_px(portrait, *definition.landmarks) for definition in ACROSS}
    eyes = outer_eye_distance_px(portrait)
    assert 1.1 < width["forehead_width"] / eyes < 1.6
    assert 0.3 < width["eye_gap"] / eyes < 0.5
    assert 0.4 < width["chin_width"] / eyes < 0.7
    assert width["chin_width"] < width["jaw_width"] < width["face_width"]
    assert width["temple_width"] < width["face_edge_breadth"]
    assert width["eye_gap"] < width["interpupillary_distance"] < width["biocular_width"]
    assert width["nose_breadth"] < width["mouth_width"]
