"""Draws the pictures of docs/photos.md: `make docs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from docs.drawn_head import (
    HAIR,
    INK,
    MEAN_FACE_MM,
    PANEL,
    ROOT,
    Points,
    View,
    arc,
    head,
    name_of,
    shape,
    smooth,
    tone_of,
)
from shared.reference_objects import ID1_CARD_MM

FOLDER: Final = ROOT / "docs" / "images" / "photos"
_TALL: Final = 330.0
_GAP: Final = 16.0
_GOOD: Final = "#1c7c4a"
_BAD: Final = "#b3372f"
_BOLD: Final = ' class="t"'
_WIDTH: Final = (234, 454)
_EAR_DEPTH_MM: Final = 63.0
"""Behind the eyes: docs/measurements.md, "Depth"."""


@dataclass(frozen=True)
class Panel:
    """One of the pictures side by side: good or not, what it is called, and what is drawn."""

    good: bool
    says: tuple[str, ...]
    view: View = field(default_factory=View)
    over: Callable[[View], str] = lambda _: ""
    ground: str = "#e8eef0"


def _panel(number: int, panel: Panel) -> str:
    left = number * (PANEL + _GAP)
    colour = _GOOD if panel.good else _BAD
    mark = "M-6 0L-2 5 7-5" if panel.good else "M-5-5L5 5M5-5L-5 5"
    lines = "".join(
        f'<text x="{PANEL / 2}" y="{_TALL - 46 + 17 * line}"{_BOLD if line == 0 else ""}>{text}</text>'
        for line, text in enumerate(panel.says)
    )
    return (
        f'<g transform="translate({left} 0)"><clipPath id="p{number}">'
        f'<rect width="{PANEL}" height="268" rx="10"/></clipPath>'
        f'<g clip-path="url(#p{number})"><rect width="{PANEL}" height="268" fill="{panel.ground}"/>'
        f'<use href="#h{name_of(panel.view)}"/>{panel.over(panel.view)}</g>'
        f'<rect x="1" y="1" width="{PANEL - 2}" height="266" rx="9" fill="none" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="22" cy="22" r="13" fill="{colour}"/><path d="{mark}" transform="translate(22 22)" fill="none" '
        f'stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/>{lines}</g>'
    )


def drawing(title: str, panels: Sequence[Panel]) -> str:
    """Return panels side by side as an SVG."""
    wide = len(panels) * (PANEL + _GAP) - _GAP
    style = (
        "text{font:13px Helvetica,Arial,sans-serif;text-anchor:middle;fill:#3c474d}"
        ".t{font-weight:bold;font-size:15px;fill:#1f2a30}"
    )
    heads = {name_of(panel.view): head(panel.view) for panel in panels}
    defined = "".join(f'<g id="h{name}">{drawn}</g>' for name, drawn in heads.items())
    body = "".join(_panel(number, panel) for number, panel in enumerate(panels))
    size = f'viewBox="0 0 {wide:g} {_TALL:g}" width="{wide:g}" height="{_TALL:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{title}</title>'
        f"<style>{style}</style><defs>{defined}</defs>{body}</svg>\n"
    )


def _card(centre_mm: Sequence[float], tilt_deg: float = 0.0, extra: str = "") -> Callable[[View], str]:
    def over(view: View) -> str:
        wide, tall = ID1_CARD_MM
        corners = np.array([[-wide, -tall], [wide, -tall], [wide, tall], [-wide, tall]]) / 2
        turn = np.radians(tilt_deg)
        corners = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        card = view.seen(np.column_stack([corners + centre_mm[:2], np.full(4, centre_mm[2])]))
        across, down = card[1] - card[0], card[3] - card[0]

        def part(x: float, y: float, w: float, h: float) -> Points:
            start = card[0] + x * across + y * down
            return np.array([start, start + w * across, start + w * across + h * down, start + h * down])

        drawn = [shape(card, "#24566b", ' stroke="#24566b" stroke-width="5" stroke-linejoin="round"')]
        drawn += [shape(part(0.08, 0.32, 0.15, 0.24), "#d8b45a"), shape(part(0.08, 0.72, 0.6, 0.07), "#9fc0cc")]
        return "".join(drawn) + extra

    return over


def _fingers(view: View) -> str:
    places = (((-46.0, -40.0), 18), ((-52.0, -24.0), 8), ((46.0, -40.0), -18))
    drawn = []
    for (x, y), turn in places:
        px, py = view.seen(np.array([[x, y - 20, -25.0]]))[0]
        drawn.append(
            f'<rect x="-30" y="-8" width="60" height="16" rx="8" fill="{tone_of(0.85)}" stroke="{tone_of(0.4)}" '
            f'transform="translate({px:.1f} {py:.1f}) rotate({turn if x < 0 else turn + 180})"/>'
        )
    return "".join(drawn)


def _glasses(lens: str, opacity: float, frame: str) -> Callable[[View], str]:
    def over(view: View) -> str:
        drawn = []
        for side in (-1, 1):
            rim = view.seen(arc((side * 33, 4, -14), (27, 21, 1), 0, 345))
            drawn.append(smooth(rim, lens, f' fill-opacity="{opacity}" stroke="{frame}" stroke-width="4"'))
            hinge, ear = view.seen(np.array([[side * 60, 0, -10], [side * 78, 2, 60]]))
            drawn.append(
                f'<path d="M{hinge[0]:.1f} {hinge[1]:.1f}L{ear[0]:.1f} {ear[1]:.1f}" '
                f'stroke="{frame}" stroke-width="4"/>'
            )
        left, right = view.seen(np.array([[-7, 0, -22], [7, 0, -22]]))
        drawn.append(
            f'<path d="M{left[0]:.1f} {left[1]:.1f}Q{(left[0] + right[0]) / 2:.1f} {left[1] - 6:.1f} {right[0]:.1f} '
            f'{right[1]:.1f}" fill="none" stroke="{frame}" stroke-width="4"/>'
        )
        return "".join(drawn)

    return over


def _fringe(view: View) -> str:
    lower = np.array([[70, 8, 20], [62, -22, 5], [40, -12, -12], [18, -24, -18], [-8, -14, -18], [-32, -26, -12],
                      [-56, -14, 5], [-70, 14, 20]])  # fmt: skip
    strands = np.vstack([lower, arc((0, -30, 30), (84, 92, 1), 180, 360)])
    sides = [
        np.array(
            [
                [s * 50, -60, 10],
                [s * 92, -30, 40],
                [s * 98, 70, 50],
                [s * 88, 142, 50],
                [s * 52, 138, 40],
                [s * 57, 60, 22],
                [s * 60, 0, 20],
            ]
        )
        for s in (-1, 1)
    ]
    return "".join(smooth(view.seen(points), HAIR) for points in (*sides, strands))


def _cap(view: View) -> str:
    crown = np.vstack([np.array([[76, -30, 20], [-76, -30, 20]]), arc((0, -36, 40), (86, 96, 1), 185, 355)])
    peak = np.vstack([arc((0, -34, -40), (74, 22, 1), 0, 180), arc((0, -36, -10), (74, 20, 1), 180, 360)])
    return smooth(view.seen(crown), "#2d6a73") + smooth(view.seen(peak), "#1f4d54")


def _width_line(view: View) -> str:
    (x1, y1), (x2, y2) = view.seen(MEAN_FACE_MM[list(_WIDTH)])
    y = 236.0
    ends = "".join(
        f'<path d="M{x:.1f} {top:.1f}V{y + 5}" stroke="{INK}" stroke-dasharray="2 3"/>'
        for x, top in ((x1, y1), (x2, y2))
    )
    return ends + f'<path d="M{x1:.1f} {y}H{x2:.1f}" stroke="{INK}" stroke-width="2"/>'


def _distances() -> list[Panel]:
    panels = []
    for distance_mm, name, good in (
        (200.0, "20 cm", False),
        (600.0, "60 cm: arm’s length", True),
        (1500.0, "1.5 m", True),
    ):
        less = 100 * _EAR_DEPTH_MM / (distance_mm + _EAR_DEPTH_MM)
        says = (name, f"the ears’ edges are drawn {less:.0f} %", "smaller than the eyes")
        panels.append(Panel(good, says, View(distance_mm=distance_mm), _width_line))
    return panels


def drawings() -> dict[str, str]:
    """Return every picture by its file's name."""
    near = View(px_per_mm=1.75, centre=(PANEL / 2, 120))
    small = View(px_per_mm=0.3, centre=(PANEL / 2, 190))
    aside = View(light=(1.0, -0.1, -0.15), ambient=0.02)
    behind = View(ambient=0.0, light=(0, -1.0, 0.4))
    held_badly = _both(_card((0, -52, -22), 9), _fingers)
    return {
        "turn": drawing(
            "A straight head, one that is turned, one with the chin up",
            [
                Panel(True, ("straight", "nose to the lens, chin level")),
                Panel(False, ("turned by 30°", "one side is hidden"), View(yaw_deg=30)),
                Panel(False, ("chin up by 20°", "the face is shortened"), View(pitch_deg=20)),
            ],
        ),
        "distance": drawing("The same face from 20 cm, 60 cm and 1.5 m, the eyes drawn at one size", _distances()),
        "light": drawing(
            "Light from the front, from one side, and from behind",
            [
                Panel(True, ("light from the front", "even on both cheeks")),
                Panel(False, ("from one side", "half of the face is lost"), aside),
                Panel(False, ("from behind", "the face is in the dark"), behind, ground="#fff7dc"),
            ],
        ),
        "hair": drawing(
            "A clear forehead, hair over it, and a cap",
            [
                Panel(True, ("forehead clear", "hair behind the ears")),
                Panel(False, ("hair over forehead", "and cheeks"), over=_fringe),
                Panel(False, ("a cap or a helmet", "hides the forehead"), over=_cap),
            ],
        ),
        "glasses": drawing(
            "No glasses, clear glasses, dark glasses",
            [
                Panel(True, ("no glasses", "lenses change the iris")),
                Panel(False, ("clear lenses", "the iris is no ruler"), over=_glasses("#dfeef5", 0.35, "#2b2b2b")),
                Panel(False, ("dark lenses", "the eyes are not seen"), over=_glasses("#20282c", 0.93, "#111")),
            ],
        ),
        "card": drawing(
            "A bank card held flat on the forehead, on the upper lip, and held badly",
            [
                Panel(True, ("flat on the forehead", "placement: forehead"), over=_card((0, -52, -22))),
                Panel(True, ("flat on the upper lip", "placement: upper_lip"), over=_card((0, 76, -34))),
                Panel(False, ("fingers over its edges", "all four sides must be seen"), over=held_badly),
            ],
        ),
        "size": drawing(
            "A face of the right size, one that is cut off, one that is too small",
            [
                Panel(True, ("a third of the width or more", "with room around the head")),
                Panel(False, ("cut off", "chin and sides are missing"), near),
                Panel(False, ("too small", "too few pixels on the eyes"), small),
            ],
        ),
    }  # fmt: skip


def _both(*layers: Callable[[View], str]) -> Callable[[View], str]:
    return lambda view: "".join(layer(view) for layer in layers)


def main() -> None:
    """Write them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, svg in drawings().items():
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
