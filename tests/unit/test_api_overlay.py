"""The overlay: lines where the landmarks are, numbers that can be told apart, and words that cannot break out."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.overlay import draw_overlay
from api.overlay_face import _spread
from shared.measurement_definition import Kind
from shared.measurements import DEFINITIONS
from shared.storage import layout
from tests.core import Core
from tests.results import a_face, a_result, astronaut_mesh, rotation, shifted
from tests.unit.submitting import finish, submit

SVG = "{http://www.w3.org/2000/svg}"
KEYS = [definition.key for definition in DEFINITIONS]


def drawn(result: dict[str, Any], preview: bytes | None = None, *, legend: bool = True) -> ET.Element:
    return ET.fromstring(draw_overlay(result, preview, legend=legend))  # noqa: S314 - our own answer


def group(svg: ET.Element, identity: str) -> ET.Element:
    (found,) = [element for element in svg.iter(f"{SVG}g") if element.get("id") == identity]
    return found


def line_of(element: ET.Element) -> tuple[float, ...]:
    line = element.find(f"{SVG}line")
    assert line is not None
    return tuple(float(line.attrib[name]) for name in ("x1", "y1", "x2", "y2"))


def words(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def rolled(degrees: float) -> tuple[tuple[float, float, float], ...]:
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    points = ((complex(x - 256, y - 256) * turn, z) for x, y, z in astronaut_mesh())
    return tuple((point.real + 256, point.imag + 256, z) for point, z in points)


def test_the_answer_over_http(api: FlaskClient, live_core: Core) -> None:
    location = submit(api).headers["Location"]
    finish(live_core)
    response = api.get(f"{location}/overlay.svg")
    assert response.content_type == "image/svg+xml"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:")
    assert "<image" not in response.text
    assert 'viewBox="0 0 512 512"' in api.get(f"{location}/overlay.svg?legend=false").text
    assert api.get(f"{location}/overlay.svg?colour=red").status_code == 400


def test_a_kept_photo_is_under_the_drawing(api: FlaskClient, live_core: Core) -> None:
    job_id = submit(api, keep_image="true").get_json()["id"]
    live_core.objects.put(layout.preview_key("local", job_id), b"\xff\xd8 preview", content_type="image/jpeg")
    finish(live_core)
    svg = ET.fromstring(api.get(f"/v1/jobs/{job_id}/overlay.svg").text)  # noqa: S314 - our own answer
    image = svg.find(f".//{SVG}image")
    assert image is not None
    assert image.attrib["href"] == "data:image/jpeg;base64,/9ggcHJldmlldw=="
    assert (image.attrib["width"], image.attrib["height"]) == ("512", "512")


def test_every_measurement_is_drawn_and_named() -> None:
    svg = drawn(a_result())
    assert {element.get("id") for element in svg.iter(f"{SVG}g") if element.get("class") == "measurement"} == set(KEYS)
    measured = a_result()["faces"][0]["measurements"]
    for key in KEYS:
        title = group(svg, key).find(f"{SVG}title")
        assert title is not None
        said = f"{key.replace('_', ' ')} {measured[key]['mm']:.1f} ± {measured[key]['mm_sd']:.1f} mm"
        assert title.text == said
        assert said in words(group(svg, "legend-1"))


def test_lines_of_widths_end_on_the_landmarks() -> None:
    svg = drawn(a_result())
    for definition in DEFINITIONS:
        if definition.kind is Kind.WIDTH:
            (x1, y1, _), (x2, y2, _) = (astronaut_mesh()[index] for index in definition.landmarks)
            assert line_of(group(svg, definition.key)) == (x1, y1, x2, y2)


def test_lines_from_the_pupils_to_the_bridge_meet_it_at_right_angles() -> None:
    svg = drawn(a_result())
    mesh = astronaut_mesh()
    bridge = complex(*mesh[6][:2]) - complex(*mesh[168][:2])
    for key in ("monocular_pd_right", "monocular_pd_left"):
        x1, y1, x2, y2 = line_of(group(svg, key))
        line = complex(x2 - x1, y2 - y1)
        assert (line * bridge.conjugate()).real == pytest.approx(0, abs=0.01 * abs(line) * abs(bridge))


def test_the_four_lines_between_the_pupils_lie_apart() -> None:
    svg = drawn(a_result())
    middles = [sum(line_of(group(svg, key))[1::2]) / 2 for key in ("distance_pd", "interpupillary_distance")]
    middles.append(sum(line_of(group(svg, "monocular_pd_right"))[1::2]) / 2)
    assert middles == sorted(middles)
    assert all(below - above > 5 for above, below in pairwise(middles))  # of a face 92 px wide


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.5, 20))
def test_places_are_moved_apart_and_no_more_than_need_be(wanted: list[float], step: float) -> None:
    wanted.sort()
    places = _spread(wanted, step)
    assert all(below - above >= step - 1e-9 for above, below in pairwise(places))
    if all(below - above >= step for above, below in pairwise(wanted)):
        assert places == pytest.approx(wanted)
    assert sum(places) == pytest.approx(sum(wanted))


@pytest.mark.parametrize("roll_deg", [0, 35, 90, 180, -60])
def test_numbers_stand_beside_the_face_and_clear_of_each_other(roll_deg: float) -> None:
    face = a_face(rolled(roll_deg))
    svg = drawn(a_result(face))
    tags = []
    for key in KEYS:
        *_, disc = group(svg, key).findall(f"{SVG}circle")
        tags.append((complex(float(disc.attrib["cx"]), float(disc.attrib["cy"])), float(disc.attrib["r"])))
    for index, (place, radius) in enumerate(tags):
        assert all(abs(place - other) >= 2 * radius for other, _ in tags[index + 1 :])
        assert all(abs(place - complex(x, y)) > radius for x, y, _ in rolled(roll_deg))


def test_the_mesh_is_drawn_once_along_each_edge() -> None:
    mesh = next(element for element in drawn(a_result()).iter(f"{SVG}g") if element.get("class") == "mesh")
    paths = [path.attrib["d"] for path in mesh.iter(f"{SVG}path")]
    assert [path.count("M") for path in paths] == [1322, 2]


def axes(face: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Give each axis as it is drawn, in lengths of one that is seen from the side."""
    pose = next(element for element in drawn(a_result(face)).iter(f"{SVG}g") if element.get("class") == "pose")
    length = 0.3 * face["bounding_box"]["width"]
    found = {}
    for line in pose.iter(f"{SVG}line"):
        x1, y1, x2, y2 = (float(line.attrib[name]) for name in ("x1", "y1", "x2", "y2"))
        found[line.attrib["class"]] = ((x2 - x1) / length, (y2 - y1) / length)
    return found


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll", "expected"),
    [
        (0, 0, 0, {"x": (1, 0), "y": (0, 1), "z": (0, 0)}),
        (90, 0, 0, {"x": (0, 0), "y": (0, 1), "z": (1, 0)}),  # to the subject's left: looks to the right of the picture
        (0, 90, 0, {"x": (1, 0), "y": (0, 0), "z": (0, -1)}),  # looks up
        (0, 0, 90, {"x": (0, 1), "y": (-1, 0), "z": (0, 0)}),  # clockwise
    ],
)
def test_axes_of_the_pose(yaw: float, pitch: float, roll: float, expected: dict[str, tuple[float, float]]) -> None:
    face = a_face()
    face["pose"]["rotation"] = rotation(yaw, pitch, roll)
    for name, drawn_axis in axes(face).items():
        assert drawn_axis == pytest.approx(expected[name], abs=1e-3)


