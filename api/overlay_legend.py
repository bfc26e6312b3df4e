"""The panel beside the photo: one face enlarged, and each measurement by number, name and value."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from api.overlay_face import DrawnFace, draw_tag
from api.overlay_text import NUMBERS, facts_in_words, in_words, status_in_words, value_in_words

_INK: Final = "#e8edf2"
_FAINT: Final = "#93a1b0"
_WARNING: Final = "#ffb454"

# In heights of text.
_WIDTH: Final = 25.0
_MARGIN: Final = 1.3
_CLOSE_UP_HEIGHT: Final = 19.0
_GAP: Final = 0.4
_TITLE: Final = 1.35
_SMALL: Final = 0.8
_FACT_STEP: Final = 1.25
_ROW_STEP: Final = 1.55
_REMARK_STEP: Final = 1.1
_INDENT: Final = 2.2
_TAG: Final = 0.68
"""Radius of the disc with a number."""
_RAISE: Final = 0.34
"""Half the height of a digit: where the middle of a row is."""
_REMARK_LETTERS: Final = 42
"""As many fit beside a number in small text, whatever sans-serif face there is."""


@dataclass(frozen=True, slots=True)
class Legend:
    """The drawn panel of one face.

    Attributes
    ----------
    parts : list of str
        SVG, in pixels of the photo.
    right, bottom : float
        Where it ends [px].
    """

    parts: list[str]
    right: float
    bottom: float


def draw_legend(number: int, face: dict[str, Any], shape: DrawnFace, *, left: float, text: float) -> Legend:
    """Draw the panel of one face.

    Parameters
    ----------
    number : int
        1 for the largest.
    face : dict
        As `shared.results.Face`.
    shape : DrawnFace
        Where it is drawn, within the element of the id `scene`.
    left : float
        Where the panel begins [px of the photo].
    text : float
        Height of text [px of the photo].
    """
    page = _Page(left + _MARGIN * text, left + (_WIDTH - _MARGIN) * text, text)
    page.parts.append(f'<g class="legend" id="legend-{number}">')
    page.down(_MARGIN + 1)
    page.write(f"Face {number}", size=_TITLE)
    page.write(f"quality {face['quality']['score']} of 100", at_right=True)
    page.down(_GAP)
    for fact in facts_in_words(face):
        page.down(_FACT_STEP)
        page.write(fact, size=_SMALL, colour=_FAINT)
    page.down(_MARGIN)
    _draw_close_up(page, shape)
    for key in NUMBERS:
        if key in face["measurements"]:
            _draw_row(page, key, face["measurements"][key])
    page.parts.append("</g>")
    return Legend(page.parts, left + _WIDTH * text, page.y + _MARGIN * text)


@dataclass(slots=True)
class _Page:
    """Written from the top down; `y` is the line that text stands on."""

    left: float
    right: float
    text: float
    y: float = 0.0
    parts: list[str] = field(default_factory=list)

    def down(self, steps: float) -> None:
        self.y += steps * self.text

    def write(
        self, words: str, *, size: float = 1.0, colour: str = _INK, indent: float = 0.0, at_right: bool = False
    ) -> None:
        x, anchor = (self.right, "end") if at_right else (self.left + indent * self.text, "start")
        self.parts.append(
            f'<text x="{x:.2f}" y="{self.y:.2f}" font-size="{size * self.text:.2f}" fill="{colour}"'
            f' text-anchor="{anchor}">{escape(words)}</text>'
        )


def _draw_close_up(page: _Page, shape: DrawnFace) -> None:
    """Show the face once more, as large as the panel allows."""
    width, height = page.right - page.left, _CLOSE_UP_HEIGHT * page.text
    page.parts.append(
        f'<svg x="{page.left:.2f}" y="{page.y:.2f}" width="{width:.2f}" height="{height:.2f}" viewBox="{shape.left:.2f}'
        f' {shape.top:.2f} {shape.right - shape.left:.2f} {shape.bottom - shape.top:.2f}"><use href="#scene"/></svg>'
    )
    page.down(_CLOSE_UP_HEIGHT + _GAP)


def _draw_row(page: _Page, key: str, value: dict[str, Any]) -> None:
    """Write one measurement: number, name and value, and below it what is wrong with it."""
    page.down(_ROW_STEP)
    remark = status_in_words(value)
    page.parts.append(f'<g class="row" data-status={quoteattr(value["status"])}>')
    page.parts.append(
        draw_tag(key, complex(page.left + _TAG * page.text, page.y - _RAISE * page.text), _TAG * page.text)
    )
    page.parts.append(
        f'<text y="{page.y:.2f}" font-size="{page.text:.2f}" fill="{_FAINT if remark else _INK}">'
        f'<tspan x="{page.left + _INDENT * page.text:.2f}">{escape(in_words(key))} </tspan>'
        f'<tspan x="{page.right:.2f}" text-anchor="end">{escape(value_in_words(value))}</tspan></text>'
    )
    for line in textwrap.wrap(remark, _REMARK_LETTERS):
        page.down(_REMARK_STEP)
        page.write(line, size=_SMALL, colour=_WARNING, indent=_INDENT)
    page.parts.append("</g>")
