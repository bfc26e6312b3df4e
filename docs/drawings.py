"""Draws the pictures of docs/photos.md from the mean face that poses are measured against: `make docs`.

Faces are seen by a pinhole camera, so what is drawn of turning and of distance is what happens in a photo.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.reference_objects import ID1_CARD_MM
from worker.measure.mean_face import mean_face

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "images" / "photos"
Points = npt.NDArray[np.float64]

MEAN_FACE_MM: Final = mean_face()
_RIGHT_EYE: Final = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
_LEFT_EYE: Final = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
_LIPS: Final = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
_MOUTH: Final = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
_BROWS: Final = ([70, 63, 105, 66, 107, 55, 65, 52, 53, 46], [300, 293, 334, 296, 336, 285, 295, 282, 283, 276])
_IRISES: Final = ((468, 469, 471), (473, 474, 476))
_WIDTH: Final = (234, 454)
_EAR_DEPTH_MM: Final = 63.0  # behind the eyes: docs/measurements.md, "Depth"

_PANEL, _TALL, _GAP = 240.0, 330.0, 16.0
_SKULL_MM: Final = (np.array([0.0, -22.0, 78.0]), np.array([78.0, 100.0, 92.0]))
_TONES: Final = 26
_OVERLAP_DEG: Final = 15.0
"""Up to this turn nothing of a face is drawn over another part of it."""
_SKIN: Final = (np.array([118.0, 78.0, 62.0]), np.array([245.0, 205.0, 178.0]))
_BOLD: Final = ' class="t"'
_INK, _HAIR, _GOOD, _BAD = "#1f2a30", "#3b2c26", "#1c7c4a", "#b3372f"
_FRONT_LIGHT: Final = (0.15, -0.35, -1.0)
_FAR_MM: Final = 1000.0


@dataclass(frozen=True)
class View:
    """A head before a camera: turned, so far away, lit from one side, and how large it is drawn."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    distance_mm: float = _FAR_MM
    light: tuple[float, float, float] = _FRONT_LIGHT
    ambient: float = 0.35
    centre: tuple[float, float] = (_PANEL / 2, 140.0)
    px_per_mm: float = 0.93

    def turned(self, points: Points) -> Points:
        """Return points of the face as they stand before the camera, in mm."""
        yaw, pitch = np.radians(-self.yaw_deg), np.radians(-self.pitch_deg)
        about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        pivot = np.array([0.0, 40.0, 70.0])
        turned: Points = (np.atleast_2d(points) - pivot) @ (about_y @ about_x).T + pivot
        return turned

    def seen(self, points: Points) -> Points:
        """Return where points of the face are drawn. The eyes keep their size, however far away they are."""
        turned = self.turned(points)
        size = self.px_per_mm * self.distance_mm / (turned[:, 2:] + self.distance_mm)
        seen: Points = np.array(self.centre) + turned[:, :2] * size
        return seen


def _path(points: Points) -> str:
    """Return a closed path in tenths of a unit, each corner by its way from the one before."""
    tenths = np.round(np.asarray(points) * 10).astype(int)
    ways = "".join(f"{x / 10:+g}{y / 10:+g}" for x, y in np.diff(tenths, axis=0))
    return f"M{tenths[0][0] / 10:g} {tenths[0][1] / 10:g}l{ways.replace('+', ' ')}z"


def _shape(points: Points, colour: str, more: str = "") -> str:
    return f'<path d="{_path(points)}" fill="{colour}"{more}/>'


def _smooth(points: Points, colour: str, more: str = "") -> str:
    """Return a closed curve through points."""
    after, before = np.roll(points, -1, axis=0), np.roll(points, 1, axis=0)
    slopes = (after - before) / 6
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for here, there, out, into in zip(points, after, slopes, np.roll(slopes, -1, axis=0), strict=True):
        numbers = " ".join(f"{value:.1f}" for value in (*(here + out), *(there - into), *there))
        parts.append(f"C{numbers}")
    return f'<path d="{"".join(parts)}z" fill="{colour}"{more}/>'


