"""Pictures without a face, drawn from a seed: what a detector must stay silent on.

Ten kinds of texture in turn, each with its own colours, scale and direction. Half of them are drawn in the colours of
skin, which is what face detectors are most easily fooled by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Field = NDArray[np.float64]
Random = np.random.Generator

SIZES_PX = ((480, 360), (360, 480), (400, 400), (640, 360))
SKIN = ((255, 219, 172), (224, 172, 105), (141, 85, 36), (60, 34, 20))


def textures(count: int, seed: int) -> Iterator[tuple[str, Pixels]]:
    """Yield `count` named RGB pictures; the same seed gives the same ones, and fewer are the first of more."""
    for number in range(count):
        random = np.random.default_rng((seed, number))
        kind, draw = list(KINDS.items())[number % len(KINDS)]
        width, height = SIZES_PX[int(random.integers(len(SIZES_PX)))]
        yield f"{number:03d} {kind}", _coloured(draw(random, width, height), random)


def _coloured(field: Field, random: Random) -> Pixels:
    """Give the values 0 to 1 of a field colours between two, or each channel its own if there are three fields."""
    ends = random.integers(0, 256, (2, 3))
    if random.random() < 0.5:
        ends = np.array(SKIN)[random.choice(len(SKIN), 2, replace=False)]
    values = field if field.ndim == 3 else field[..., np.newaxis]
    return np.ascontiguousarray((ends[0] + values * (ends[1] - ends[0])).clip(0, 255).astype(np.uint8))


def _grid(width: int, height: int) -> tuple[Field, Field]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    return x, y


def _turned(random: Random, width: int, height: int) -> tuple[Field, Field]:
    x, y = _grid(width, height)
    angle = random.uniform(0, np.pi)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _stretched(field: Field) -> Field:
    stretched: Field = (field - field.min()) / max(float(np.ptp(field)), 1e-9)
    return stretched


def _one_over_f(random: Random, width: int, height: int, power: float) -> Field:
    """Noise whose amplitude falls with this power of the frequency: 1 looks like clouds, 2 like hills."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.standard_normal((height, width))) / frequency**power
    return _stretched(np.fft.irfft2(spectrum, (height, width)))


def _noise(random: Random, width: int, height: int) -> Field:
    """White noise in squares of 1 to 32 px, grey or in colours."""
    side = int(2 ** random.integers(0, 6))
    channels = (3,) if random.random() < 0.5 else ()
    squares = random.random((-(-height // side), -(-width // side), *channels))
    repeated: Field = squares.repeat(side, axis=0).repeat(side, axis=1)
    return repeated[:height, :width]


def _stripes(random: Random, width: int, height: int) -> Field:
    along, _ = _turned(random, width, height)
    wave = np.sin(along * 2 * np.pi / random.uniform(4, 200))
    return (wave > 0).astype(np.float64) if random.random() < 0.5 else (wave + 1) / 2


def _gradient(random: Random, width: int, height: int) -> Field:
    along, across = _turned(random, width, height)
    return _stretched(along if random.random() < 0.5 else np.hypot(along - along.mean(), across - across.mean()))


def _checkerboard(random: Random, width: int, height: int) -> Field:
    side = random.uniform(6, 120)
    along, across = _turned(random, width, height)
    return (np.floor(along / side) + np.floor(across / side)) % 2


def _clouds(random: Random, width: int, height: int) -> Field:
    return _one_over_f(random, width, height, random.uniform(0.8, 2.0))


def _blobs(random: Random, width: int, height: int) -> Field:
    """Soft dark ellipses, which by chance lie as eyes and mouths do."""
    x, y = _grid(width, height)
    field = np.ones((height, width))
    for _ in range(int(random.integers(3, 40))):
        centre_x, centre_y = random.uniform(0, width), random.uniform(0, height)
        across, down = random.uniform(5, 70, 2)
        field -= random.uniform(0.2, 0.8) * np.exp(-(((x - centre_x) / across) ** 2) - ((y - centre_y) / down) ** 2)
    return field.clip(0, 1)


def _wood(random: Random, width: int, height: int) -> Field:
    """Rings of a trunk, cut lengthwise and wavy, with fine grain."""
    along, across = _turned(random, width, height)
    waves = 40 * _one_over_f(random, width, height, 1.8)
    radius = np.hypot(across - random.uniform(0, height), along / random.uniform(4, 12)) + waves
    return (np.sin(radius * 2 * np.pi / random.uniform(8, 40)) + 1) / 2 * 0.8 + 0.2 * random.random((height, width))


def _cells(random: Random, width: int, height: int) -> Field:
    """Each px by its distance to the nearest of some points: pebbles, scales, foam."""
    x, y = _grid(width, height)
    nearest = np.full((height, width), np.inf)
    for _ in range(int(random.integers(8, 60))):
        nearest = np.minimum(nearest, np.hypot(x - random.uniform(0, width), y - random.uniform(0, height)))
    return _stretched(nearest)


def _bricks(random: Random, width: int, height: int) -> Field:
    long_px, high_px = random.uniform(40, 140), random.uniform(15, 60)
    x, y = _grid(width, height)
    row = np.floor(y / high_px)
    column = np.floor(x / long_px + row % 2 / 2)
    mortar = (y % high_px < 3) | ((x + row % 2 * long_px / 2) % long_px < 3)
    shades = random.random((64, 64))[row.astype(int) % 64, column.astype(int) % 64]
    return np.where(mortar, 1.0, 0.7 * shades + 0.1 * random.random((height, width)))


def _discs(random: Random, width: int, height: int) -> Field:
    """Hard-edged discs one upon the other: lamps, fruit, wheels."""
    x, y = _grid(width, height)
    field = np.full((height, width), random.random())
    for _ in range(int(random.integers(3, 60))):
        radius = random.uniform(6, 120)
        inside = np.hypot(x - random.uniform(0, width), y - random.uniform(0, height)) < radius
        field[inside] = random.random()
    return field


KINDS: dict[str, Callable[[Random, int, int], Field]] = {
    "noise": _noise,
    "stripes": _stripes,
    "gradient": _gradient,
    "checkerboard": _checkerboard,
    "clouds": _clouds,
    "blobs": _blobs,
    "wood": _wood,
    "cells": _cells,
    "bricks": _bricks,
    "discs": _discs,
}
