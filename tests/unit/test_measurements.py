from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.measurements import DEFINITIONS, DEFINITIONS_VERSION, MeasurementDefinition
from worker.measure import landmarks as names
from worker.measure.geometry import distance_px, outer_eye_distance_px
from worker.vision import face_mesh
from worker.vision.face_mesh import FaceMesh

PORTRAITS = Path(__file__).parents[2] / "stack" / "portraits"
BRIDGE_OF_NOSE, CHIN_BOTTOM = 168, 152
BY_KEY = {definition.key: definition for definition in DEFINITIONS}

every_definition = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.key)


@pytest.fixture(scope="module", params=["astronaut.png", "grace_hopper.jpg"])
def portrait(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    pixels = np.array(Image.open(PORTRAITS / request.param).convert("RGB"))
    with FaceMesh() as mesh:
        [face] = mesh.detect(pixels)
    return face.landmarks


def test_the_registry_holds_these_and_no_others() -> None:
    assert DEFINITIONS_VERSION == "2026-11"
    assert {key: definition.landmarks for key, definition in BY_KEY.items()} == {
        "forehead_width": (54, 284),
        "eye_gap": (133, 362),
        "chin_width": (176, 400),
    }
    assert len(BY_KEY) == len(DEFINITIONS)


def test_its_points_are_the_named_ones() -> None:
    assert BY_KEY["forehead_width"].landmarks == (names.RIGHT_FOREHEAD, names.LEFT_FOREHEAD)
    assert BY_KEY["eye_gap"].landmarks == (names.RIGHT_EYE_INNER, names.LEFT_EYE_INNER)
    assert BY_KEY["chin_width"].landmarks == (names.RIGHT_CHIN, names.LEFT_CHIN)


@every_definition
def test_points_are_two_and_on_the_skin(definition: MeasurementDefinition) -> None:
    a, b = definition.landmarks
    assert a != b
    assert all(0 <= point < names.CANONICAL_POINTS for point in (a, b))


@every_definition
def test_an_entry_explains_itself_and_cannot_be_changed(definition: MeasurementDefinition) -> None:
    for field in ("key", "term", "formula", "source", "stands_for"):
        assert getattr(definition, field).strip()
    assert "never corrected" in definition.formula
    assert 0.9 < definition.known_error.ratio_mean < 1.1
    assert 0 < definition.known_error.ratio_sd <= 0.1
    assert 0 < definition.repeatability.low <= definition.repeatability.high <= 0.01
    with pytest.raises(dataclasses.FrozenInstanceError):
        definition.key = "another"  # type: ignore[misc]


def test_known_error_and_repeatability_read_as_sentences() -> None:
    definition = BY_KEY["forehead_width"]
    assert str(definition.known_error).startswith("mesh ÷ manual 0.984 ± 0.041 ")
    assert str(definition.repeatability).startswith("SD 0.35% to 0.50% ")


@every_definition
def test_no_measurement_is_a_single_edge_of_the_mesh(definition: MeasurementDefinition) -> None:
    face_mesh.preload()
    import mediapipe  # noqa: PLC0415 - as the worker does it, after preload

    edges: Any = {frozenset(edge) for edge in mediapipe.solutions.face_mesh.FACEMESH_TESSELATION}
    assert frozenset((10, 338)) in edges  # the known trap
    assert frozenset(definition.landmarks) not in edges


@every_definition
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
    width = {key: distance_px(portrait, *definition.landmarks) for key, definition in BY_KEY.items()}
    eyes = outer_eye_distance_px(portrait)
    assert 1.1 < width["forehead_width"] / eyes < 1.6
    assert 0.3 < width["eye_gap"] / eyes < 0.5
    assert 0.4 < width["chin_width"] / eyes < 0.7
