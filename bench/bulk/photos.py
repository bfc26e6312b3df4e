"""Photos for a large batch, made from the two bundled portraits: cut, mirrored, darkened, compressed; some rubbish."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

PORTRAITS = Path(__file__).parents[2] / "stack" / "portraits"
NAMES = ("astronaut.png", "grace_hopper.jpg")
RUBBISH_SHARE = 0.1
WIDTH_PX = 512


@dataclass(frozen=True)
class MadePhoto:
    name: str
    data: bytes
    expected: str
    """`succeeded`, or the code that it is rejected with."""


def make_photos(count: int, seed: int) -> Iterator[MadePhoto]:
    """Yield photos that are the same for the same seed."""
    chance = random.Random(seed)
    portraits = [Image.open(PORTRAITS / name).convert("RGB") for name in NAMES]
    for number in range(count):
        name = f"team {number % 7}/photo {number:05}.jpg"
        if chance.random() < RUBBISH_SHARE:
            data, expected = _rubbish(chance, portraits[0])
            yield MadePhoto(name, data, expected)
        else:
            yield MadePhoto(name, _jpeg(_varied(chance.choice(portraits), chance), chance), "succeeded")


def _varied(portrait: Image.Image, chance: random.Random) -> Image.Image:
    """Cut up to a tenth off each side, mirror every other one, and expose it otherwise."""
    width, height = portrait.size
    left, top, right, bottom = (chance.uniform(0, 0.1) for _ in range(4))
    cut = portrait.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))
    if chance.random() < 0.5:
        cut = ImageOps.mirror(cut)
    cut.thumbnail((WIDTH_PX, WIDTH_PX))
    return ImageEnhance.Brightness(cut).enhance(chance.uniform(0.7, 1.2))


def _jpeg(picture: Image.Image, chance: random.Random) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=chance.randint(75, 95))
    return buffer.getvalue()


def _rubbish(chance: random.Random, portrait: Image.Image) -> tuple[bytes, str]:
    whole = _jpeg(portrait, chance)
    tint = tuple(chance.randint(0, 255) for _ in range(3))
    return chance.choice(
        [
            (_jpeg(Image.new("RGB", (300, 300), tint), chance), "no_face"),
            (whole[: len(whole) // 3], "corrupt_image"),
            (_jpeg(portrait.resize((40, 40)), chance), "image_too_small"),
        ]
    )
