from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.evaluate.agreement import evaluate_agreement
from bench.evaluate.cross_fit import refitted
from bench.evaluate.report import Section, Table, markdown_table, save, updated_page
from bench.evaluate.runs import HandPlaced, MeasuredPhoto, measure_folders, person_of, read_info
from bench.evaluate.samples import Sample, image_part_mm, samples_of
from bench.evaluate.schemes import LONDON
from shared.measurements import DEFINITIONS

SCALE_MM_PER_PX = 0.25
CAMERA = {"focal_px": 1000.0, "focal_sd_px": 300.0, "source": "assumed"}
JAW = next(definition for definition in DEFINITIONS if definition.key == "jaw_width")
VALUE = {"px": 400.0, "mm": 104.0, "mm_sd": 6.0, "status": "ok", "reasons": []}


def a_face(pitch_deg: float = 0.0, **changes: Any) -> dict[str, Any]:
    values = {definition.key: {**VALUE, **changes} for definition in DEFINITIONS}
    scale = {"mm_per_px": SCALE_MM_PER_PX, "source": "iris", "status": "ok", "reasons": []}
    return {"measurements": values, "scale": scale, "pose": {"yaw_deg": 0.0, "pitch_deg": pitch_deg, "roll_deg": 0.0}}


def a_photo(person: str, hand_px: float, iris_px: float, face: dict[str, Any] | None) -> MeasuredPhoto:
    points = np.zeros((LONDON.points, 2))
    for _, right in LONDON.widths.values():
        points[right, 0] = hand_px
    for _, right in LONDON.irises:
        points[right, 0] = iris_px
    result = {"faces": [face], "camera": CAMERA} if face else None
    refused = None if face else "no_face"
    hand = HandPlaced(points, LONDON)
    return MeasuredPhoto(Path(f"{person}.jpg"), person, {"sex": "female"}, hand, result, refused)


def sample(person: str, ratio: float, **changes: Any) -> Sample:
    given: dict[str, Any] = {
        "key": "face_width",
        "person": person,
        "groups": {},
        "ratio": ratio,
        "bias": 1.0,
        "definition_sd": 0.02,
        "truth_mm": 140.0,
        "mm": 140.0 * ratio,
        "image_sd_mm": 140.0 * ratio * 0.05,
    }
    return Sample(**{**given, **changes})


def test_the_truth_shares_the_depth_correction_and_the_image_part_loses_what_cancels() -> None:
    """400 px at 0.25 mm are 100 mm in the plane of the eyes; the result says 104 x bias, and depth made the rest."""
    face = a_face()
    taken = next(s for s in samples_of(a_photo("1", 380.0, 45.0, face)) if s.key == "jaw_width")
    spatial_mm = 104 * JAW.bias
    assert taken.ratio == pytest.approx(400 / 380)
    assert taken.truth_mm == pytest.approx(380 * 11.7 / 45 * spatial_mm / 100)
    assert taken.points_error == pytest.approx(400 / 380 / JAW.bias - 1)
    shared_mm = (spatial_mm - 100) / JAW.bias * (0.3**2 + 0.3**2) ** 0.5  # focal length, depth
    assert taken.image_sd_mm == pytest.approx((36 - (0.036 * 104) ** 2 - shared_mm**2) ** 0.5)


def test_the_truth_does_not_share_the_correction_for_the_turn_of_the_head() -> None:
    """So much less in mm, by the same px: the truth in space stays, and the error shows it."""
    straight, turned = (
        next(s for s in samples_of(a_photo("1", 380.0, 45.0, face)) if s.key == "jaw_width")
        for face in (a_face(mm_sd=12.0), a_face(pitch_deg=12.0, mm=104.0 / JAW.turn_factor(0, 12), mm_sd=12.0))
    )
    assert turned.truth_mm == pytest.approx(straight.truth_mm)
    assert straight.error is not None
    assert turned.error == pytest.approx((1 + straight.error) / JAW.turn_factor(0, 12) - 1)


def test_anatomy_is_taken_out_of_an_iris_ruler_only() -> None:
    """√(6² - (0.036 · 104)²) = 4.688."""
    assert image_part_mm(JAW, VALUE, {"source": "known_pd"}, CAMERA, 0.0) == pytest.approx(6.0)
    assert image_part_mm(JAW, VALUE, {"source": "iris"}, CAMERA, 0.0) == pytest.approx(
        4.688, abs=0.001
    )  # √(6² - 3.744²)


def test_an_sd_without_room_for_anatomy_is_an_error() -> None:
    with pytest.raises(ValueError, match="is no more than"):
        image_part_mm(JAW, {**VALUE, "mm_sd": 3.7}, {"source": "iris"}, CAMERA, 0.0)


def test_what_has_no_millimetres_is_compared_in_pixels_alone() -> None:
    taken = samples_of(a_photo("1", 400.0, 45.0, a_face(mm=None, mm_sd=None)))
    assert {s.key for s in taken} == set(LONDON.widths)
    assert all(s.error is None and s.ratio == 1.0 for s in taken)
    assert samples_of(a_photo("1", 400.0, 45.0, None)) == []


def test_points_that_nobody_placed_are_not_compared() -> None:
    """Both in one place, as some tools leave them; and without a traced iris there is no truth in millimetres."""
    assert samples_of(a_photo("1", 0.0, 45.0, a_face())) == []
    assert all(s.truth_mm is None for s in samples_of(a_photo("1", 400.0, 0.0, a_face())))


