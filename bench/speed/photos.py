"""Photos to be measured, each one different: portraits of 512 px, 2 and 12 megapixels as phones take them, others."""

from __future__ import annotations

import io
import itertools
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageOps

PORTRAITS: Final = Path(__file__).parents[2] / "stack" / "portraits"
ENDINGS: Final = (".png", ".jpg", ".jpeg")
SEED: Final = 20261128

SOI: Final = b"\xff\xd8"
COMMENT: Final = b"\xff\xfe"
MOST_OF_A_SEGMENT: Final = 65_533
"""A JPEG begins with the first; a comment begins with the second, and holds at most so many bytes."""

_ORIENTATION_TAG: Final = 0x0112
_TURNED_BACK: Final = 6
"""EXIF: the camera was held upright, its rows run from top to bottom."""
_NOISE_SD: Final = 5.0
_NO_NOISE: Final = 128
_TILE_PX: Final = 512
_CUT: Final = 0.06


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of photo.

    Attributes
    ----------
    name : str
        For tables.
    size : tuple of int
        Width and height of the upright picture [px].
    ending : str
        jpg, png or webp.
    is_phone : bool
        With a sensor's noise, and stored turned, as its EXIF says.
    """

    name: str
    size: tuple[int, int]
    ending: str = "jpg"
    is_phone: bool = False


PORTRAIT_512: Final = Kind("512 px JPEG", (512, 600))
PHONE_2MP: Final = Kind("2 MP phone JPEG", (1224, 1632), is_phone=True)
PHONE_12MP: Final = Kind("12 MP phone JPEG", (3024, 4032), is_phone=True)
PNG: Final = Kind("1 MP PNG", (896, 1152), "png")
WEBP: Final = Kind("1 MP WebP", (896, 1152), "webp")
CONTENT_TYPES: Final = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


class Pool:
    """Pictures of one kind, made once, and any number of photos of them, of which no two have the same bytes.

    Parameters
    ----------
    kind : Kind
        What they are.
    count : int
        How many pictures are drawn; a photo is one of them with a comment of its own. Only JPEGs are given comments:
        of other kinds no more photos can be taken than there are pictures.
    faces : Path or None
        A folder of portraits to make them from, beside those that come with the project.
    """

    def __init__(self, kind: Kind, count: int, faces: Path | None = None) -> None:
        self.kind = kind
        chance = random.Random(f"{SEED} {kind.name}")
        sources = _sources(faces)
        self._pictures = [_draw(kind, source, chance) for source, _ in zip(itertools.cycle(sources), range(count))]
        self._taken = 0

    @property
    def mean_bytes(self) -> int:
        """How large a photo is."""
        return sum(map(len, self._pictures)) // len(self._pictures)

    def take(self, count: int) -> list[bytes]:
        """Return photos that were never returned before."""
        photos = []
        for number in range(self._taken, self._taken + count):
            picture = self._pictures[number % len(self._pictures)]
            photos.append(picture if self.kind.ending != "jpg" else with_comment(picture, f"photo {number}".encode()))
        self._taken += count
        if self.kind.ending != "jpg" and self._taken > len(self._pictures):
            raise ValueError(f"there are no more photos of {self.kind.name}")
        return photos


def with_comment(jpeg: bytes, text: bytes) -> bytes:
    """Put comments behind the first marker of a JPEG; they change no pixel."""
    parts = [text[start : start + MOST_OF_A_SEGMENT] for start in range(0, len(text), MOST_OF_A_SEGMENT)]
    segments = b"".join(COMMENT + struct.pack(">H", len(part) + 2) + part for part in parts)
    return SOI + segments + jpeg.removeprefix(SOI)


def of_size(jpeg: bytes, size_bytes: int, number: int) -> bytes:
    """Fill a JPEG up to at least a size with comments that differ by number."""
    missing = max(16, size_bytes - len(jpeg))
    return with_comment(jpeg, f"{number:016}".encode().ljust(missing, b"."))


def _sources(faces: Path | None) -> Sequence[Image.Image]:
    paths = [path for folder in (PORTRAITS, faces) if folder for path in sorted(folder.rglob("*"))]
    return [Image.open(path).convert("RGB") for path in paths if path.suffix.lower() in ENDINGS]


def _draw(kind: Kind, source: Image.Image, chance: random.Random) -> bytes:
    """Cut a little off each side, mirror every other one, expose it otherwise, bring it to its size, and encode it."""
    width, height = source.size
    left, top, right, bottom = (chance.uniform(0, _CUT) for _ in range(4))
    cut = source.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))
    cut = ImageOps.mirror(cut) if chance.random() < 0.5 else cut
    cut = ImageEnhance.Brightness(cut).enhance(chance.uniform(0.8, 1.15))
    cut = ImageOps.fit(cut, kind.size, Image.Resampling.BICUBIC)
    if not kind.is_phone:
        return _encoded(cut, kind.ending, chance.randint(85, 95), None)
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURNED_BACK
    turned = _with_noise(cut, chance).transpose(Image.Transpose.ROTATE_90)
    return _encoded(turned, kind.ending, chance.randint(88, 92), exif)


def _with_noise(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Add what a sensor adds: an enlarged portrait alone is too smooth, and too small a file, to pass for a phone's."""
    generator = np.random.default_rng(chance.randrange(2**32))
    drawn = generator.normal(_NO_NOISE, _NOISE_SD, (_TILE_PX, _TILE_PX)).round().clip(0, 255)
    tile, noise = Image.fromarray(drawn.astype(np.uint8)), Image.new("L", picture.size)
    for x, y in itertools.product(range(0, picture.width, _TILE_PX), range(0, picture.height, _TILE_PX)):
        noise.paste(tile, (x, y))
    return ImageChops.add(picture, Image.merge("RGB", [noise] * 3), offset=-_NO_NOISE)


def _encoded(picture: Image.Image, ending: str, quality: int, exif: Image.Exif | None) -> bytes:
    buffer = io.BytesIO()
    options = {} if exif is None else {"exif": exif}
    if ending == "png":
        picture.save(buffer, "PNG", compress_level=3, **options)
    else:
        picture.save(buffer, {"jpg": "JPEG", "webp": "WEBP"}[ending], quality=quality, **options)
    return buffer.getvalue()
