"""The photos of a load: small portraits, bad ones of three kinds, and such as end the process that measures them."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from PIL import Image, ImageEnhance, ImageOps

PORTRAITS: Final = Path(__file__).parents[2] / "stack" / "portraits"
HEADS: Final = {"astronaut.png": (110, 0, 340, 250), "grace_hopper.jpg": (90, 50, 440, 430)}
"""Where the head is: left, top, right, bottom [px]."""
SIDE_PX: Final = 224
POISON: Final = b"\x00this ends the process that measures it"
"""After the end of a JPEG, where no decoder looks."""
GLUTTON: Final = b"\x00this takes all the memory there is"

BAD_SHARE: Final = 0.12


class Kind(StrEnum):
    GOOD = "good"
    TRUNCATED = "truncated"
    NO_FACE = "no_face"
    NO_IMAGE = "no_image"
    POISON = "poison"
    GLUTTON = "glutton"


BAD: Final = (Kind.TRUNCATED, Kind.NO_FACE, Kind.NO_IMAGE)
ENDS: Final = {
    Kind.GOOD: ("succeeded", None),
    Kind.TRUNCATED: ("rejected", "corrupt_image"),
    Kind.NO_FACE: ("rejected", "no_face"),
    Kind.NO_IMAGE: ("rejected", "corrupt_image"),
    Kind.POISON: ("failed", "processing_failed"),
    Kind.GLUTTON: ("failed", "processing_failed"),
}
"""How each ends: status and code of the error."""


@dataclass(frozen=True, slots=True)
class Photo:
    kind: Kind
    data: bytes


def kinds(count: int, chance: random.Random, special: Kind, special_share: float) -> list[Kind]:
    """Return what the photos of a load are: at least one of the special kind where its share is above nothing."""
    n_special = max(1, round(count * special_share)) if special_share else 0
    n_bad = max(len(BAD), round(count * BAD_SHARE))
    bad = [BAD[number % len(BAD)] for number in range(n_bad)]
    mixed = [special] * n_special + bad
    mixed += [Kind.GOOD] * (count - len(mixed))
    chance.shuffle(mixed)
    return mixed


def make_photos(wanted: list[Kind], chance: random.Random) -> Iterator[Photo]:
    """Yield photos that are the same for the same seed, and no two of them alike."""
    portraits = [Image.open(PORTRAITS / name).convert("RGB").crop(head) for name, head in HEADS.items()]
    for number, kind in enumerate(wanted):
        yield Photo(kind, _data(kind, _varied(chance.choice(portraits), chance), chance, number))


def _data(kind: Kind, picture: Image.Image, chance: random.Random, number: int) -> bytes:
    tail = b"\x00%d" % number
    if kind is Kind.NO_FACE:
        tint = tuple(chance.randint(0, 255) for _ in range(3))
        return _jpeg(Image.new("RGB", (96, 96), tint)) + tail
    whole = _jpeg(picture)
    if kind is Kind.TRUNCATED:
        return whole[: len(whole) // 3] + tail
    if kind is Kind.NO_IMAGE:
        return b"\xff\xd8\xff\xe0" + chance.randbytes(2000)
    return whole + {Kind.POISON: POISON, Kind.GLUTTON: GLUTTON}.get(kind, b"") + tail


def _varied(portrait: Image.Image, chance: random.Random) -> Image.Image:
    """Cut a little off each side, mirror every other one, and expose it otherwise."""
    width, height = portrait.size
    left, top, right, bottom = (chance.uniform(0, 0.06) for _ in range(4))
    cut = portrait.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))
    if chance.random() < 0.5:
        cut = ImageOps.mirror(cut)
    cut.thumbnail((SIDE_PX, SIDE_PX))
    return ImageEnhance.Brightness(cut).enhance(chance.uniform(0.8, 1.1))


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
