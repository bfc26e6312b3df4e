"""Points placed on photos by hand: readers for `.tem` and `.pts` files.

Both are small text files that lie beside a photo and carry its name. Coordinates are pixels of the photo as stored,
x to the right, y down. A `.tem` (Psychomorph, WebMorph) counts from 0; a `.pts` of the iBUG kind counts from 1, which
makes no difference to distances and is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_POINTS: Final = 10_000
"""More than any scheme for faces has: a count beyond it is not a count."""
MAX_BYTES: Final = 1_000_000
"""A hundred bytes for each of those points."""


class BadPoints(ValueError):
    """Raised when a file of points is not what its format says."""


def read_points(path: Path) -> NDArray[np.float64]:
    """Read the points of one photo, by the ending of the file's name.

    Parameters
    ----------
    path : Path
        A `.tem` or a `.pts` file.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        x and y [px].

    Raises
    ------
    BadPoints
        If the ending is another, the file is too large for points, is no text, or breaks its format.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BadPoints(f"no reader for {path.suffix or 'files without an ending'}")
    if path.stat().st_size > MAX_BYTES:
        raise BadPoints(f"larger than the {MAX_BYTES:,} bytes that points can need")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadPoints("not a text file") from exc
    return reader(text)


def read_tem(text: str) -> NDArray[np.float64]:
    """Read the text of a `.tem`: the number of points, a line `x y` for each, then lines that join them.

    The joining lines are for drawing and are not read.

    Parameters
    ----------
    text : str
        The whole file; lines may end in CR LF.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        x and y [px].

    Raises
    ------
    BadPoints
        If the first line is no count, points are missing, or a coordinate is no finite number.
    """
    lines = _lines(text)
    count = _count(lines[0] if lines else "")
    return _points(lines[1 : 1 + count], count)


def read_pts(text: str) -> NDArray[np.float64]:
    """Read the text of a `.pts`: `version: 1`, `n_points: n`, then n lines `x y` between braces.

    Parameters
    ----------
    text : str
        The whole file; lines may end in CR LF.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        x and y [px].

    Raises
    ------
    BadPoints
        If the count or a brace is missing, there are more or fewer points, or a coordinate is no finite number.
    """
    lines = _lines(text)
    if "{" not in lines or "}" not in lines or lines.index("}") < lines.index("{"):
        raise BadPoints("the points of a .pts file stand between { and }, each on a line of its own")
    opened, closed = lines.index("{"), lines.index("}")
    header = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in lines[:opened])}
    if header.get("version", "1").strip() not in {"1", "1.0"}:
        raise BadPoints(f"version {header['version'].strip()[:20]!r}; only version 1 is known")
    return _points(lines[opened + 1 : closed], _count(header.get("n_points", "")))


READERS: Final[dict[str, Callable[[str], NDArray[np.float64]]]] = {".tem": read_tem, ".pts": read_pts}
"""By the ending of the file's name, in lower case."""


def _lines(text: str) -> list[str]:
    return [line for line in (raw.strip() for raw in text.splitlines()) if line]


def _count(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        raise BadPoints(f"the number of points is missing; {text[:20]!r} stands in its place")
    count = int(text)
    if not 1 <= count <= MAX_POINTS:
        raise BadPoints(f"{count} is no number of points on a face")
    return count


def _points(lines: Sequence[str], count: int) -> NDArray[np.float64]:
    if len(lines) != count:
        raise BadPoints(f"{count} points are announced and {len(lines)} follow")
    try:
        points = np.array([[float(number) for number in line.split()] for line in lines])
    except ValueError as exc:  # a word, or lines of different lengths
        raise BadPoints("a point is two numbers, x and y") from exc
    if points.shape != (count, 2):
        raise BadPoints("a point is two numbers, x and y")
    if not np.isfinite(points).all():
        raise BadPoints("a coordinate is not finite")
    return points
