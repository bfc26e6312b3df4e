"""Photos of people who hold a card or a marker to their face: with light, shadow, fingers, hair, blur, noise and JPEG.

`held` puts them together at random, the same for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.cards import ID1_CORNER_MM, ID1_MM, View, card, corners_mm, marker, paint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

IRIS_MM: Final = 12.2
"""What the mesh's iris measures on a grown person: gives the painted objects a size that suits the face."""
ASSUMED_FOCAL: Final = 0.75
"""Focal length over long side that is believed where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How the object is held and photographed; each default is an ordinary photo.

    `kind` is a card's, or "marker"; `long_px` resizes the photo so that the object measures about that; `focal` is the
    range of the true focal length in units of the one believed.
    """

    kind: str = "white"
    size_mm: tuple[float, float] = ID1_MM
    corner_mm: float = ID1_CORNER_MM
    tilt_deg: tuple[float, float] = (0.0, 25.0)
    turn_sd_deg: float = 10.0
    upright: float = 0.25
    place: str = "either"
    fingers: int = 2
    glare: bool = False
    hair: bool = False
    long_px: float | None = None
    blur_px: float = 0.5
    noise_sd: float = 2.0
    jpeg_quality: int | None = 90
    focal: tuple[float, float] = (0.7, 1.3)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A photo with an object in it, where the mesh is without it [px], and how the object truly lies."""

    pixels: NDArray[np.uint8]
    landmarks_px: NDArray[np.float64]
    view: View


def held(photo: NDArray[np.uint8], landmarks_px: NDArray[np.float64], scene: Scene, seed: int) -> Held:
    """Let the person in a photo hold an object to the forehead or the upper lip."""
    rng = np.random.default_rng(seed)
    mm_per_px = IRIS_MM / np.mean(
        [np.hypot(*(landmarks_px[a] - landmarks_px[b])[:2]) for a, b in ((469, 471), (474, 476))]
    )
    skin = photo[tuple(np.rint(landmarks_px[50, 1::-1]).astype(int))]
    enlarge = scene.long_px * mm_per_px / scene.size_mm[0] if scene.long_px else 1.0
    if enlarge != 1:
        size = (round(photo.shape[1] * enlarge), round(photo.shape[0] * enlarge))
        photo = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))
        landmarks_px, mm_per_px = landmarks_px * enlarge, mm_per_px / enlarge
    focal_px = ASSUMED_FOCAL * max(photo.shape[:2]) * rng.uniform(*scene.focal)
    before_mm = rng.uniform(5, 25)
    forehead = rng.random() < 0.5 if scene.place == "either" else scene.place == "forehead"
    up = landmarks_px[10, :2] - landmarks_px[152, :2]
    centre = landmarks_px[151, :2] + 0.1 * up if forehead else landmarks_px[0, :2]
    centre = centre + rng.normal(0, 4, 2) / mm_per_px
    view = View(
        focal_px,
        focal_px * mm_per_px - before_mm,
        (float(centre[0]), float(centre[1])),
        ((photo.shape[1] - 1) / 2, (photo.shape[0] - 1) / 2),
        tilt_deg=rng.uniform(*scene.tilt_deg),
        axis_deg=rng.uniform(0, 360),
        turn_deg=rng.normal(0, scene.turn_sd_deg) + 90 * (rng.random() < scene.upright) + 180 * (rng.random() < 0.5),
    )
    pixels = _photographed(photo, scene, view, skin, rng)
    return Held(np.ascontiguousarray(pixels), landmarks_px, view)


def _photographed(
    photo: NDArray[np.uint8], scene: Scene, view: View, skin: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    seed = int(rng.integers(1 << 31))
    painted_mm, corner_mm = scene.size_mm, scene.corner_mm
    if scene.kind == "marker":
        margin_mm = 0.2 * scene.size_mm[0]
        painted_mm, corner_mm = (scene.size_mm[0] + 2 * margin_mm, scene.size_mm[1] + 2 * margin_mm), 0.0
        texture = marker("4x4_50", 7, scene.size_mm[0], margin_mm)
    else:
        texture = card(scene.kind, scene.size_mm)
    texture = shade(texture, seed)
    if scene.glare:
        texture = glare(texture, seed)
    shift = rng.normal(0, 1.5, 2) / view.mm_per_px
    photo = cast_shadow(photo, painted_mm, view, (float(shift[0]), float(shift[1])))
    photo = paint(photo, texture, painted_mm, view, corner_mm)
    sides = rng.permutation(4)[: scene.fingers]
    fingers = [(int(side), float(rng.uniform(0.2, 0.8))) for side in sides]
    if scene.kind != "marker":  # what covers a marker hides its code
        photo = hold(photo, painted_mm, view, fingers, (int(skin[0]), int(skin[1]), int(skin[2])))
    if scene.hair:
        photo = hair(photo, view, seed)
    if scene.blur_px:
        photo = blur(photo, scene.blur_px)
    if scene.noise_sd:
        photo = add_noise(photo, scene.noise_sd, seed)
    return as_jpeg(photo, scene.jpeg_quality) if scene.jpeg_quality else photo


def shade(texture: NDArray[np.uint8], seed: int, strength: float = 0.15) -> NDArray[np.uint8]:
    """Light an object unevenly: brighter towards one side by `strength`."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-0.5 : 0.5 : texture.shape[0] * 1j, -0.5 : 0.5 : texture.shape[1] * 1j]
    light = 1 + strength * 2 * (x * np.cos(angle) + y * np.sin(angle)) - rng.uniform(0, strength)
    return np.asarray(np.clip(texture * light[..., np.newaxis], 0, 255), dtype=np.uint8)


