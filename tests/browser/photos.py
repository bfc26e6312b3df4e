"""Photos for the browser, made from the two portraits that come with the service."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from tests.conftest import PORTRAITS

_ORIENTATION_TAG = 0x0112
_SHARES = (0.0, 0.02, 0.04, 0.06, 0.08)
"""How much is cut off at the sides, so that no two photos are alike."""
_TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What was done to an upright photo before it was stored with an EXIF orientation: the inverse of what the tag asks."""


def portrait(name: str = "grace_hopper.jpg") -> Image.Image:
    return Image.open(PORTRAITS / name).convert("RGB")


def thirty(folder: Path) -> list[Path]:
    """Write 27 photos with a face, two without one, and a file that is no photo."""
    paths = []
    for number in range(27):
        name = ("grace_hopper.jpg", "astronaut.png")[number % 2]
        cut = portrait(name)
        width, height = cut.size
        share, lower = _SHARES[number // 2 % 5], _SHARES[number // 10]
        box = (int(width * share / 2), int(height * lower / 2), int(width * (1 - share / 2)), height)
        paths.append(folder / f"person {number:02}.jpg")
        cut.crop(box).save(paths[-1], quality=92)
    for name, colour in (("meadow.png", "#4a8a3a"), ("sky.png", "#88bbee")):
        scene = Image.new("RGB", (640, 480), colour)
        ImageDraw.Draw(scene).rectangle((80, 300, 560, 330), fill="#705030")
        paths.append(folder / name)
        scene.save(paths[-1])
    paths.append(folder / "=broken.jpg")
    paths[-1].write_bytes(b"this is no photo, whatever its name says" * 40)
    return paths


def oriented(path: Path, orientation: int) -> Path:
    """Write a portrait as a camera that was held otherwise stores it."""
    upright = portrait()
    turn = _TO_STORED[orientation]
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    (upright if turn is None else upright.transpose(turn)).save(path, exif=exif.tobytes(), quality=95)
    return path


def mirrored(path: Path) -> Path:
    ImageOps.mirror(portrait()).save(path, quality=95)
    return path


def difference(one: bytes, other: bytes) -> float:
    """Return by how much two pictures differ, in steps of 255, the mean over small patches of them."""
    size = (64, 64)
    a, b = (
        Image.open(io.BytesIO(data)).convert("L").resize(size, Image.Resampling.BOX).tobytes() for data in (one, other)
    )
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)
