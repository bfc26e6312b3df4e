"""A head as an SVG: the mean face that poses are measured against, shaded, with hair, ears and neck around it.

It is seen by a pinhole camera, so what is drawn of turning and of distance is what happens in a photo.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from worker.measure.mean_face import mean_face

ROOT: Final = Path(__file__).resolve().parents[1]
Points = npt.NDArray[np.float64]

MEAN_FACE_MM: Final = mean_face()
_RIGHT_EYE: Final = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
_LEFT_EYE: Final = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
_LIPS: Final = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
_MOUTH: Final = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
_BROWS: Final = ([70, 63, 105, 66, 107, 55, 65, 52, 53, 46], [300, 293, 334, 296, 336, 285, 295, 282, 283, 276])
_IRISES: Final = ((468, 469, 471), (473, 474, 476))

PANEL: Final = 240.0
"""The width of a picture of a head."""
_SKULL_MM: Final = (np.array([0.0, -22.0, 78.0]), np.array([78.0, 100.0, 92.0]))
_TONES: Final = 26
_OVERLAP_DEG: Final = 15.0
"""Up to this turn nothing of a face is drawn over another part of it."""
_SKIN: Final = (np.array([118.0, 78.0, 62.0]), np.array([245.0, 205.0, 178.0]))
INK: Final = "#1f2a30"
HAIR: Final = "#3b2c26"
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
    centre: tuple[float, float] = (PANEL / 2, 140.0)
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


def shape(points: Points, colour: str, more: str = "") -> str:
    """Return a polygon."""
    return f'<path d="{_path(points)}" fill="{colour}"{more}/>'


def smooth(points: Points, colour: str, more: str = "") -> str:
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


def arc(centre: Sequence[float], radii: Sequence[float], from_deg: float, to_deg: float) -> Points:
    """Return points of an ellipse in a plane that faces the camera; 0 is to the right, 90 is down."""
    turn = np.radians(np.linspace(from_deg, to_deg, 25))
    x, y = centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)
    return np.stack([x, y, np.full_like(x, centre[2])], axis=1)


def tone_of(share: float) -> str:
    """Return the colour of skin under so much light, 0 to 1."""
    dark, bright = _SKIN
    return "#" + "".join(f"{int(value):02x}" for value in dark + (bright - dark) * share)


def name_of(view: View) -> str:
    """Return what a view is called within a drawing."""
    return f"{zlib.crc32(repr(view).encode()):x}"


def _lit(view: View, normal: Sequence[float], less: float = 0.0) -> str:
    """Return the colour of skin that faces somewhere."""
    light = np.array(view.light) / np.linalg.norm(view.light)
    share = float(np.clip(np.array(normal) / np.linalg.norm(normal) @ light, 0, 1))
    return tone_of(float(np.clip(view.ambient + (1 - view.ambient) * share - less, 0, 1)))


def _gradient(view: View) -> str:
    """Return the colours of a forehead from one side to the other."""
    steps = np.linspace(-1, 1, 7)
    stops = "".join(
        f'<stop offset="{(step + 1) / 2:.2f}" stop-color="{_lit(view, (0.8 * step, -0.1, -np.sqrt(1.1 - step**2)))}"/>'
        for step in steps
    )
    return f'<linearGradient id="f{name_of(view)}">{stops}</linearGradient>'


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
    softened = of_points[triangles].mean(axis=1)
    light = np.array(view.light) / np.linalg.norm(view.light)
    outwards = np.sign(np.sum(normals[:, 2])) * -1.0
    share = np.clip(view.ambient + (1 - view.ambient) * np.clip(softened @ light * outwards, 0, 1), 0, 1)
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
        colour = tone_of(tone / (_TONES - 1))
        yield f'<path d="{"".join(paths)}" fill="{colour}" stroke="{colour}" stroke-width=".7"/>'


def head(view: View) -> str:
    """Return a person: hair, neck, ears, skin, eyes, brows and mouth."""
    shade = _lit(view, (0.0, 0.6, -0.5), less=0.2)
    x, y = view.centre
    size = view.px_per_mm
    shirt = f"M{x - 128 * size} {y + 205 * size}Q{x - 105 * size} {y + 158 * size} {x - 40 * size} {y + 146 * size}"
    shirt += f"L{x + 40 * size} {y + 146 * size}Q{x + 105 * size} {y + 158 * size} {x + 128 * size} {y + 205 * size}z"
    neck = _hull(view.seen(np.vstack([arc((0, 78, 85), (52, 10, 1), 0, 360), arc((0, 150, 90), (58, 12, 1), 0, 360)])))
    parts = [smooth(_hull(view.seen(_ellipsoid(9.0)))[::3], HAIR), f'<path d="{shirt}" fill="#6d8791"/>']
    parts.append(shape(neck, shade))
    for side in (-1, 1):
        lit = _lit(view, (side * 0.6, 0, -0.8))
        parts.append(smooth(view.seen(arc((side * 74, 22, 74), (11, 27, 1), 0, 345)), lit))
    brow = np.vstack([MEAN_FACE_MM[[127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356]]])
    forehead = np.vstack([brow, arc((0, -34, 28), (66, 52, 1), 180, 360)])
    parts.append(smooth(_hull(view.seen(forehead)), f"url(#f{name_of(view)})"))
    parts.insert(0, _gradient(view))
    parts += _skin(view)
    for eye, (pupil, one, other) in zip((_RIGHT_EYE, _LEFT_EYE), _IRISES, strict=True):
        white = view.seen(MEAN_FACE_MM[eye])
        parts.append(smooth(white, "#f4f1ec"))
        centre = view.seen(MEAN_FACE_MM[pupil])[0]
        radius = float(np.linalg.norm(np.diff(view.seen(MEAN_FACE_MM[[one, other]]), axis=0))) / 2
        clip = f"e{pupil}{name_of(view)}"
        parts.append(f'<clipPath id="{clip}"><path d="{_path(white)}"/></clipPath><g clip-path="url(#{clip})">')
        parts.append(f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius:.1f}" fill="#5b7f8c"/>')
        parts.append(f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius * 0.42:.1f}" fill="#171c1f"/></g>')
        parts.append(smooth(white, "none", f' stroke="{INK}" stroke-width="1.1" stroke-opacity=".7"'))
    parts += [smooth(view.seen(MEAN_FACE_MM[brow_points]), HAIR) for brow_points in _BROWS]
    parts.append(smooth(view.seen(MEAN_FACE_MM[_LIPS]), "#b5655f"))
    parts.append(smooth(view.seen(MEAN_FACE_MM[_MOUTH]), "#7d3e3d"))
    return "".join(parts)