def glare(texture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Let a lamp shine on an object: a soft spot that is burnt out in its middle."""
    rng = np.random.default_rng(seed)
    height, width = texture.shape[:2]
    y, x = np.mgrid[:height, :width]
    centre_x, centre_y, size = rng.uniform(0.2, 0.8) * width, rng.uniform(0.1, 0.9) * height, rng.uniform(0.15, 0.3)
    spot = 1.6 * np.exp(-(((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * (size * height) ** 2)))
    return np.asarray(np.clip(texture + 255 * spot[..., np.newaxis], 0, 255), dtype=np.uint8)


def cast_shadow(
    photo: NDArray[np.uint8],
    size_mm: tuple[float, float],
    view: View,
    shift_px: tuple[float, float],
    depth: float = 0.35,
) -> NDArray[np.uint8]:
    """Darken what lies behind an object, softly, shifted as the light has it. To be called before `paint`."""
    aside = replace(view, centre_px=(view.centre_px[0] + shift_px[0], view.centre_px[1] + shift_px[1]))
    mask = Image.new("L", (photo.shape[1], photo.shape[0]))
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in aside.to_px(corners_mm(size_mm)).tolist()], fill=255)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(float(np.hypot(*shift_px)) / 2 + 1))) / 255
    return np.rint(photo * (1 - depth * soft[..., np.newaxis])).astype(np.uint8)


def hold(
    photo: NDArray[np.uint8],
    size_mm: tuple[float, float],
    view: View,
    fingers: Sequence[tuple[int, float]],
    skin: tuple[int, int, int] = (205, 160, 135),
    width_mm: float = 15.0,
) -> NDArray[np.uint8]:
    """Lay fingers over an object's edges: each at a side (0 top, 1 right, 2 bottom, 3 left) and a fraction along it."""
    corners = corners_mm(size_mm)
    layer = Image.new("RGBA", (photo.shape[1], photo.shape[0]))
    draw = ImageDraw.Draw(layer)
    radius_px = width_mm / 2 / view.mm_per_px
    for side, fraction in fingers:
        start, end = corners[side], corners[(side + 1) % 4]
        at = start + fraction * (end - start)
        outwards = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)][side])
        tip, root = view.to_px(np.array([at - 7 * outwards, at + 45 * outwards]))
        for shrink, light in ((1.0, 0.72), (0.9, 0.86), (0.75, 1.0)):
            colour = tuple(int(light * channel) for channel in skin)
            r = radius_px * shrink
            draw.line([tuple(tip), tuple(root)], fill=colour, width=max(1, round(2 * r)))
            draw.ellipse((tip[0] - r, tip[1] - r, tip[0] + r, tip[1] + r), fill=colour)
    layer = layer.filter(ImageFilter.GaussianBlur(0.7))
    out = Image.fromarray(photo).convert("RGBA")
    out.alpha_composite(layer)
    return np.asarray(out.convert("RGB"))


def hair(photo: NDArray[np.uint8], view: View, seed: int, strands: int = 25) -> NDArray[np.uint8]:
    """Let strands of hair fall over an object from above."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    start = rng.uniform(-30, 10)
    for _ in range(strands):
        x_mm = start + rng.normal(0, 6)
        points = np.array([(x_mm + 6 * np.sin(y / 25 + x_mm), y) for y in np.linspace(-75, rng.uniform(-20, 5), 24)])
        upright = replace(view, turn_deg=0, tilt_deg=0)
        line = [(x, y) for x, y in upright.to_px(points).tolist()]
        draw.line(line, fill=(int(rng.integers(30, 60)), 30, 22), width=max(1, round(0.5 / view.mm_per_px)))
    return np.asarray(image)


def blur(photo: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(sigma_px)))


def add_noise(photo: NDArray[np.uint8], sd: float, seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, sd, photo.shape)
    return np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8)


def as_jpeg(photo: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
