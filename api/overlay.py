"""The overlay of a measured photo: the mesh, each measurement with its name and value, on the photo if it was kept."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from shared.measurements import DEFINITIONS

SVG_TYPE: Final = "image/svg+xml"
CONTENT_SECURITY_POLICY: Final = "default-src 'none'; img-src data:"

_COLOURS: Final = ("#ffd166", "#06d6a0", "#4cc9f0", "#f78c6b", "#c77dff")
_LANDMARK_SHARE: Final = 1 / 260
"""Radius of a point, text and lines, as shares of the width of the face, so that every size of photo reads alike."""
_TEXT_SHARE: Final = 1 / 18
_LINE_SHARE: Final = 1 / 130


def draw_overlay(result: dict[str, Any], preview_jpeg: bytes | None) -> str:
    """Draw a result as SVG.

    Parameters
    ----------
    result : dict
        As `shared.schemas.JobResult`, with landmarks.
    preview_jpeg : bytes, optional
        A small copy of the photo without metadata; it is stretched to the size of the photo.

    Returns
    -------
    str
        An SVG whose user units are the pixels of the full upright photo.
    """
    width, height = result["image"]["width"], result["image"]["height"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f"<title>Measured faces: {len(result['faces'])}</title>",
        '<rect width="100%" height="100%" fill="#20242b"/>',
    ]
    if preview_jpeg is not None:
        source = quoteattr("data:image/jpeg;base64," + base64.b64encode(preview_jpeg).decode())
        parts.append(f'<image href={source} width="{width}" height="{height}" preserveAspectRatio="none"/>')
    for number, face in enumerate(result["faces"], start=1):
        parts.extend(_draw_face(number, face))
    return "\n".join([*parts, "</svg>", ""])


def _draw_face(number: int, face: dict[str, Any]) -> Iterator[str]:
    size = face["bounding_box"]["width"]
    yield f'<g id="face-{number}">'
    yield '<g class="mesh" fill="#ffffff" fill-opacity="0.75">'
    radius = size * _LANDMARK_SHARE
    for point in face["landmarks"]:
        yield f'<circle cx="{point["x"]:.2f}" cy="{point["y"]:.2f}" r="{radius:.2f}"/>'
    yield "</g>"
    for definition, colour in zip(DEFINITIONS, _COLOURS, strict=False):
        value = face["measurements"].get(definition.key)
        if value is not None:
            ends = [face["landmarks"][index] for index in definition.landmarks]
            yield _draw_measurement(definition.key, value["px"], ends, colour, size)
    yield "</g>"


def _draw_measurement(key: str, px: float, ends: list[dict[str, float]], colour: str, size: float) -> str:
    (x1, y1), (x2, y2) = ((end["x"], end["y"]) for end in ends)
    stroke, text = size * _LINE_SHARE, size * _TEXT_SHARE
    label = escape(f"{key.replace('_', ' ')} {px:.1f} px")
    return (
        f'<g class="measurement" id={quoteattr(key)} fill="{colour}" stroke="{colour}">'
        f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" stroke-width="{stroke:.2f}"/>'
        + "".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{1.6 * stroke:.2f}"/>' for x, y in ((x1, y1), (x2, y2)))
        + f'<text x="{(x1 + x2) / 2:.2f}" y="{(y1 + y2) / 2 - text / 2:.2f}" font-size="{text:.2f}"'
        f' text-anchor="middle" stroke="#000000" stroke-width="{text / 6:.2f}" paint-order="stroke">{label}</text></g>'
    )
