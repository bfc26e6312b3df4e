"""Cards and markers of known size, painted into photos in true perspective, so that the right answer is known.

Nothing here imports the product: a mistake in its geometry cannot hide in its own test pictures. Lengths are mm in the
camera's frame (X right, Y down, Z away), px positions are of centres of px.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID1_MM = (85.60, 53.98)
ID1_CORNER_MM = 3.18
TEXTURE_PX_PER_MM = 12
SUBSAMPLES = 4

MARKERS = {
    ("4x4_50", 0): ("1011", "0101", "0011", "0010"),
    ("4x4_50", 7): ("1100", "0100", "1111", "0010"),
    ("4x4_50", 23): ("1101", "1101", "1000", "0010"),
    ("5x5_50", 3): ("10000", "00111", "00101", "01111", "10111"),
    ("6x6_250", 11): ("010010", "001101", "100001", "011011", "001001", "010111"),
}
"""Dictionary and id to rows of modules, 1 is white; the black border is added when painted."""


@dataclass(frozen=True, slots=True)
class View:
    """How a flat object lies before the camera.

    `tilt_deg` turns it about an axis in its own plane, at `axis_deg` from its long side; `turn_deg` turns it in the
    picture; `centre_px` is where its centre is seen and `depth_mm` how far away that is along the optical axis.
    """

    focal_px: float
    depth_mm: float
    centre_px: tuple[float, float]
    axis_px: tuple[float, float]
    tilt_deg: float = 0.0
    axis_deg: float = 0.0
    turn_deg: float = 0.0

    @property
    def mm_per_px(self) -> float:
        return self.depth_mm / self.focal_px

    def to_px(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        seen = np.c_[points_mm, np.ones(len(points_mm))] @ self.homography().T
        return np.asarray(seen[:, :2] / seen[:, 2:], dtype=np.float64)

    def homography(self) -> NDArray[np.float64]:
        rotation = _turn(self.turn_deg) @ _turn(self.axis_deg) @ _tilt(self.tilt_deg) @ _turn(-self.axis_deg)
        offset = (np.array(self.centre_px) - self.axis_px) * self.mm_per_px
        columns = np.c_[rotation[:, :2], (*offset, self.depth_mm)]
        f = self.focal_px
        lens = np.array([(f, 0, self.axis_px[0]), (0, f, self.axis_px[1]), (0, 0, 1)])
        return np.asarray(lens @ columns, dtype=np.float64)


def _turn(degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])


def _tilt(degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([(1, 0, 0), (0, c, -s), (0, s, c)])


def corners_mm(size_mm: tuple[float, float]) -> NDArray[np.float64]:
    return np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * size_mm


# What is printed on them


@cache
def card(kind: str, size_mm: tuple[float, float] = ID1_MM) -> NDArray[np.uint8]:
    """Paint the face of a card: `white`, `stripe`, `dark`, `pictured` or `identity`."""
    k = TEXTURE_PX_PER_MM
    width, height = (round(side * k) for side in size_mm)
    ground = {"white": (238, 238, 235), "stripe": (228, 226, 220), "dark": (30, 32, 38), "identity": (214, 224, 222)}
    image = Image.new("RGB", (width, height), ground.get(kind, (40, 90, 160)))
    draw = ImageDraw.Draw(image)

    def box(x: float, y: float, w: float, h: float, colour: tuple[int, int, int]) -> None:
        draw.rectangle((x * k, y * k, (x + w) * k, (y + h) * k), fill=colour)

    if kind == "stripe":
        box(0, 4.4, size_mm[0], 11, (28, 24, 22))
        box(6, 20, 55, 8, (250, 250, 246))
    if kind == "dark":
        box(9, 19, 12.5, 9.5, (205, 180, 110))
        _lines(draw, (9, 33), (66, 3.5), (190, 190, 195), 1)
        _lines(draw, (9, 42), (34, 2.2), (180, 180, 185), 2)
    if kind == "pictured":
        _picture(image)
        box(9, 19, 12.5, 9.5, (215, 195, 130))
        _lines(draw, (9, 33), (66, 3.5), (240, 240, 240), 1)
    if kind == "identity":
        box(4, 12, 24, 32, (150, 160, 170))
        draw.ellipse((9 * k, 17 * k, 23 * k, 35 * k), fill=(190, 150, 130))
        box(4, 3, size_mm[0] - 8, 5, (60, 90, 130))
        _lines(draw, (32, 13), (46, 1.8), (60, 60, 70), 5)
        for ring in range(6, 0, -1):
            shade = (170 + 12 * ring, 200 - 10 * ring, 150 + 15 * (ring % 3))
            draw.ellipse(((68 - ring) * k, (38 - ring) * k, (68 + ring) * k, (38 + ring) * k), fill=shade)
    return np.asarray(image)


def _lines(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], size: tuple[float, float], ink: tuple[int, int, int], rows: int
) -> None:
    """Put down rows of blocks that look like print from afar."""
    k, rng = TEXTURE_PX_PER_MM, np.random.default_rng(rows)
    for row in range(rows):
        x = at[0]
        while x < at[0] + size[0]:
            length = float(rng.uniform(0.4, 0.9)) * size[1]
            y = at[1] + row * 2.2 * size[1]
            draw.rectangle((x * k, y * k, (x + length) * k, (y + size[1]) * k), fill=ink)
            x += length + 0.35 * size[1]


def _picture(image: Image.Image) -> None:
    """Cover a card with a landscape: a sky that fades, hills, a sun."""
    width, height = image.size
    sky = np.linspace((60, 120, 200), (235, 190, 150), height)[:, np.newaxis].repeat(width, axis=1)
    image.paste(Image.fromarray(sky.astype(np.uint8)))
    draw, x = ImageDraw.Draw(image), np.arange(width)
    for level, colour in ((0.55, (80, 110, 90)), (0.7, (50, 80, 60)), (0.85, (30, 50, 45))):
        ridge = height * (level + 0.08 * np.sin(x / width * 9 + 20 * level) + 0.03 * np.sin(x / width * 31))
        draw.polygon([*zip(x.tolist(), ridge.tolist(), strict=True), (width, height), (0, height)], fill=colour)
    draw.ellipse((0.7 * width, 0.12 * height, 0.82 * width, 0.12 * height + 0.12 * width), fill=(255, 240, 190))


def marker(dictionary: str, marker_id: int, side_mm: float, margin_mm: float) -> NDArray[np.uint8]:
    """Paint a marker: black border of one module, white margin around it."""
    bits = np.array([[int(bit) for bit in row] for row in MARKERS[dictionary, marker_id]])
    modules = np.pad(bits, 1)
    k = TEXTURE_PX_PER_MM
    side, margin = round(side_mm * k), round(margin_mm * k)
    index = (np.arange(side) * len(modules)) // side
    grey = np.where(modules[index][:, index], 240, 18).astype(np.uint8)
    return np.pad(grey, margin, constant_values=240)[..., np.newaxis].repeat(3, axis=2)


# Into the photo


def paint(
    photo: NDArray[np.uint8],
    texture: NDArray[np.uint8],
    size_mm: tuple[float, float],
    view: View,
    corner_mm: float = 0.0,
) -> NDArray[np.uint8]:
    """Put a flat object into a photo, each px the mean of 4 x 4 rays through it."""
    corners = view.to_px(corners_mm(size_mm))
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    window = photo[top:bottom, left:right]
    height, width = window.shape[:2]
    if 0 in window.shape:
        return photo
    steps = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    y = (top + np.arange(height)[:, np.newaxis] + steps).ravel()
    x = (left + np.arange(width)[:, np.newaxis] + steps).ravel()
    back = np.linalg.inv(view.homography())
    rays = [back[row, 0] * x + back[row, 1] * y[:, np.newaxis] + back[row, 2] for row in range(3)]
    u, v = rays[0] / rays[2], rays[1] / rays[2]
    inside = _inside(u, v, size_mm, corner_mm)
    texture_px = _minified(texture, size_mm, view.mm_per_px / SUBSAMPLES)
    rows, columns = texture_px.shape[:2]
    column = np.clip(((u / size_mm[0] + 0.5) * columns).astype(int), 0, columns - 1)
    row = np.clip(((v / size_mm[1] + 0.5) * rows).astype(int), 0, rows - 1)
    colours = texture_px[row, column] * inside[..., np.newaxis]
    block = (height, SUBSAMPLES, width, SUBSAMPLES)
    cover = inside.reshape(block).mean(axis=(1, 3), dtype=np.float64)[..., np.newaxis]
    seen = colours.reshape(*block, 3).mean(axis=(1, 3))
    out = photo.copy()
    out[top:bottom, left:right] = np.rint(window * (1 - cover) + seen).astype(np.uint8)
    return out


def _inside(
    u: NDArray[np.float64], v: NDArray[np.float64], size_mm: tuple[float, float], corner_mm: float
) -> NDArray[np.bool_]:
    beyond_x = np.abs(u) - (size_mm[0] / 2 - corner_mm)
    beyond_y = np.abs(v) - (size_mm[1] / 2 - corner_mm)
    in_corner = (beyond_x > 0) & (beyond_y > 0)
    rounded = beyond_x**2 + beyond_y**2 <= corner_mm**2
    inside: NDArray[np.bool_] = (beyond_x <= corner_mm) & (beyond_y <= corner_mm) & (~in_corner | rounded)
    return inside


def _minified(texture: NDArray[np.uint8], size_mm: tuple[float, float], mm_per_sample: float) -> NDArray[np.uint8]:
    """Shrink a texture to about one px for each ray, so that print does not alias."""
    columns = max(8, min(round(size_mm[0] / mm_per_sample), texture.shape[1]))
    rows = max(8, min(round(size_mm[1] / mm_per_sample), texture.shape[0]))
    return np.asarray(Image.fromarray(texture).resize((columns, rows), Image.Resampling.BOX))
