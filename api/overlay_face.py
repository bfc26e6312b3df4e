"""One face of the overlay: the mesh, the measured lines with numbers beside the face, and how the head is turned.

Points are complex numbers, x + iy in pixels of the photo: turning into the frame of the face, whose real axis runs from
the subject's right eye to the left one and whose imaginary axis runs down the face, is then a multiplication.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from api.overlay_text import DASHES, NUMBERS, colour_of, in_words, status_in_words, value_in_words
from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS
from shared.results import MeasurementStatus
from shared.tessellation import EDGES, SKIN_POINTS

Point = complex

_RIGHT_EYE_OUTER: Final = 33
_LEFT_EYE_OUTER: Final = 263
_NOSE_RIDGE: Final = 195
"""In the middle of the face, where no measurement passes."""
_IRIS_RINGS: Final = ((469, 470, 471, 472), (474, 475, 476, 477))

# Everything below is a share of the width of the face, so that every size of face is drawn alike.
_MESH_LINE: Final = 1 / 420
_LINE: Final = 1 / 125
_END: Final = 1 / 70
_TAG: Final = 1 / 30
"""Radius of the disc that holds a number."""
_TAG_STEP: Final = 2.3 * _TAG
"""Between the centres of two of them."""
_TAG_GAP: Final = 0.10
"""From the edge of the mesh to their column."""
_AXIS: Final = 0.30
_BRACKETS: Final = {Kind.WIDTH: 0.0, Kind.FAR_GAZE: -0.09, Kind.TO_MIDLINE: 0.075}
"""How far down the face a line is drawn from where it belongs: four are between the same pupils."""

_AXES: Final = (("x", 0, 1, "#ff5a5f"), ("y", 1, 1, "#2ecc71"), ("-z", 2, -1, "#4d96ff"))
"""Name, column of the rotation, direction, colour. z runs into the head, so what can be drawn is where it comes from:
the way the face looks."""


@dataclass(slots=True)
class _Line:
    """One measurement as it is drawn."""

    key: str
    kind: Kind
    value: dict[str, Any]
    points: tuple[Point, Point]
    """What is measured."""
    ends: tuple[Point, Point]
    """Where it is drawn."""
    tag: Point = 0j
    """Where its number stands."""
    tagged_end: Point = 0j
    """The end that the number is joined to."""


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A drawing of one face.

    Attributes
    ----------
    parts : list of str
        SVG, in pixels of the photo.
    left, top, right, bottom : float
        What it takes up [px].
    """

    parts: list[str]
    left: float
    top: float
    right: float
    bottom: float


def draw_face(number: int, face: dict[str, Any], *, named: bool) -> DrawnFace:
    """Draw one face.

    Parameters
    ----------
    number : int
        1 for the largest.
    face : dict
        As `shared.results.Face`, with landmarks.
    named : bool
        Whether its number stands above it.
    """
    points = [complex(point["x"], point["y"]) for point in face["landmarks"]]
    size = face["bounding_box"]["width"]
    across = _direction(points[_RIGHT_EYE_OUTER], points[_LEFT_EYE_OUTER])
    lines = [line for definition in DEFINITIONS if (line := _line(definition, face, points, size * across * 1j))]
    _place_tags(lines, points[:SKIN_POINTS], across, size)

    everything = [*points, *(line.tag for line in lines)]
    margin = (4 if named else 2) * _TAG * size
    return DrawnFace(
        [
            f'<g id="face-{number}" stroke-linecap="round" stroke-linejoin="round">',
            *_draw_mesh(points, size),
            *(part for line in sorted(lines, key=_length, reverse=True) for part in _draw_line(line, number, size)),
            *_draw_pose(points[_NOSE_RIDGE], face["pose"]["rotation"], size),
            *(_draw_name(number, points, size) if named else ()),
            "</g>",
        ],
        left=min(point.real for point in everything) - margin,
        top=min(point.imag for point in everything) - margin,
        right=max(point.real for point in everything) + margin,
        bottom=max(point.imag for point in everything) + margin,
    )


