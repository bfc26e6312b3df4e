from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.evaluate.schemes import SCHEMES, scheme_of
from bench.ground_truth import BadPoints, read_points, read_pts, read_tem
from shared.measurements import DEFINITIONS

LONDON = Path(__file__).parents[2].parent / "shared" / "data" / "faces" / "london"

TEM = """3
10 20
30.5 40.25
-1 0
1
0
3
0 1 2
"""
PTS = """version: 1
n_points:  2
{
1.5 2.5
3 4
}
"""


def test_a_tem_gives_its_points_and_not_its_lines() -> None:
    np.testing.assert_array_equal(read_tem(TEM), [[10, 20], [30.5, 40.25], [-1, 0]])


def test_a_pts_gives_its_points() -> None:
    np.testing.assert_array_equal(read_pts(PTS), [[1.5, 2.5], [3, 4]])


@pytest.mark.parametrize(("read", "text"), [(read_tem, TEM), (read_pts, PTS)])
@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n\n", " \n"])
def test_line_endings_and_blank_lines_change_nothing(
    read: Callable[[str], NDArray[np.float64]], text: str, ending: str
) -> None:
    np.testing.assert_array_equal(read(text.replace("\n", ending)), read(text))


@pytest.mark.parametrize("name", ["face.tem", "face.TEM", "face.pts"])
def test_the_ending_of_the_name_chooses_the_reader(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + (PTS if name.endswith("pts") else TEM).encode())
    assert len(read_points(path)) == (2 if name.endswith("pts") else 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "number of points"),
        ("three\n1 2\n", "number of points"),
        ("-1\n1 2\n", "number of points"),
        ("1.0\n1 2\n", "number of points"),
        ("²\n1 2\n3 4\n", "number of points"),
        ("0\n", "0 is no number"),
        ("99999999999999999999\n1 2\n", "no number of points on a face"),
        ("3\n1 2\n3 4\n", "3 points are announced and 2 follow"),
        ("2\n1 2\n3 nan\n", "not finite"),
        ("2\n1 2\n3 inf\n", "not finite"),
        ("2\n1 2\n3 1e999\n", "not finite"),
        ("2\n1 2\n3 left\n", "two numbers"),
        ("2\n1 2\n3\n", "two numbers"),
        ("2\n1 2 3\n4 5 6\n", "two numbers"),
        ("2\n1,2\n3,4\n", "two numbers"),
    ],
)
def test_a_tem_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadPoints, match=says):
        read_tem(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "between { and }"),
        (PTS.replace("}", ""), "between { and }"),
        (PTS.replace("{", ""), "between { and }"),
        ("}\n1 2\n{\n", "between { and }"),
        (PTS.replace("n_points:  2", "n_points: 3"), "3 points are announced and 2 follow"),
        (PTS.replace("n_points:  2", "n_points: 1"), "1 points are announced and 2 follow"),
        (PTS.replace("n_points:  2", ""), "number of points"),
        (PTS.replace("version: 1", "version: 2"), "only version 1"),
        (PTS.replace("1.5", "NaN"), "not finite"),
        (PTS.replace("1.5", "x"), "two numbers"),
    ],
)
def test_a_pts_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadPoints, match=says):
        read_pts(text)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("face.txt", b"1\n1 2\n", "no reader"),
        ("face.tem", b"1\n\xff\xfe\n", "not a text file"),
        ("face.tem", b"1\n1 2\n" + b" " * 1_000_001, "larger than"),
    ],
)
def test_files_that_hold_no_points_are_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadPoints, match=says):
        read_points(tmp_path / name)


def test_schemes_name_points_they_have_and_measurements_there_are() -> None:
    keys = {definition.key for definition in DEFINITIONS}
    assert [scheme.points for scheme in SCHEMES] == [189, 83, 68]
    for scheme in SCHEMES:
        assert set(scheme.widths) <= keys
        used = [*scheme.widths.values(), *scheme.irises]
        assert all(0 <= index < scheme.points for pair in used for index in pair)
        assert scheme_of(np.zeros((scheme.points, 2))) is scheme
    assert scheme_of(np.zeros((76, 2))) is None


@pytest.mark.skipif(not LONDON.exists(), reason="needs the evaluation photos")
def test_london_points_lie_where_the_scheme_says() -> None:
    """The subject's right point is on the image's left, widths nest as they do on a face, rings are round."""
    scheme = SCHEMES[0]
    paths = sorted(LONDON.glob("*.tem"))
    assert len(paths) == 31
    for path in paths:
        points = read_points(path)
        assert scheme_of(points) is scheme
        across = {key: points[b] - points[a] for key, (a, b) in scheme.widths.items()}
        assert all(x > 4 * abs(y) for x, y in across.values()), path.name
        width = {key: float(np.hypot(*step)) for key, step in across.items()}
        assert width["eye_gap"] < width["interpupillary_distance"] < width["biocular_width"] < width["face_width"]
        assert width["nose_breadth"] < width["mouth_width"] < width["jaw_width"] < width["face_width"]
        for left, right in scheme.irises:
            assert 30 < np.hypot(*(points[right] - points[left])) < 50, path.name
