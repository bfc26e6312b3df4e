"""How well faces are found that are small, turned, or not there: `python -m bench.finding --data DIR`.

DIR holds portraits below `faces/london` and pictures without a face in `no_face`. Constants of the finder were set on
every other portrait (0, 2, 4, ... by name); the others are the held-out half, and what counts here. Errors are mean
distances over the mesh in per cent of the distance between the outer eye corners, against the same portrait found
upright and filling the picture; CPU is that of finding alone. Exits with 1 when a promise is broken: faces of 5 % of
the width found in 19 of 20, those turned by quarters in all, none in pictures without one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.textures import textures
from worker.measure.geometry import bounding_box, distance_px, outer_eye_distance_px
from worker.vision.faces import MeshFace
from worker.vision.find_faces import FaceFinder

Landmarks = NDArray[np.float64]
Pixels = NDArray[np.uint8]

FRAMES_PX = ((3000, 3000), (4000, 3000), (3000, 4000))
SHARES = (0.12, 0.10, 0.07, 0.05, 0.04, 0.03)
COARSE_LONG_SIDE_PX = 1000
PROMISED_SHARE, PROMISED_RATE = 0.05, 19 / 20
EYE_DISTANCES_PX = (200, 150, 100, 80, 60, 50, 40, 32, 25, 20, 16)
JPEG_QUALITY = 85
TEXTURES, TEXTURE_SEED = 200, 1
SAME_PLACE = 0.5
GREY = (127, 127, 127)
WIDTHS = {"PD": (468, 473), "face": (234, 454), "mouth": (61, 291), "nose": (64, 294), "iris": (469, 471)}


class Portraits:
    """Portraits with their meshes, found upright and large."""

    def __init__(self, finder: FaceFinder, paths: Sequence[Path]) -> None:
        self.pictures = [np.array(Image.open(path).convert("RGB")) for path in paths]
        self.meshes = [finder.detect(picture)[0].landmarks for picture in self.pictures]

    def __iter__(self) -> Iterator[tuple[Pixels, Landmarks]]:
        return iter(zip(self.pictures, self.meshes, strict=True))


def error_percent(found: Landmarks, true: Landmarks) -> float:
    apart = np.linalg.norm(found[:, :2] - true[:, :2], axis=1)
    return float(100 * apart.mean() / outer_eye_distance_px(true))


def finer(landmarks: Landmarks, scale: float) -> Landmarks:
    """Move landmarks to the same picture with `scale` times as many px to a side."""
    half_block = (scale - 1) / 2
    moved: Landmarks = landmarks * scale + np.array((half_block, half_block, 0))
    return moved


def timed(finder: FaceFinder, pixels: Pixels, max_faces: int = 1) -> tuple[list[MeshFace], float]:
    began = time.process_time()
    return finder.detect(pixels, max_faces), 1000 * (time.process_time() - began)


def summary(errors: Sequence[float]) -> str:
    return f"error {np.mean(errors):.2f} %, worst {max(errors):.2f} %" if errors else "-"


def spent(cpu_ms: Sequence[float]) -> str:
    return f"CPU {np.median(cpu_ms):.0f} ms, at most {max(cpu_ms):.0f}"


def turned_back(points: Landmarks, turns: int, width: int, height: int) -> Landmarks:
    """Move points of a picture turned anticlockwise by quarters to the unturned one of this size."""
    x, y = points[:, 0], points[:, 1]
    last_x, last_y = width - 1, height - 1
    return np.stack(((x, y), (last_x - y, x), (last_x - x, last_y - y), (y, last_y - x))[turns], axis=1)


def turns(finder: FaceFinder, portraits: Portraits) -> bool:
    all_found = True
    for quarters in range(4):
        errors, cpu_ms = [], []
        for picture, mesh in portraits:
            height, width = picture.shape[:2]
            faces, took_ms = timed(finder, np.ascontiguousarray(np.rot90(picture, quarters)))
            cpu_ms.append(took_ms)
            errors += [error_percent(turned_back(face.landmarks, quarters, width, height), mesh) for face in faces[:1]]
        good = sum(error < 5 for error in errors)
        all_found &= good == len(portraits.meshes)
        print(f"  {90 * quarters:3}: right in {good} of {len(errors)}, {summary(errors)}; {spent(cpu_ms)}")
    return all_found


def in_a_field(
    picture: Pixels, mesh: Landmarks, share: float, field: Image.Image, random: np.random.Generator
) -> tuple[Image.Image, Landmarks]:
    """Paste head and shoulders into a field so that the face takes this share of its width."""
    box = bounding_box(mesh)
    margin = 0.8 * box.width
    left, top = max(0, round(box.x - margin)), max(0, round(box.y - margin))
    right = min(picture.shape[1], round(box.x + box.width + margin))
    bottom = min(picture.shape[0], round(box.y + box.height + margin))
    scale = share * field.width / box.width
    size = round((right - left) * scale), round((bottom - top) * scale)
    x, y = (round(random.random() * (field.size[axis] - size[axis])) for axis in (0, 1))
    pasted = field.copy()
    pasted.paste(Image.fromarray(picture[top:bottom, left:right]).resize(size, Image.Resampling.LANCZOS), (x, y))
    return pasted, finer(mesh - np.array((left, top, 0)), scale) + np.array((x, y, 0))


def small(finder: FaceFinder, portraits: Portraits, scenes: Sequence[Image.Image]) -> bool:
    promise_kept = True
    random = np.random.default_rng(7)
    for size in FRAMES_PX:
        fields = [Image.new("RGB", size, GREY), *(scene.resize(size, Image.Resampling.BICUBIC) for scene in scenes)]
        for share in SHARES:
            coarse_errors, fine_errors, cpu_ms, others = [], [], [], 0
            for number, (picture, mesh) in enumerate(portraits):
                field = fields[0 if number % 2 else 1 + int(random.integers(len(scenes)))]
                image, true = in_a_field(picture, mesh, share, field, random)
                step = max(k for k in (1, 2, 4) if max(size) / k >= COARSE_LONG_SIDE_PX)
                faces, took_ms = timed(finder, np.array(image.reduce(step)))
                cpu_ms.append(took_ms)
                here = [face for face in faces if _at(finer(face.landmarks, step), true)]
                others += len(faces) - len(here)
                coarse_errors += [error_percent(finer(face.landmarks, step), true) for face in here]
                fine_errors += [error_percent(f.landmarks, true) for f in finder.refine(np.array(image), here, step)]
            rate = len(coarse_errors) / len(portraits.meshes)
            promise_kept &= others == 0 and (rate >= PROMISED_RATE or share < PROMISED_SHARE)
            found = f"{len(coarse_errors)} of {len(portraits.meshes)}, others {others}"
            errors = f"at 1/{step} {summary(coarse_errors)}; refined {summary(fine_errors)}"
            print(f"  {size[0]} x {size[1]}, {share:4.0%}: {found}; {errors}; {spent(cpu_ms)}")
    return promise_kept


def _at(found: Landmarks, true: Landmarks) -> bool:
    apart = np.linalg.norm(found[:, :2].mean(axis=0) - true[:, :2].mean(axis=0))
    return bool(apart < SAME_PLACE * bounding_box(true).width)


def no_face(finder: FaceFinder, pictures: Iterator[tuple[str, Pixels]]) -> bool:
    cpu_ms, false = [], []
    for name, pixels in pictures:
        for quarters in range(4):
            faces, took_ms = timed(finder, np.ascontiguousarray(np.rot90(pixels, quarters)), max_faces=10)
            cpu_ms.append(took_ms)
            false += [f"{name}, turned {90 * quarters}" for _ in faces]
    print(
        f"  {len(cpu_ms)} looks: {len(false)} faces {false}, CPU {np.median(cpu_ms):.0f} ms, at most {max(cpu_ms):.0f}"
    )
    return not false


def sizes(finder: FaceFinder, portraits: Portraits) -> None:
    """Shrink the portraits and measure what becomes of landmarks and widths: the ground of `MIN_EYE_DISTANCE_PX`."""
    for eyes_px in EYE_DISTANCES_PX:
        errors, ratios = [], []
        for picture, mesh in portraits:
            scale = eyes_px / outer_eye_distance_px(mesh)
            size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
            shrunk = BytesIO()
            Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS).save(shrunk, "JPEG", quality=JPEG_QUALITY)
            for face in finder.detect(np.array(Image.open(shrunk)))[:1]:
                landmarks = finer(face.landmarks, picture.shape[1] / size[0])
                errors.append(error_percent(landmarks, mesh))
                ratios.append([distance_px(landmarks, *ab) / distance_px(mesh, *ab) for ab in WIDTHS.values()])
        mean, spread = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1)
        shown = ", ".join(f"{name} {mean[i]:.3f} ± {spread[i]:.3f}" for i, name in enumerate(WIDTHS))
        print(f"  {eyes_px:3} px: {len(errors)} of {len(portraits.meshes)}, {summary(errors)}; {shown}")


def two_scales(finder: FaceFinder, portraits: Portraits) -> None:
    refined, shifted, cpu_ms = [], [], []
    for picture, mesh in portraits:
        halved = np.array(Image.fromarray(picture).reduce(2))
        faces = finder.detect(halved)[:1]
        began = time.process_time()
        refined += [error_percent(face.landmarks, mesh) for face in finder.refine(picture, faces, 2)]
        cpu_ms.append(1000 * (time.process_time() - began))
        moved = finder.detect(np.ascontiguousarray(picture[3:, 3:]))[0].landmarks + np.array((3, 3, 0))
        shifted.append(error_percent(moved, mesh))
    print(f"  refined against found anew: {summary(refined)}; {spent(cpu_ms)}")
    print(f"  the same portraits cut by 3 px: {summary(shifted)}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with faces/london and no_face in it")
    parser.add_argument("--half", choices=("held-out", "fit"), default="held-out")
    chosen = parser.parse_args(arguments)
    paths = sorted((chosen.data / "faces" / "london").glob("*.jpg"))[0 if chosen.half == "fit" else 1 :: 2]
    scenes = {path.name: Image.open(path).convert("RGB") for path in sorted((chosen.data / "no_face").glob("*.jpg"))}
    if not paths or not scenes:
        print(f"no portraits or no scenes below {chosen.data}", file=sys.stderr)
        return 1
    with FaceFinder() as finder:
        portraits = Portraits(finder, paths)
        kept: list[bool] = []
        parts: dict[str, Callable[[], bool | None]] = {
            "Turned by quarters": lambda: turns(finder, portraits),
            "Small faces": lambda: small(finder, portraits, list(scenes.values())),
            "Scenes": lambda: no_face(finder, ((name, np.array(scene)) for name, scene in scenes.items())),
            "Textures": lambda: no_face(finder, textures(TEXTURES, TEXTURE_SEED)),
            "Px between the outer eye corners": lambda: sizes(finder, portraits),
            "Twice the px": lambda: two_scales(finder, portraits),
        }
        for title, part in parts.items():
            print(f"{title} ({len(paths)} portraits, {chosen.half} half)")
            kept.append(part() is not False)
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
