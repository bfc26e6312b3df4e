"""Things that cover a face, drawn onto real portraits: masks, scarves, hands, beards, fringes and caps.

Made for tests and for `python -m bench.occlusion`. Everything is placed by the mesh of the bare face, in units of the
distance between its outer eye corners, takes over the light of the photo, and throws a soft shadow. Every function
takes RGB pixels of shape (h, w, 3), the mesh in them and a source of chance, and returns new pixels. Eyewear is in
`tests/eyewear.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Floats = NDArray[np.float64]
Random = np.random.Generator
Draw = Callable[[Pixels, Points, Random], Pixels]

RIGHT_CHEEK, LEFT_CHEEK = (117, 118, 101, 50), (346, 347, 330, 280)
JAW = (132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)


@dataclass(frozen=True)
class Canvas:
    """The part of a photo around a face, as floats, and the axes of that face."""

    colour: Floats
    light: Floats
    """How bright the face is here, low-passed, over the brightness of its cheeks."""
    points: Points
    unit_px: float
    across: Floats
    down: Floats
    corner: tuple[int, int]
    skin: Floats

    def at(self, index: int, across: float = 0.0, down: float = 0.0) -> Points:
        """Give the place of a mesh point, moved by so many units."""
        return np.asarray(self.points[index] + self.unit_px * (across * self.across + down * self.down))

    def grid(self) -> tuple[Floats, Floats]:
        """Give the coordinates of each pixel in units, from the tip of the nose."""
        height, width = self.colour.shape[:2]
        y, x = np.mgrid[0:height, 0:width]
        offset = np.stack([x, y], axis=-1) - self.points[1]
        return offset @ self.across / self.unit_px, offset @ self.down / self.unit_px


def open_canvas(pixels: Pixels, mesh: Points) -> Canvas:
    height, width = pixels.shape[:2]
    eyes = mesh[263, :2] - mesh[33, :2]
    unit = float(np.hypot(*eyes))
    low = np.floor(mesh[:468, :2].min(axis=0) - unit).astype(int).clip(0)
    high = np.ceil(mesh[:468, :2].max(axis=0) + unit).astype(int).clip(0, (width, height))
    colour = pixels[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    points = mesh[:, :2] - low
    places = points[list(RIGHT_CHEEK + LEFT_CHEEK)].round().astype(int)
    skin = np.median(colour[places[:, 1], places[:, 0]], axis=0)
    luma = Image.fromarray(colour.mean(axis=2).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.16 * unit))
    light = (np.asarray(luma, dtype=np.float64) / skin.mean()).clip(0.35, 1.35)
    across = eyes / unit
    down = np.array([-across[1], across[0]])
    return Canvas(colour, light, points, unit, across, down, (int(low[0]), int(low[1])), skin)


def close_canvas(pixels: Pixels, canvas: Canvas, colour: Floats) -> Pixels:
    result = pixels.copy()
    x, y = canvas.corner
    height, width = colour.shape[:2]
    result[y : y + height, x : x + width] = colour.clip(0, 255).round().astype(np.uint8)
    return result


def spline(corners: Points, steps: int = 12) -> Points:
    """Run a closed Catmull-Rom curve through the corners."""
    t = np.arange(steps)[:, np.newaxis] / steps
    before, here, after, then = (np.roll(corners, shift, axis=0)[:, np.newaxis] for shift in (1, 0, -1, -2))
    curve = here + t * (after - before) / 2
    curve = curve + t**2 * (before - 2.5 * here + 2 * after - then / 2)
    curve = curve + t**3 * (1.5 * (here - after) + (then - before) / 2)
    return np.asarray(curve.reshape(-1, 2))


def area(canvas: Canvas, outline: Points, soft: float = 0.008) -> Floats:
    """Fill an outline: 1 inside, 0 outside, the edge `soft` units wide."""
    height, width = canvas.colour.shape[:2]
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in outline], fill=255)
    blurred = image.filter(ImageFilter.GaussianBlur(max(0.5, soft * canvas.unit_px)))
    return np.asarray(blurred, dtype=np.float64) / 255


def stroke(canvas: Canvas, path: Points, width: float, soft: float = 0.004) -> Floats:
    """Draw a line `width` units thick, its ends round."""
    image = Image.new("L", (canvas.colour.shape[1], canvas.colour.shape[0]))
    draw = ImageDraw.Draw(image)
    thick = max(1, round(width * canvas.unit_px))
    draw.line([(float(x), float(y)) for x, y in path], fill=255, width=thick, joint="curve")
    for x, y in (path[0], path[-1]):
        draw.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], fill=255)
    blurred = image.filter(ImageFilter.GaussianBlur(max(0.4, soft * canvas.unit_px)))
    return np.asarray(blurred, dtype=np.float64) / 255


def smooth(values: Floats, radius_px: float) -> Floats:
    """Blur values of 0 to 1."""
    image = Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius_px)), dtype=np.float64) / 255


def lay(colour: Floats, cover: Floats, alpha: Floats) -> Floats:
    """Lay a cover over what is there."""
    return np.asarray(colour * (1 - alpha[..., np.newaxis]) + cover * alpha[..., np.newaxis])


def shadowed(canvas: Canvas, colour: Floats, alpha: Floats, depth: float = 0.3) -> Floats:
    """Darken what lies just below and beside a cover."""
    shift = max(1, round(0.03 * canvas.unit_px))
    fallen = smooth(np.roll(alpha, shift, axis=0), 0.05 * canvas.unit_px)
    return np.asarray(colour * (1 - depth * fallen * (1 - alpha))[..., np.newaxis])


def grain(canvas: Canvas, rng: Random, strength: float, size: float) -> Floats:
    """Make soft noise around 1, like a weave."""
    height, width = canvas.colour.shape[:2]
    noise = smooth(rng.normal(0.5, 0.2, (height, width)), max(0.5, size * canvas.unit_px))
    return np.asarray(1 + strength * (noise - noise.mean()) / (noise.std() + 1e-6))


# Masks and scarves


def mask_outline(canvas: Canvas, rng: Random, nose: float) -> Points:
    """Outline a mask from the nose (`nose` 0 the root, 1 the tip) to under the chin."""
    jitter = rng.normal(0, 0.012, 4)
    bridge = canvas.points[6] * (1 - nose) + canvas.points[4] * nose
    reach = 0.04 + abs(jitter[0])
    right = 0.5 * (canvas.at(50) + canvas.at(101)) + (0.35 * nose + jitter[1]) * canvas.unit_px * canvas.down * 0.6
    left = 0.5 * (canvas.at(280) + canvas.at(330)) + (0.35 * nose + jitter[1]) * canvas.unit_px * canvas.down * 0.6
    sag = 0.1 + jitter[3]
    return spline(
        np.array(
            [
                bridge,
                0.45 * bridge + 0.55 * right,
                right,
                canvas.at(137, -0.01, 0.03),
                canvas.at(58, -reach, 0),
                canvas.at(136, -reach, reach),
                canvas.at(149, -reach / 2, sag),
                canvas.at(152, 0, sag + 0.03),
                canvas.at(378, reach / 2, sag),
                canvas.at(365, reach, reach),
                canvas.at(288, reach, 0),
                canvas.at(366, 0.01, 0.03),
                left,
                0.45 * bridge + 0.55 * left,
            ]
        )
    )


def pleats(canvas: Canvas, rng: Random, number: int, depth: float) -> Floats:
    """Fold cloth across: dark creases with a bright lip, sagging towards the middle."""
    across, down = canvas.grid()
    folds = np.ones_like(down)
    for place in np.linspace(0.12, 0.75, number) + rng.normal(0, 0.03, number):
        distance = down - place - rng.uniform(-0.12, 0.06) * across**2 - rng.normal(0, 0.03) * across
        folds -= depth * rng.uniform(0.6, 1.2) * np.exp(-((distance / 0.012) ** 2))
        folds += 0.4 * depth * np.exp(-(((distance + 0.035) / 0.03) ** 2))
    return folds


def wrinkles(canvas: Canvas, rng: Random, depth: float) -> Floats:
    """Crumple cloth softly."""
    return np.asarray(grain(canvas, rng, depth, 0.09) * grain(canvas, rng, depth / 2, 0.04))


def bulge(canvas: Canvas, strength: float) -> Floats:
    """Turn cloth away from the light towards the sides and under the chin."""
    across, down = canvas.grid()
    return np.asarray(1 + strength * (0.5 - across**2 * 1.6) - strength * (down - 0.45).clip(0, None) * 1.5)


def cloth(colour: Floats | tuple[float, float, float], *, pleated: bool = False, nose: float | None = None) -> Draw:
    """Make a mask of one colour; a surgical one has pleats."""

    def draw(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
        canvas = open_canvas(pixels, mesh)
        paint = np.asarray(colour) * rng.normal(1, 0.03, 3)
        return _wear(pixels, canvas, np.broadcast_to(paint, canvas.colour.shape), rng, pleated=pleated, nose=nose)

    return draw


def skin_cloth(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Put on a mask in the colour of the wearer's own skin."""
    canvas = open_canvas(pixels, mesh)
    paint = canvas.skin * rng.normal(1, 0.04) * rng.normal(1, 0.015, 3)
    pleated = bool(rng.integers(2))
    return _wear(pixels, canvas, np.broadcast_to(paint, canvas.colour.shape), rng, pleated=pleated)