def _hull(points: Points) -> Points:
    """Return the corners of what a rubber band around the points would be (Andrew's monotone chain)."""
    ordered = sorted(map(tuple, points))

    def half(some: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
        kept: list[tuple[float, ...]] = []
        for point in some:
            while len(kept) > 1 and _left_of(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _left_of(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _ellipsoid(grow_mm: float) -> Points:
    around, up = np.meshgrid(np.linspace(0, 2 * np.pi, 48), np.linspace(0, np.pi, 30))
    unit = np.stack([np.sin(up) * np.cos(around), np.cos(up), np.sin(up) * np.sin(around)], axis=-1).reshape(-1, 3)
    centre, radii = _SKULL_MM
    points: Points = centre + unit * (radii + grow_mm)
    return points


def _arc(centre: Sequence[float], radii: Sequence[float], from_deg: float, to_deg: float) -> Points:
    """Return points of an ellipse in a plane that faces the camera; 0 is to the right, 90 is down."""
    turn = np.radians(np.linspace(from_deg, to_deg, 25))
    x, y = centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)
    return np.stack([x, y, np.full_like(x, centre[2])], axis=1)


def _tone(share: float) -> str:
    dark, bright = _SKIN
    return "#" + "".join(f"{int(value):02x}" for value in dark + (bright - dark) * share)


def _name(view: View) -> str:
    return f"{zlib.crc32(repr(view).encode()):x}"


def _lit(view: View, normal: Sequence[float], less: float = 0.0) -> str:
    """Return the colour of skin that faces somewhere."""
    light = np.array(view.light) / np.linalg.norm(view.light)
    share = float(np.clip(np.array(normal) / np.linalg.norm(normal) @ light, 0, 1))
    return _tone(float(np.clip(view.ambient + (1 - view.ambient) * share - less, 0, 1)))


def _gradient(view: View) -> str:
    """Return the colours of a forehead from one side to the other."""
    steps = np.linspace(-1, 1, 7)
    stops = "".join(
        f'<stop offset="{(step + 1) / 2:.2f}" stop-color="{_lit(view, (0.8 * step, -0.1, -np.sqrt(1.1 - step**2)))}"/>'
        for step in steps
    )
    return f'<linearGradient id="f{_name(view)}">{stops}</linearGradient>'


def _skin(view: View) -> Iterator[str]:
    """Yield the triangles that face the camera, far ones first, those of one tone together where none overlap."""
    triangles = np.loadtxt(ROOT / "shared" / "face_triangles.txt", dtype=int)
    turned, seen = view.turned(MEAN_FACE_MM), view.seen(MEAN_FACE_MM)
    a, b, c = (turned[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    of_points = np.zeros_like(MEAN_FACE_MM)
    for corner in range(3):
        np.add.at(of_points, triangles[:, corner], normals)
    of_points /= np.maximum(np.linalg.norm(of_points, axis=1, keepdims=True), 1e-9)
    smooth = of_points[triangles].mean(axis=1)
    light = np.array(view.light) / np.linalg.norm(view.light)
    outwards = np.sign(np.sum(normals[:, 2])) * -1.0
    share = np.clip(view.ambient + (1 - view.ambient) * np.clip(smooth @ light * outwards, 0, 1), 0, 1)
    tones = np.round(share * (_TONES - 1)).astype(int)
    towards = outwards * np.einsum("ij,ij->i", normals, (a + b + c) / 3 + [0, 0, view.distance_mm]) < 0
    depth = turned[triangles][:, :, 2].mean(axis=1)
    layers = (
        np.digitize(depth, [-15.0, 0.0, 20.0]) if abs(view.yaw_deg) > _OVERLAP_DEG else np.zeros(len(depth), dtype=int)
    )
    drawn: dict[tuple[int, int], list[str]] = defaultdict(list)
    for number in np.flatnonzero(towards):
        drawn[-layers[number], tones[number]].append(_path(seen[triangles[number]]))
    for (_, tone), paths in sorted(drawn.items()):
        colour = _tone(tone / (_TONES - 1))
        yield f'<path d="{"".join(paths)}" fill="{colour}" stroke="{colour}" stroke-width=".7"/>'


def head(view: View) -> str:
    """Return a person: hair, neck, ears, skin, eyes, brows and mouth."""
    shade = _lit(view, (0.0, 0.6, -0.5), less=0.2)
    x, y = view.centre
    size = view.px_per_mm
    shirt = f"M{x - 128 * size} {y + 205 * size}Q{x - 105 * size} {y + 158 * size} {x - 40 * size} {y + 146 * size}"
    shirt += f"L{x + 40 * size} {y + 146 * size}Q{x + 105 * size} {y + 158 * size} {x + 128 * size} {y + 205 * size}z"
    neck = _hull(
        view.seen(np.vstack([_arc((0, 78, 85), (52, 10, 1), 0, 360), _arc((0, 150, 90), (58, 12, 1), 0, 360)]))
    )
    parts = [_smooth(_hull(view.seen(_ellipsoid(9.0)))[::3], _HAIR), f'<path d="{shirt}" fill="#6d8791"/>']
    parts.append(_shape(neck, shade))
    for side in (-1, 1):
        lit = _lit(view, (side * 0.6, 0, -0.8))
        parts.append(_smooth(view.seen(_arc((side * 74, 22, 74), (11, 27, 1), 0, 345)), lit))
    brow = np.vstack([MEAN_FACE_MM[[127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356]]])
    forehead = np.vstack([brow, _arc((0, -34, 28), (66, 52, 1), 180, 360)])
    parts.append(_smooth(_hull(view.seen(forehead)), f"url(#f{_name(view)})"))
    parts.insert(0, _gradient(view))
    parts += _skin(view)
    for eye, (pupil, one, other) in zip((_RIGHT_EYE, _LEFT_EYE), _IRISES, strict=True):
        white = view.seen(MEAN_FACE_MM[eye])
        parts.append(_smooth(white, "#f4f1ec"))
        centre = view.seen(MEAN_FACE_MM[pupil])[0]
        radius = float(np.linalg.norm(np.diff(view.seen(MEAN_FACE_MM[[one, other]]), axis=0))) / 2
        clip = f"e{pupil}{_name(view)}"
        parts.append(f'<clipPath id="{clip}"><path d="{_path(white)}"/></clipPath><g clip-path="url(#{clip})">')
        parts.append(f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius:.1f}" fill="#5b7f8c"/>')
        parts.append(f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius * 0.42:.1f}" fill="#171c1f"/></g>')
        parts.append(_smooth(white, "none", f' stroke="{_INK}" stroke-width="1.1" stroke-opacity=".7"'))
    parts += [_smooth(view.seen(MEAN_FACE_MM[brow_points]), _HAIR) for brow_points in _BROWS]
    parts.append(_smooth(view.seen(MEAN_FACE_MM[_LIPS]), "#b5655f"))
    parts.append(_smooth(view.seen(MEAN_FACE_MM[_MOUTH]), "#7d3e3d"))
    return "".join(parts)


@dataclass(frozen=True)
class Panel:
    """One of the pictures side by side: good or not, what it is called, and what is drawn."""

    good: bool
    says: tuple[str, ...]
    view: View = field(default_factory=View)
    over: Callable[[View], str] = lambda _: ""
    ground: str = "#e8eef0"


def _panel(number: int, panel: Panel) -> str:
    left = number * (_PANEL + _GAP)
    colour = _GOOD if panel.good else _BAD
    mark = "M-6 0L-2 5 7-5" if panel.good else "M-5-5L5 5M5-5L-5 5"
    lines = "".join(
        f'<text x="{_PANEL / 2}" y="{_TALL - 46 + 17 * line}"{_BOLD if line == 0 else ""}>{text}</text>'
        for line, text in enumerate(panel.says)
    )
    return (
        f'<g transform="translate({left} 0)"><clipPath id="p{number}"><rect width="{_PANEL}" height="268" rx="10"/></clipPath>'
        f'<g clip-path="url(#p{number})"><rect width="{_PANEL}" height="268" fill="{panel.ground}"/>'
        f'<use href="#h{_name(panel.view)}"/>{panel.over(panel.view)}</g>'
        f'<rect x="1" y="1" width="{_PANEL - 2}" height="266" rx="9" fill="none" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="22" cy="22" r="13" fill="{colour}"/><path d="{mark}" transform="translate(22 22)" fill="none" '
        f'stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/>{lines}</g>'
    )


def drawing(title: str, panels: Sequence[Panel]) -> str:
    """Return panels side by side as an SVG."""
    wide = len(panels) * (_PANEL + _GAP) - _GAP
    style = (
        "text{font:13px Helvetica,Arial,sans-serif;text-anchor:middle;fill:#3c474d}"
        ".t{font-weight:bold;font-size:15px;fill:#1f2a30}"
    )
    heads = {_name(panel.view): head(panel.view) for panel in panels}
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

        drawn = [_shape(card, "#24566b", ' stroke="#24566b" stroke-width="5" stroke-linejoin="round"')]
        drawn += [_shape(part(0.08, 0.32, 0.15, 0.24), "#d8b45a"), _shape(part(0.08, 0.72, 0.6, 0.07), "#9fc0cc")]
        return "".join(drawn) + extra

    return over


def _fingers(view: View) -> str:
    places = (((-46.0, -40.0), 18), ((-52.0, -24.0), 8), ((46.0, -40.0), -18))
    drawn = []
    for (x, y), turn in places:
        px, py = view.seen(np.array([[x, y - 20, -25.0]]))[0]
        drawn.append(
            f'<rect x="-30" y="-8" width="60" height="16" rx="8" fill="{_tone(0.85)}" stroke="{_tone(0.4)}" '
            f'transform="translate({px:.1f} {py:.1f}) rotate({turn if x < 0 else turn + 180})"/>'
        )
    return "".join(drawn)


def _glasses(lens: str, opacity: float, frame: str) -> Callable[[View], str]:
    def over(view: View) -> str:
        drawn = []
        for side in (-1, 1):
            rim = view.seen(_arc((side * 33, 4, -14), (27, 21, 1), 0, 345))
            drawn.append(_smooth(rim, lens, f' fill-opacity="{opacity}" stroke="{frame}" stroke-width="4"'))
            hinge, ear = view.seen(np.array([[side * 60, 0, -10], [side * 78, 2, 60]]))
            drawn.append(
                f'<path d="M{hinge[0]:.1f} {hinge[1]:.1f}L{ear[0]:.1f} {ear[1]:.1f}" stroke="{frame}" stroke-width="4"/>'
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
    strands = np.vstack([lower, _arc((0, -30, 30), (84, 92, 1), 180, 360)])
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
    return "".join(_smooth(view.seen(points), _HAIR) for points in (*sides, strands))


def _cap(view: View) -> str:
    crown = np.vstack([np.array([[76, -30, 20], [-76, -30, 20]]), _arc((0, -36, 40), (86, 96, 1), 185, 355)])
    peak = np.vstack([_arc((0, -34, -40), (74, 22, 1), 0, 180), _arc((0, -36, -10), (74, 20, 1), 180, 360)])
    return _smooth(view.seen(crown), "#2d6a73") + _smooth(view.seen(peak), "#1f4d54")


def _width_line(view: View) -> str:
    (x1, y1), (x2, y2) = view.seen(MEAN_FACE_MM[list(_WIDTH)])
    y = 236.0
    ends = "".join(
        f'<path d="M{x:.1f} {top:.1f}V{y + 5}" stroke="{_INK}" stroke-dasharray="2 3"/>'
        for x, top in ((x1, y1), (x2, y2))
    )
    return ends + f'<path d="M{x1:.1f} {y}H{x2:.1f}" stroke="{_INK}" stroke-width="2"/>'


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
    near = View(px_per_mm=1.75, centre=(_PANEL / 2, 120))
    small = View(px_per_mm=0.3, centre=(_PANEL / 2, 190))
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
                Panel(False, ("from one side", "half of the face is lost"), View(light=(1.0, -0.1, -0.15), ambient=0.02)),
                Panel(False, ("from behind", "the face is in the dark"), View(ambient=0.0, light=(0, -1.0, 0.4)), ground="#fff7dc"),
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
                Panel(False, ("fingers over its edges", "all four sides must be seen"), over=_both(_card((0, -52, -22), 9), _fingers)),
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