def test_what_is_not_ok_is_dashed_and_says_why() -> None:
    face = a_face()
    face["measurements"]["jaw_width"].update(status="unreliable", reasons=["head_turned", "chin_covered"])
    face["measurements"]["mouth_width"].update(status="not_measurable", reasons=["mouth_covered"], mm=None, mm_sd=None)
    svg = drawn(a_result(face))
    dashed = {
        key
        for key in KEYS
        if (line := group(svg, key).find(f"{SVG}line")) is not None and "stroke-dasharray" in line.attrib
    }
    assert dashed == {"jaw_width", "mouth_width"}
    assert group(svg, "mouth_width").attrib["data-status"] == "not_measurable"
    said = words(group(svg, "legend-1"))
    assert "unreliable: head turned, chin covered" in said
    assert f"mouth width {face['measurements']['mouth_width']['px']:.1f} px not measurable: mouth covered" in said


def test_without_a_scale_it_speaks_of_pixels() -> None:
    said = words(group(drawn(a_result(a_face(scaled=False))), "legend-1"))
    assert "no scale: pixels only" in said
    assert "face width 91.0 px" in said
    assert "mm" not in said
    assert "distance pd none" in said


def test_the_legend_says_what_the_scale_rests_on() -> None:
    face = a_face()
    face["scale"].update(status="unreliable", reasons=["glasses"])
    face["scale"]["agreement"] = {
        "source": "iris", "mm_per_px": 1.7, "sd": 0.08, "difference_sd": 2.6, "agrees": False,
    }  # fmt: skip
    said = words(group(drawn(a_result(face)), "legend-1"))
    for part in ("quality 84 of 100", "1.49 mm/px ± 5.0%", "scale unreliable: glasses", "iris disagrees: 1.7 mm/px"):
        assert part in said


