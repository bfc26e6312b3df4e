from __future__ import annotations

from typing import Any

import pytest

from worker.measure.requirements import unmet_requirements


def measured(status: str = "ok", mm_sd: float | None = 4.0, *reasons: str) -> dict[str, Any]:
    return {"px": 100.0, "mm": 80.0, "mm_sd": mm_sd, "status": status, "reasons": list(reasons)}


FACE = {
    "face_width": measured(),
    "chin_width": measured("not_measurable", None, "chin_covered"),
    "eye_gap": measured("unreliable", 2.0, "head_turned", "blurred"),
}


def test_what_is_ok_is_met_and_what_was_not_asked_for_does_not_count() -> None:
    assert unmet_requirements(FACE, ["face_width"], None) == []
    assert unmet_requirements(FACE, [], None) == []


def test_each_that_is_not_ok_is_named_with_its_reasons_in_the_order_asked_for() -> None:
    assert unmet_requirements(FACE, ["eye_gap", "face_width", "chin_width"], None) == [
        "eye_gap is unreliable (head_turned, blurred)",
        "chin_width is not measurable (chin_covered)",
    ]


@pytest.mark.parametrize(("max_mm_sd", "unmet"), [(3.9, True), (4.0, False), (10.0, False)])
def test_an_ok_measurement_must_be_sure_enough(max_mm_sd: float, unmet: bool) -> None:
    sentences = unmet_requirements(FACE, ["face_width"], max_mm_sd)
    assert bool(sentences) is unmet
    if unmet:
        assert sentences == ["face_width is known to ± 4.00 mm, not to 3.9"]
