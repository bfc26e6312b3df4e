"""Hands, beards, fringes, caps and shut eyelids, drawn onto real portraits. See `tests/occluders.py`."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from tests.occluders import (
    JAW,
    LIPS,
    Canvas,
    Floats,
    Pixels,
    Points,
    Random,
    area,
    close_canvas,
    grain,
    lay,
    open_canvas,
    shadowed,
    smooth,
    spline,
    stroke,
)

FOREHEAD_TOP = (21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251)
EYELIDS = (
    (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
        (222, 223, 224),
        (22, 23, 24),
    ),
    (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
        (442, 443, 444),
        (252, 253, 254),
    ),
)
"""For each eye the points of the upper and of the lower lid, and some on the skin above and below them."""

PEAK = -1.15
"""Where a cap's peak ends and its crown begins [units above the tip of the nose]."""


def hand_on_mouth(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Hold four fingers over the mouth and the chin."""
    return _fingers(pixels, mesh, rng, centre=17, lift=rng.uniform(-0.02, 0.04), number=4)


def hand_on_chin(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Rest the chin on the fingers: the mouth stays free."""
    return _fingers(pixels, mesh, rng, centre=199, lift=rng.uniform(0.02, 0.06), number=2)


def _fingers(pixels: Pixels, mesh: Points, rng: Random, *, centre: int, lift: float, number: int) -> Pixels:
    canvas = open_canvas(pixels, mesh)
    side = rng.choice([-1.0, 1.0])
    angle = rng.uniform(0.0, 0.35) * side
    along = canvas.across * np.cos(angle) + canvas.down * np.sin(angle)
    normal = canvas.down * np.cos(angle) - canvas.across * np.sin(angle)
    tint = canvas.skin * rng.normal(1, 0.06) * np.array([1.04, 0.98, 0.97])
    colour = canvas.colour
    height, width = colour.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    thick = 0.19
    for row in range(number):
        offset = (row - (number - 1) / 2) * thick * 0.93 + lift
        middle = canvas.points[centre] + canvas.unit_px * offset * normal
        tip = middle + canvas.unit_px * side * rng.uniform(0.34, 0.5) * along
        root = middle - canvas.unit_px * side * 1.3 * along
        alpha = stroke(canvas, np.array([root, tip]), thick, 0.006)
        height_above = 1 - (((np.stack([x, y], -1) - middle) @ normal) / (thick / 2 * canvas.unit_px)) ** 2
        relief = 0.62 + 0.4 * np.sqrt(height_above.clip(0, 1))
        for knuckle in (0.0, 0.3):
            distance = ((np.stack([x, y], -1) - tip) @ along) / canvas.unit_px * side + 0.25 + knuckle
            relief = relief - 0.05 * np.exp(-((distance / 0.015) ** 2))
        nail = stroke(canvas, np.array([tip - along * side * 0.05 * canvas.unit_px, tip]), 0.1, 0.01)
        cover = tint * (relief * canvas.light**0.6 * grain(canvas, rng, 0.02, 0.01))[..., np.newaxis]
        cover = lay(cover, cover * np.array([1.08, 1.03, 1.03]), nail)
        colour = lay(shadowed(canvas, colour, alpha, 0.35), cover, alpha)
    return close_canvas(pixels, canvas, colour)


def _strands(canvas: Canvas, rng: Random, roots: Points, steps: Points, colour: Floats) -> tuple[Floats, Floats]:
    """Draw one hair from each root along its step; give the colour and how much of it covers."""
    height, width = canvas.colour.shape[:2]
    twice = 2
    ink = Image.new("RGB", (width * twice, height * twice))
    mask = Image.new("L", (width * twice, height * twice))
    draw_ink, draw_mask = ImageDraw.Draw(ink), ImageDraw.Draw(mask)
    thick = max(1, round(0.006 * canvas.unit_px * twice))
    for root, step, shade in zip(roots, steps, rng.normal(1, 0.25, len(roots)).clip(0.4, 1.9), strict=True):
        bend = rng.normal(0, 0.15) * np.array([-step[1], step[0]])
        path = [tuple((root + t * step + t * (1 - t) * bend) * twice) for t in (0.0, 0.35, 0.7, 1.0)]
        tone = tuple(int(c) for c in (colour * shade).clip(0, 255))
        draw_ink.line(path, fill=tone, width=thick)
        draw_mask.line(path, fill=255, width=thick)
    size = (width, height)
    alpha = np.asarray(mask.resize(size, Image.Resampling.BOX), dtype=np.float64) / 255
    shrunk = np.asarray(ink.resize(size, Image.Resampling.BOX), dtype=np.float64)
    return shrunk / alpha.clip(0.02, 1)[..., np.newaxis], alpha


def _hair_colour(rng: Random) -> Floats:
    colours = ((28, 24, 22), (48, 34, 26), (80, 56, 38), (120, 88, 58), (125, 120, 115))
    return np.array(colours[rng.integers(len(colours))], dtype=np.float64)


def full_beard(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Grow a dense beard with a moustache; the lips stay free."""
    canvas = open_canvas(pixels, mesh)
    upper = [canvas.at(361, -0.05), canvas.at(435, 0, -0.02), canvas.at(410, 0.08, -0.02), canvas.at(391, 0.05)]
    upper += [canvas.at(2, 0, 0.03), canvas.at(165, -0.05), canvas.at(186, -0.08, -0.02), canvas.at(215, 0, -0.02)]
    upper.append(canvas.at(132, 0.05))
    jaw = [canvas.at(index, 0, 0.02) for index in JAW]
    jaw[4:-4] = [canvas.at(index, 0, 0.08) for index in JAW[4:-4]]
    region = area(canvas, spline(np.array([*jaw, *upper]), 4), 0.03)
    region = region * (1 - area(canvas, np.array([canvas.at(index) for index in LIPS]), 0.012))
    ys, xs = np.nonzero(region > rng.uniform(0.1, 0.9, region.shape))
    chosen = rng.integers(0, len(xs), 9000)
    roots = np.stack([xs[chosen], ys[chosen]], -1).astype(np.float64)
    steps = canvas.unit_px * 0.06 * (canvas.down + np.outer(rng.normal(0, 0.5, len(roots)), canvas.across))
    hair = _hair_colour(rng)
    ink, alpha = _strands(canvas, rng, roots, steps, hair)
    base = lay(canvas.colour, np.broadcast_to(hair * 0.7, canvas.colour.shape), smooth(region, 2) * 0.6)
    lips = 1 - area(canvas, np.array([canvas.at(index) for index in LIPS]), 0.006)
    return close_canvas(pixels, canvas, lay(base, ink * canvas.light[..., np.newaxis] ** 0.5, alpha * lips))


def fringe(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Comb hair over the forehead, down to the brows."""
    canvas = open_canvas(pixels, mesh)
    hair = _hair_colour(rng)
    top = np.array([canvas.at(index, 0, -0.25) for index in FOREHEAD_TOP])
    number = 5000
    place = rng.uniform(0, len(top) - 1, number)
    low = place.astype(int)
    roots = top[low] + (place - low)[:, np.newaxis] * (top[(low + 1).clip(None, len(top) - 1)] - top[low])
    length = canvas.unit_px * (0.25 + float((canvas.at(9) - canvas.at(10)) @ canvas.down) / canvas.unit_px)
    reach = rng.uniform(0.75, 1.05, number) * length
    lean = rng.normal(rng.choice([-0.15, 0.0, 0.15]), 0.12, number)
    steps = reach[:, np.newaxis] * (canvas.down + lean[:, np.newaxis] * canvas.across)
    ink, alpha = _strands(canvas, rng, roots, steps, hair)
    shadow = shadowed(canvas, canvas.colour, smooth(alpha, 2), 0.3)
    return close_canvas(pixels, canvas, lay(shadow, ink * canvas.light[..., np.newaxis] ** 0.4, alpha))


def cap(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Put on a cap whose peak comes down to the brows."""
    canvas = open_canvas(pixels, mesh)
    across, down = canvas.grid()
    drop = rng.uniform(-0.14, -0.04)
    brows = [canvas.at(index, 0, drop) for index in (300, 334, 9, 105, 70)]
    edge = [canvas.at(251, 0.08), *brows, canvas.at(21, -0.08)]
    crown = [canvas.at(54, -0.1, -0.3), canvas.at(103, 0, -0.6), canvas.at(10, 0, -0.65), canvas.at(332, 0, -0.6)]
    alpha = area(canvas, spline(np.array([*edge, *crown, canvas.at(284, 0.1, -0.3)])))
    paint = rng.uniform(20, 200, 3)
    relief = (1 + 0.12 * np.sin(5 * across)) * grain(canvas, rng, 0.03, 0.004)
    relief = relief * (0.75 + 0.25 * smooth((down < PEAK).astype(np.float64), 3))
    colour = shadowed(canvas, shadowed(canvas, canvas.colour, alpha, 0.4), smooth(alpha, 0.1 * canvas.unit_px), 0.25)
    return close_canvas(pixels, canvas, lay(colour, paint * relief[..., np.newaxis], alpha))


def _tone(canvas: Canvas, points: tuple[int, ...]) -> Floats:
    """Average the colour around some points."""
    places = np.array([canvas.at(index) for index in points]).round().astype(int)
    return np.asarray(np.mean([canvas.colour[y - 1 : y + 2, x - 1 : x + 2] for x, y in places], axis=(0, 1, 2)))


def shut_eyes(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
    """Draw the upper lids down to the lower ones, with a line of lashes."""
    canvas = open_canvas(pixels, mesh)
    colour = canvas.colour
    _, down = canvas.grid()
    for upper, lower, above, below in EYELIDS:
        outline = np.array([canvas.at(index) for index in (*upper, *lower[::-1])])
        top, bottom = (_tone(canvas, points) for points in (above, below))
        inside = area(canvas, outline)
        heights = down[inside > 0.5]
        share = ((down - heights.min()) / (heights.max() - heights.min())).clip(0, 1)[..., np.newaxis]
        lid = np.maximum(inside, stroke(canvas, outline[: len(upper)], 0.035, 0.01))
        skin = (top + share * (bottom - top)) * (1 + 0.08 * np.sin(np.pi * share))  # the lid bulges over the eye
        colour = lay(colour, skin * grain(canvas, rng, 0.02, 0.01)[..., np.newaxis], lid)
        lashes = np.array([canvas.at(index, 0, 0.008) for index in lower])
        colour = lay(colour, np.full_like(colour, 35.0), 0.85 * stroke(canvas, lashes, 0.014, 0.005))
    return close_canvas(pixels, canvas, colour)