def _direction(a: Point, b: Point) -> Point:
    return (b - a) / abs(b - a) if a != b else 1 + 0j


def _line(definition: MeasurementDefinition, face: dict[str, Any], points: list[Point], down: Point) -> _Line | None:
    value = face["measurements"].get(definition.key)
    if value is None:
        return None
    a, *others = (points[index] for index in definition.landmarks)
    b = _foot(a, others[0], others[1]) if definition.kind is Kind.TO_MIDLINE else others[0]
    aside = _BRACKETS[definition.kind] * down
    return _Line(definition.key, definition.kind, value, (a, b), (a + aside, b + aside))


def _foot(point: Point, above: Point, below: Point) -> Point:
    """Drop a perpendicular from a point to the line through two others."""
    along = _direction(above, below)
    return above + along * ((point - above) * along.conjugate()).real


def _length(line: _Line) -> float:
    """Order lines so that a short one is drawn upon a long one."""
    return abs(line.ends[1] - line.ends[0])


def _place_tags(lines: list[_Line], skin: list[Point], across: Point, size: float) -> None:
    """Stand the numbers in two columns beside the face, in the order of their lines and clear of each other."""
    level = across.conjugate()  # turns the face upright

    def height(line: _Line) -> float:
        return (sum(line.ends) / 2 * level).imag

    columns: tuple[list[_Line], list[_Line]] = ([], [])
    for line in sorted(lines, key=height):
        first, second = (end * level for end in line.ends)
        if abs((second - first).imag) > abs((second - first).real):  # down the face: its number stands below it
            low = max(first, second, key=lambda end: end.imag)
            line.tagged_end, line.tag = low * across, (low + 1j * _TAG_GAP * size) * across
            continue
        fewer = int(len(columns[0]) > len(columns[1]))
        side = int(first.real > second.real) if line.kind is Kind.TO_MIDLINE else fewer
        line.tagged_end = sorted((first, second), key=lambda end: end.real)[side] * across
        columns[side].append(line)

    reach = [(point * level).real for point in skin]
    edges = min(reach) - _TAG_GAP * size, max(reach) + _TAG_GAP * size
    for column, edge in zip(columns, edges, strict=True):
        heights = _spread([height(line) for line in column], _TAG_STEP * size)
        for line, place in zip(column, heights, strict=True):
            line.tag = complex(edge, place) * across


def _spread(wanted: list[float], step: float) -> list[float]:
    """Move sorted places apart to at least `step`, as little as need be: those that touch share what they give way."""
    groups: list[tuple[float, int]] = []  # where each begins, and how many it holds
    for place in wanted:
        start, count = place, 1
        while groups and groups[-1][0] + step * groups[-1][1] > start:
            before, held = groups.pop()
            start = (held * before + count * (start - held * step)) / (held + count)
            count += held
        groups.append((start, count))
    return [start + step * n for start, count in groups for n in range(count)]


def _draw_mesh(points: list[Point], size: float) -> Iterator[str]:
    edges = "".join(f"M{_xy(points[a])}L{_xy(points[b])}" for a, b in EDGES)
    irises = "".join(f"M{'L'.join(_xy(points[index]) for index in ring)}Z" for ring in _IRIS_RINGS)
    yield f'<g class="mesh" fill="none" stroke="#ffffff" stroke-width="{size * _MESH_LINE:.3f}">'
    yield f'<path stroke-opacity="0.45" d="{edges}"/><path stroke-opacity="0.9" d="{irises}"/></g>'


def _xy(point: Point) -> str:
    return f"{point.real:.1f} {point.imag:.1f}"


