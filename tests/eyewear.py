"""Glasses and sunglasses, drawn onto real portraits. See `tests/occluders.py`."""

from __future__ import annotations

import numpy as np

from tests.occluders import (
    Canvas,
    Draw,
    Floats,
    Pixels,
    Points,
    Random,
    area,
    close_canvas,
    grain,
    lay,
    open_canvas,
    smooth,
    stroke,
)


def _lens(canvas: Canvas, rng_shape: Floats, side: float) -> Points:
    """Outline one lens: `rng_shape` is half width, half height, squareness, drop (units)."""
    half_width, half_height, square, drop = rng_shape
    middle = (canvas.points[[33, 133, 263, 362]].mean(axis=0)) + canvas.unit_px * (
        side * 0.375 * canvas.across + drop * canvas.down
    )
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = half_width * np.sign(cos) * np.abs(cos) ** square
    y = half_height * np.sign(sin) * np.abs(sin) ** square * (1 - 0.08 * side * np.sign(sin) * x / half_width)
    return np.asarray(middle + canvas.unit_px * (x[:, None] * canvas.across + y[:, None] * canvas.down))


def _shape(rng: Random) -> Floats:
    return np.array([rng.uniform(0.25, 0.3), rng.uniform(0.17, 0.24), rng.uniform(0.55, 1.0), rng.uniform(0.02, 0.06)])


def _closed(path: Points) -> Points:
    return np.concatenate([path, path[:2]])


def _frame(canvas: Canvas, shape: Floats, width: float, *, rims: bool = True) -> Floats:
    """Cover of the rims, the bridge and the temples."""
    right, left = (_lens(canvas, shape, side) for side in (-1.0, 1.0))
    cover = np.zeros(canvas.colour.shape[:2])
    level = -0.35 * shape[1] * canvas.unit_px * canvas.down
    inner = [lens[np.argmin(np.abs((lens - canvas.points[168]) @ canvas.across))] for lens in (right, left)]
    arch = (inner[0] + inner[1]) / 2 - 0.04 * canvas.unit_px * canvas.down
    bridge = np.array([inner[0] + level, arch + level, inner[1] + level])
    paths = [bridge]
    outer = [right[np.argmin((right) @ canvas.across)], left[np.argmax(left @ canvas.across)]]
    paths += [np.array([outer[0] + level, canvas.at(127, -0.05)]), np.array([outer[1] + level, canvas.at(356, 0.05)])]
    if rims:
        paths += [_closed(right), _closed(left)]
    for path in paths:
        cover = np.maximum(cover, stroke(canvas, path, width, 0.003))
    return cover


def clear_glasses(
    colour: tuple[float, float, float], width: tuple[float, float], *, opacity: float = 1.0, rims: bool = True
) -> Draw:
    """Make glasses with clear lenses; `width` is the range of the frame's thickness (units)."""

    def draw(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
        canvas = open_canvas(pixels, mesh)
        shape = _shape(rng)
        thick = rng.uniform(*width)
        frame = _frame(canvas, shape, thick, rims=rims)
        lenses = np.maximum(area(canvas, _lens(canvas, shape, -1.0)), area(canvas, _lens(canvas, shape, 1.0)))
        shadow = smooth(np.roll(frame, max(1, round(0.025 * canvas.unit_px)), axis=0), 0.012 * canvas.unit_px)
        result = canvas.colour * (1 - 0.3 * shadow)[..., None]
        across, down = canvas.grid()
        glare = np.exp(-(((across * 0.8 + down + rng.uniform(0.5, 0.9)) / 0.05) ** 2)) * rng.uniform(0, 0.2)
        result = lay(result, np.full_like(result, 245.0), lenses * glare)
        light = canvas.light[..., None] ** 0.5 * grain(canvas, rng, 0.08, 0.02)[..., None]
        edge = 1 + 0.25 * (smooth(frame, 0.008 * canvas.unit_px) - 0.6)[..., None]
        return close_canvas(pixels, canvas, lay(result, np.array(colour) * light * edge, frame * opacity))

    return draw


def sunglasses(lens: tuple[float, float, float], opacity: float, *, mirrored: bool = False) -> Draw:
    """Make sunglasses: dark, tinted (the eyes shimmer through) or mirrored (the sky shows in them)."""

    def draw(pixels: Pixels, mesh: Points, rng: Random) -> Pixels:
        canvas = open_canvas(pixels, mesh)
        shape = _shape(rng) * np.array([1.08, 1.15, 1, 1])
        lenses = np.maximum(area(canvas, _lens(canvas, shape, -1.0)), area(canvas, _lens(canvas, shape, 1.0)))
        across, down = canvas.grid()
        tone = np.array(lens) * np.ones_like(canvas.colour)
        if mirrored:
            ramp = ((down + 0.75) / 0.5).clip(0, 1)[..., None]
            horizon = smooth((down > -0.42 + 0.05 * np.sin(9 * across)).astype(float), 2)[..., None]
            tone = (np.array(lens) * (1.4 - 0.7 * ramp)) * (1 - 0.55 * horizon)
        sheen = np.exp(-(((across + 0.7 * down + 0.2) / 0.06) ** 2))[..., None] * rng.uniform(0, 60)
        behind = canvas.colour * (np.array(lens) / 255) if opacity < 1 else canvas.colour
        seen = opacity * (tone + sheen) + (1 - opacity) * behind
        result = lay(canvas.colour, seen, lenses)
        frame = _frame(canvas, shape, rng.uniform(0.015, 0.06))
        dark = np.array((25.0, 22.0, 22.0))
        return close_canvas(pixels, canvas, lay(result, dark * np.ones_like(result), frame))

    return draw
