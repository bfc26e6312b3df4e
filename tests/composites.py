"""Every kind of cover in `tests/occluders.py` and its neighbours by name, and the ways in which photos are bad."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from tests.eyewear import clear_glasses, sunglasses
from tests.hands_and_hair import cap, fringe, full_beard, hand_on_chin, hand_on_mouth, shut_eyes
from tests.occluders import Draw, Pixels, Points, cloth, ffp2, patterned_cloth, scarf, skin_cloth

MASKS: dict[str, Draw] = {
    "surgical, blue": cloth((120, 175, 205), pleated=True),
    "surgical, white": cloth((225, 228, 230), pleated=True),
    "surgical, black": cloth((32, 32, 35), pleated=True),
    "surgical, green": cloth((130, 185, 160), pleated=True),
    "surgical, pink": cloth((225, 170, 180), pleated=True),
    "cloth, black": cloth((28, 28, 30)),
    "cloth, grey": cloth((120, 120, 122)),
    "cloth, red": cloth((150, 35, 40)),
    "cloth, navy": cloth((35, 45, 85)),
    "cloth, beige": cloth((200, 170, 140)),
    "cloth, brown": cloth((110, 75, 55)),
    "cloth, own skin": skin_cloth,
    "cloth, pattern": patterned_cloth,
    "FFP2, white": ffp2((228, 228, 225)),
    "FFP2, black": ffp2((38, 38, 40)),
    "scarf": scarf,
    "mask under the nose": cloth((120, 175, 205), pleated=True, nose=1.35),
    "hand on the mouth": hand_on_mouth,
}
"""What hides mouth and chin."""
CHINS: dict[str, Draw] = {"hand on the chin": hand_on_chin, "full beard": full_beard}
FOREHEADS: dict[str, Draw] = {"fringe": fringe, "cap": cap}
SUNGLASSES: dict[str, Draw] = {
    "dark lenses": sunglasses((22, 22, 26), 1.0),
    "mirrored, blue": sunglasses((120, 150, 190), 1.0, mirrored=True),
    "mirrored, gold": sunglasses((190, 150, 80), 1.0, mirrored=True),
    "tinted": sunglasses((90, 60, 40), 0.65),
}
THICK_FRAMES: dict[str, Draw] = {
    "thick, black": clear_glasses((22, 22, 24), (0.045, 0.075)),
    "thick, tortoise": clear_glasses((85, 52, 30), (0.04, 0.06)),
    "thick, clear plastic": clear_glasses((215, 210, 205), (0.045, 0.07), opacity=0.55),
    "thick, red": clear_glasses((140, 30, 40), (0.04, 0.06)),
}
THIN_FRAMES: dict[str, Draw] = {
    "thin, black": clear_glasses((30, 30, 32), (0.014, 0.022)),
    "thin, metal": clear_glasses((140, 130, 115), (0.011, 0.018)),
    "rimless": clear_glasses((150, 145, 140), (0.01, 0.014), rims=False),
}
EYES_SHUT: dict[str, Draw] = {"eyes shut": shut_eyes}
KINDS: dict[str, Draw] = MASKS | CHINS | FOREHEADS | SUNGLASSES | THICK_FRAMES | THIN_FRAMES | EYES_SHUT


def covered(kind: str, pixels: Pixels, mesh: Points, person: str) -> Pixels:
    """Draw one kind of cover onto one person, always the same for the two names."""
    rng = np.random.default_rng(zlib.crc32(f"{kind}/{person}".encode()))
    return KINDS[kind](pixels, mesh, rng)


def jpeg(quality: int) -> Callable[[Pixels], Pixels]:
    def degrade(pixels: Pixels) -> Pixels:
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return np.array(Image.open(file).convert("RGB"))

    return degrade


def blurred(sigma_px: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))


def noisy(sigma: float) -> Callable[[Pixels], Pixels]:
    def degrade(pixels: Pixels) -> Pixels:
        noise = np.random.default_rng(0).normal(0, sigma, pixels.shape)
        return np.asarray((pixels + noise).clip(0, 255).astype(np.uint8))

    return degrade


def gamma(exponent: float) -> Callable[[Pixels], Pixels]:
    table = (255 * (np.arange(256) / 255) ** exponent).round().astype(np.uint8)
    return lambda pixels: np.asarray(table[pixels])


def tinted(red: float, green: float, blue: float) -> Callable[[Pixels], Pixels]:
    gains = np.array([red, green, blue])
    return lambda pixels: np.asarray((pixels * gains).clip(0, 255).astype(np.uint8))


def grey(pixels: Pixels) -> Pixels:
    return np.array(Image.fromarray(pixels).convert("L").convert("RGB"))


def lit_from_the_side(pixels: Pixels) -> Pixels:
    return np.asarray((pixels * np.linspace(0.35, 1, pixels.shape[1])[:, np.newaxis]).astype(np.uint8))


def halved(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    return np.array(image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX))


DEGRADATIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda pixels: pixels,
    "JPEG quality 40": jpeg(40),
    "half size": halved,
    "gamma 0.6": gamma(0.6),
    "gamma 1.6": gamma(1.6),
    "warm": tinted(1.0, 1.0, 0.7),
    "cool": tinted(0.75, 1.0, 1.0),
    "grey": grey,
    "light from the side": lit_from_the_side,
    "noise, sigma 12": noisy(12),
    "blur, sigma 2 px": blurred(2),
}