def _draw_pose(origin: Point, rotation: list[list[float]], size: float) -> Iterator[str]:
    text = size * _TAG
    yield f'<g class="pose" stroke-width="{size * _LINE:.2f}" font-size="{text:.2f}" text-anchor="middle">'
    for name, column, direction, colour in _AXES:
        x, y, _ = (row[column] for row in rotation)
        tip = origin + _AXIS * size * direction * complex(x, y)
        label = tip + 0.9 * text * _direction(origin, tip) + 0.35j * text
        yield (
            f'<path stroke="#000000" stroke-opacity="0.5" stroke-width="{2 * _LINE * size:.2f}"'
            f' d="M{_xy(origin)}L{_xy(tip)}"/>'
            f'<line class="{name.lstrip("-")}" x1="{origin.real:.2f}" y1="{origin.imag:.2f}" x2="{tip.real:.2f}"'
            f' y2="{tip.imag:.2f}" stroke="{colour}"/>'
            f'<text x="{label.real:.2f}" y="{label.imag:.2f}" fill="{colour}" stroke="#000000"'
            f' stroke-width="{text / 5:.2f}" paint-order="stroke">{name.replace("-", "&#8722;")}</text>'
        )
    yield "</g>"


def _draw_name(number: int, points: list[Point], size: float) -> Iterator[str]:
    top = min(points, key=lambda point: point.imag)
    yield (
        f'<text x="{top.real:.2f}" y="{top.imag - _TAG * size:.2f}" font-size="{2.5 * _TAG * size:.2f}" fill="#ffffff"'
        f' stroke="#000000" stroke-width="{_TAG * size / 3:.2f}" paint-order="stroke" text-anchor="middle">'
        f"Face {number}</text>"
    )


def _draw_line(line: _Line, number: int, size: float) -> Iterator[str]:
    width, colour = size * _LINE, colour_of(line.key)
    (a, b), status = line.ends, MeasurementStatus(line.value["status"])
    said = ", ".join(filter(None, (value_in_words(line.value), status_in_words(line.value))))
    dashes = DASHES[status]
    dashed = f' stroke-dasharray="{" ".join(f"{width * length:.2f}" for length in dashes)}"' if dashes else ""
    identity = line.key if number == 1 else f"face-{number}-{line.key}"
    witness = "".join(
        f"M{_xy(point)}L{_xy(end)}" for point, end in zip(line.points, line.ends, strict=True) if point != end
    )
    yield (
        f'<g class="measurement" id={quoteattr(identity)} data-status="{status}" fill="{colour}" stroke="{colour}">'
        f"<title>{escape(f'{in_words(line.key)} {said}')}</title>"
        f'<path fill="none" stroke-width="{width / 4:.2f}" d="M{_xy(line.tagged_end)}L{_xy(line.tag)}{witness}"/>'
        f'<path stroke="#000000" stroke-opacity="0.4" stroke-width="{2 * width:.2f}" d="M{_xy(a)}L{_xy(b)}"/>'
        f'<line x1="{a.real:.2f}" y1="{a.imag:.2f}" x2="{b.real:.2f}" y2="{b.imag:.2f}"'
        f' stroke-width="{width:.2f}"{dashed}/>'
    )
    for end in line.ends:
        yield f'<circle cx="{end.real:.2f}" cy="{end.imag:.2f}" r="{size * _END:.2f}" stroke="none"/>'
    yield draw_tag(line.key, line.tag, _TAG * size) + "</g>"


def draw_tag(key: str, at: Point, radius: float) -> str:
    """Draw the disc with the number of a measurement."""
    colour = colour_of(key)
    return (
        f'<circle cx="{at.real:.2f}" cy="{at.imag:.2f}" r="{radius:.2f}" fill="#14181e" stroke="{colour}"'
        f' stroke-width="{radius / 6:.2f}"/><text x="{at.real:.2f}" y="{at.imag + 0.38 * radius:.2f}" stroke="none"'
        f' fill="{colour}" font-size="{1.1 * radius:.2f}" text-anchor="middle">{NUMBERS[key]}</text>'
    )