def test_several_faces_have_ids_and_panels_of_their_own() -> None:
    result = a_result(*(a_face(shifted(astronaut_mesh(), 100 * n)) for n in range(3)))
    svg = drawn(result)
    identities = [element.attrib["id"] for element in svg.iter() if "id" in element.attrib]
    assert len(identities) == len(set(identities))
    assert {"face-1", "face-3", "legend-3", "eye_gap", "face-2-eye_gap"} <= set(identities)
    first, second = line_of(group(svg, "eye_gap")), line_of(group(svg, "face-2-eye_gap"))
    assert second[0] - first[0] == pytest.approx(100)
    assert len(list(svg.iter(f"{SVG}use"))) == 3
    assert [words(group(svg, f"face-{n}")).endswith(f"Face {n}") for n in (1, 2, 3)] == [True, True, True]
    assert "Face" not in words(group(drawn(a_result()), "face-1"))


@pytest.mark.parametrize("size", [(512, 512), (4000, 500), (500, 4000)])
def test_everything_written_is_within_the_picture(size: tuple[int, int]) -> None:
    face = a_face()
    for value in face["measurements"].values():
        value.update(status="unreliable", reasons=["head_turned", "scale_uncertain", "face_too_small", "mouth_open"])
    result = a_result(face)
    result["image"]["width"], result["image"]["height"] = size
    svg = drawn(result)
    *_, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    texts = list(group(svg, "legend-1").iter(f"{SVG}text"))
    assert max(float(text.attrib["y"]) for text in texts) < height
    letter = 0.6 * float(texts[-1].attrib["font-size"])  # wider than sans-serif letters are on average
    remarks = [text for text in texts if "unreliable" in words(text)]
    assert len(remarks) >= len(KEYS)
    assert all(float(text.attrib["x"]) + letter * len(words(text)) <= width for text in remarks)


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1))
def test_no_word_of_a_result_breaks_out(text: str) -> None:
    face = a_face()
    hostile = [text, f'"><script>{text}</script>', f"]]>&{text}<!--"]
    for judged in (face["measurements"]["eye_gap"], face["scale"]):
        judged.update(status="unreliable", reasons=hostile)
    assert {element.tag.removeprefix(SVG) for element in drawn(a_result(face)).iter()} == {
        "svg", "title", "rect", "g", "path", "line", "circle", "text", "tspan", "use",
    }  # fmt: skip
