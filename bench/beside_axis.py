"""Faces beside the optical axis: `python -m bench.beside_axis --data DIR [--people N]`.

DIR holds `faces/london`. A portrait is taken for the view of a camera with a known lens, and what a camera at the same
place would see that is turned away by some angle is computed exactly: no depth of the face is needed for that. Whatever
is measured there is held against what is measured straight ahead; both should be the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD, Base

from shared.measurements import DEFINITIONS
from shared.schemas import JobOptions
from worker.measure.camera import FULL_FRAME_DIAGONAL_MM
from worker.measure.pose import rotation_of
from worker.pipeline import measure_photo
from worker.vision.decode import DecodeLimits
from worker.vision.find_faces import FaceFinder

Pixels = NDArray[np.uint8]

FOCAL_35MM: Final = 27
FRAME_PX: Final = 1400
PORTRAIT_PX: Final = 570
"""Width of a portrait in the frame; the face is about half of it."""
ANGLES_DEG: Final = (10.0, 15.0, 20.0, 25.0)
ACROSS: Final = {"to the side": ((1, 0), (-1, 0)), "up and down": ((0, 1), (0, -1)), "to a corner": ((0.7, 0.7),)}
"""Which way the camera turns away, as yaw and pitch of what it sees."""
RULERS: Final[dict[str, dict[str, float]]] = {"iris": {}, "known PD": {"known_pd_mm": 63.0}}
KEYS: Final = tuple(definition.key for definition in DEFINITIONS)
LIMITS: Final = DecodeLimits(max_bytes=50_000_000, max_pixels=50_000_000, min_side_px=32)


def beside_axis(portrait: Pixels, yaw_deg: float, pitch_deg: float) -> bytes:
    """Return what a camera turned away by so much sees of a portrait in the middle of its frame, as PNG with EXIF."""
    small = cv2.resize(
        portrait,
        None,
        fx=PORTRAIT_PX / portrait.shape[1],
        fy=PORTRAIT_PX / portrait.shape[1],
        interpolation=cv2.INTER_AREA,
    )
    straight = np.full((FRAME_PX, FRAME_PX, 3), small[5, 5], np.uint8)
    top, left = ((FRAME_PX - side) // 2 for side in small.shape[:2])
    straight[top : top + small.shape[0], left : left + small.shape[1]] = small
    focal_px = FOCAL_35MM * np.hypot(FRAME_PX, FRAME_PX) / FULL_FRAME_DIAGONAL_MM
    centre = (FRAME_PX - 1) / 2
    lens = np.array(((focal_px, 0, centre), (0, focal_px, centre), (0, 0, 1)))
    seen = lens @ rotation_of(yaw_deg, pitch_deg, 0.0) @ np.linalg.inv(lens)
    aside = cv2.warpPerspective(
        straight, seen, (FRAME_PX, FRAME_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif).update(
        {Base.FocalLengthIn35mmFilm: FOCAL_35MM, Base.ExifImageWidth: FRAME_PX, Base.ExifImageHeight: FRAME_PX}
    )
    out = BytesIO()
    Image.fromarray(np.asarray(aside, np.uint8)).save(out, "PNG", exif=exif.tobytes(), compress_level=1)
    return out.getvalue()


def measured(photo: bytes, finder: FaceFinder, options: dict[str, float]) -> dict[str, Any] | None:
    """Measure the one face of a photo; None if there is none or it has no scale."""
    face: dict[str, Any] = measure_photo(photo, JobOptions.model_validate(options), finder, LIMITS).result["faces"][0]
    return face if face["scale"] is not None else None


def lengths_mm(face: dict[str, Any]) -> NDArray[np.float64]:
    values = [face["measurements"][key]["mm"] for key in KEYS]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def ratios_to_straight(
    portraits: Sequence[Pixels], ways_deg: Sequence[tuple[float, float]], finder: FaceFinder, options: dict[str, float]
) -> NDArray[np.float64]:
    """Measure each portrait from each way, over what is measured straight ahead; shape (n, len(KEYS))."""
    ratios = []
    for portrait in portraits:
        ahead = measured(beside_axis(portrait, 0, 0), finder, options)
        for way_deg in ways_deg:
            aside = measured(beside_axis(portrait, *way_deg), finder, options)
            if ahead is not None and aside is not None:
                ratios.append(lengths_mm(aside) / lengths_mm(ahead))
    return np.array(ratios)


def main() -> None:
    """Print mean ratios to the straight view, by ruler, direction and angle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=15)
    options = parser.parse_args()
    paths = sorted((options.data / "faces" / "london").glob("*.jpg"))[1::2][: options.people]
    portraits = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    with FaceFinder() as finder:
        for ruler, given in RULERS.items():
            for name, ways in ACROSS.items():
                for angle_deg in ANGLES_DEG:
                    ways_deg = [(yaw * angle_deg, pitch * angle_deg) for yaw, pitch in ways]
                    show(f"{ruler}, {angle_deg:.0f}° {name}", ratios_to_straight(portraits, ways_deg, finder, given))


def show(name: str, ratios: NDArray[np.float64]) -> None:
    """Print the mean of each measurement, and the root mean square of those means and of all."""
    off = 100 * (ratios - 1)
    means = np.nanmean(off, axis=0)
    each = ", ".join(f"{key} {mean:+.1f}" for key, mean in zip(KEYS, means, strict=True))
    print(
        f"{name} ({len(ratios)} views): means {np.sqrt(np.nanmean(means**2)):.2f} %,"
        f" all {np.sqrt(np.nanmean(off**2)):.2f} %\n    {each}"
    )


if __name__ == "__main__":
    main()