def patterned_cloth(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Put on a mask with stripes, checks or dots of two colours."""
    canvas = open_canvas(pixels, mesh)
    across, down = canvas.grid()
    period, angle = rng.uniform(0.06, 0.2), rng.uniform(0, np.pi)
    u = np.sin(2 * np.pi * (across * np.cos(angle) + down * np.sin(angle)) / period)
    v = np.sin(2 * np.pi * (down * np.cos(angle) - across * np.sin(angle)) / period)
    pattern = (u, np.sign(u * v), u + v - 0.6, u * v)[rng.integers(4)]
    share = smooth((pattern > 0).astype(np.float64), 0.006 * canvas.unit_px + 0.5)[..., np.newaxis]
    first, second = rng.uniform(20, 240, (2, 3))
    return _wear(pixels, canvas, first * share + second * (1 - share), rng)


def _wear(
    pixels: Pixels, canvas: Canvas, paint: Floats, rng: Random, *, pleated: bool = False, nose: float | None = None
) -> Pixels:
    outline = mask_outline(canvas, rng, rng.uniform(0.2, 0.6) if nose is None else nose)
    alpha = area(canvas, outline)
    relief = pleats(canvas, rng, int(rng.integers(2, 5)), 0.16) if pleated else wrinkles(canvas, rng, 0.04)
    relief = relief * bulge(canvas, 0.16) * canvas.light**0.7 * grain(canvas, rng, 0.015, 0.004)
    cover = paint * relief[..., np.newaxis]
    colour = shadowed(canvas, canvas.colour, alpha)
    for corner, ear in ((137, 127), (366, 356)):
        loop = stroke(canvas, np.array([canvas.at(corner, 0, 0.05), canvas.at(ear, 0, 0.1)]), 0.014)
        colour = lay(colour, paint * canvas.light[..., np.newaxis], loop)
    hem = 1 - 0.15 * (smooth(alpha, 3) < 0.9)[..., np.newaxis]
    colour = lay(colour, cover * hem, alpha)
    return close_canvas(pixels, canvas, colour)


def ffp2(colour: tuple[float, float, float]) -> Draw:
    """Make a respirator: two panels meeting in a vertical seam, or a horizontal fold, and a nose clip."""

    def draw(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
        canvas = open_canvas(pixels, mesh)
        across, down = canvas.grid()
        alpha = area(canvas, mask_outline(canvas, rng, rng.uniform(0.1, 0.45)))
        if rng.integers(2):
            relief = 1 - 0.28 * np.abs(across) - 0.25 * np.exp(-((across / 0.01) ** 2))
        else:
            fold = down - 0.18 + 0.35 * across**2
            relief = 1 - 0.35 * fold.clip(0, None) - 0.2 * np.exp(-((fold / 0.012) ** 2))
        clip = stroke(canvas, np.array([canvas.at(126, 0, 0.07), canvas.at(5), canvas.at(355, 0, 0.07)]), 0.03)
        relief = relief * (1 - 0.12 * clip) * grain(canvas, rng, 0.012, 0.003)
        cover = np.asarray(colour) * (relief * bulge(canvas, 0.12) * canvas.light**0.6)[..., np.newaxis]
        return close_canvas(pixels, canvas, lay(shadowed(canvas, canvas.colour, alpha), cover, alpha))

    return draw


def scarf(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Wrap a scarf around the neck and up over the nose."""
    canvas = open_canvas(pixels, mesh)
    across, down = canvas.grid()
    top = canvas.points[6] * 0.4 + canvas.points[4] * 0.6
    outline = spline(
        np.array(
            [
                top,
                canvas.at(205, 0, -0.05),
                canvas.at(93, -0.12, 0),
                canvas.at(172, -0.25, 0.5),
                canvas.at(152, 0, 0.75),
                canvas.at(397, 0.25, 0.5),
                canvas.at(323, 0.12, 0),
                canvas.at(425, 0, -0.05),
            ]
        )
    )
    alpha = area(canvas, outline, 0.014)
    waves = sum(
        0.12 * np.sin(2 * np.pi * (down + slant * across + 0.2 * across**2) / period)
        for slant, period in zip(rng.normal(0, 0.4, 3), rng.uniform(0.15, 0.5, 3), strict=True)
    )
    knit = 0.05 * np.sin(2 * np.pi * across / 0.035) * np.sin(2 * np.pi * down / 0.03)
    paint = rng.uniform(30, 210, 3)
    relief = (1 + waves + knit) * bulge(canvas, 0.15) * canvas.light**0.5 * grain(canvas, rng, 0.05, 0.005)
    cover: Any = paint * relief[..., np.newaxis]
    return close_canvas(pixels, canvas, lay(shadowed(canvas, canvas.colour, alpha), cover, alpha))