def test_refused_photos_are_counted_and_do_not_stop_the_table() -> None:
    photos = [a_photo(str(number), 400.0, 45.0, a_face(mm_sd=12.0) if number else None) for number in range(6)]
    section, _ = evaluate_agreement(photos)
    assert section.figures["status"]["face_width"] == {"ok": 5, "refused": 1}
    assert (section.figures["fit_half"], section.figures["held_out_half"]) == (["0", "2", "4"], ["1", "3", "5"])
    assert section.figures["ratios"]["all"]["face_width"]["n"] == 5
    assert any(table.rows and "face_width" in markdown_table(table) for table in section.tables)


def test_constants_of_the_other_half_replace_the_registry_s() -> None:
    """The fitted people read 4 % high with a spread of 3 %: 5 % of SD hold 2 % of the registry's, and get 3 %."""
    fitted = [sample(str(number), 1.04 + 0.03 * step) for number, step in enumerate((-1, 0, 1))]
    (judged,) = refitted([*fitted, sample("9", 1.04)], {"9"}, {"0", "1", "2"})
    assert judged.mm == pytest.approx(140.0)
    assert judged.bias == pytest.approx(1.04)
    spread = 0.03 / 1.04
    assert judged.image_sd_mm == pytest.approx(140.0 * (0.05**2 - 0.02**2 + spread**2) ** 0.5)


def test_nobody_is_judged_by_constants_set_on_them() -> None:
    with pytest.raises(ValueError, match="both fitted and judged: 9"):
        refitted([sample("9", 1.0)], {"9"}, {"9"})
    assert refitted([sample("1", 1.0), sample("9", 1.0)], {"9"}, {"1"}) == []


@pytest.mark.parametrize(
    ("stem", "person"),
    [("002_03", "002"), ("002", "002"), ("0021_03", "0021_03"), ("002-a_1", "002-a"), ("other", "other")],
)
def test_a_file_s_name_begins_with_the_person_s_id(stem: str, person: str) -> None:
    assert person_of(stem, ["002", "002-a", "02"]) == person


def test_info_rows_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "info.csv"
    assert read_info(path) == {}
    path.write_bytes(b"\xef\xbb\xbfid,sex\r\n1,female\r\n2\r\n\r\n3,male,extra\r\n4,male\r\n")
    assert read_info(path) == {"1": {"sex": "female"}, "4": {"sex": "male"}}


def test_a_folder_is_sorted_by_what_it_can_show(tmp_path: Path) -> None:
    def put(name: str, text: str = "") -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    points = "189\n" + "1 2\n" * 189
    for name in ("people/a.jpg", "people/b.jpg", "people/c.jpg", "zoom/30cm.jpg", "zoom/8.5cm.jpg", "plain/x.png"):
        put(name)
    put("people/a.tem", points)
    put("people/b.tem", "189\n1 2\n")
    put("people/c.pts", "n_points: 2\n{\n1 2\n3 4\n}\n")
    found = measure_folders(tmp_path, lambda _: "no_face")
    assert [photo.path.name for photo in found.annotated["people"]] == ["a.jpg"]
    assert [distance for distance, _ in found.series["zoom"]] == [8.5, 30.0]
    assert len(found.photos) == 6
    assert [line.split(":")[0] for line in found.unread] == ["b.tem", "c.pts"]


def test_a_rerun_changes_tables_and_nothing_else() -> None:
    begin, end = "<!-- accuracy:one -->\n", "<!-- /accuracy:one -->\n"
    after = "More.\n<!-- accuracy:two -->\nkept\n<!-- /accuracy:two -->\n"
    section = Section("one", "One", [Table("T", ["a", "b"], [["1", r"\2"]])], {})
    once = updated_page(f"Words.\n{begin}old\n{end}{after}", [section])
    assert once == f"Words.\n{begin}**T**\n\n| a | b |\n| --- | --- |\n| 1 | \\2 |\n{end}{after}"
    assert updated_page(once, [section]) == once
    with pytest.raises(ValueError, match="no one place"):
        updated_page("no markers", [section])


def test_what_is_saved_is_json_and_names_no_place(tmp_path: Path) -> None:
    section = Section(
        "one", "One", [Table("T", ["a"], [["1"]])], {"figure": float("nan"), "list": (1.23456789,)}, ["bad"]
    )
    save(tmp_path / "out", [section], "2026-11-23")
    document = json.loads((tmp_path / "out" / "accuracy.json").read_text())
    assert document["sections"]["one"] == {"figure": None, "list": [1.23457], "problems": ["bad"]}
    assert document["date"] == "2026-11-23"
    assert set(document["versions"]) >= {"definitions", "mediapipe", "numpy"}
    assert str(tmp_path) not in (tmp_path / "out" / "accuracy.json").read_text()
    assert "| 1 |" in (tmp_path / "out" / "accuracy.md").read_text()


def test_the_page_has_a_place_for_every_section() -> None:
    page = (Path(__file__).parents[2] / "docs" / "accuracy.md").read_text(encoding="utf-8")
    names = ("agreement", "iris", "distance", "turned-heads", "known-groups", "false-faces", "reduced-decode")
    updated_page(page, [Section(name, name, [Table("T", ["a"], [])], {}) for name in names])
