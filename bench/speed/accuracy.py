"""What the reduced decode changes: landmarks and measurements of the worker's pipeline against a full decode."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bench.speed.bars import reached
from bench.speed.decoding import LIMITS
from bench.speed.photos import PHONE_12MP
from bench.speed.rounds import Figure, percentile
from bench.speed.setting import Setting
from shared.schemas import JobOptions
from worker.face import KnownRulers, measure_face
from worker.measure.camera import camera_of_photo
from worker.measure.geometry import outer_eye_distance_px
from worker.pipeline import measure_photo
from worker.vision.decode import decode_photo
from worker.vision.find_faces import FaceFinder

PHOTOS: Final = 8


def measure_accuracy(setting: Setting) -> dict[str, Any]:
    """Measure 12 MP photos as the worker does, and from all their pixels."""
    moved, changed = [], []
    with FaceFinder() as finder:
        for photo in setting.pool(PHONE_12MP).take(PHOTOS):
            ours = measure_photo(photo, JobOptions(), finder, LIMITS).result["faces"][0]
            full = _from_all_pixels(photo, finder)
            there, here = _landmarks(full), _landmarks(ours)
            eyes_px = outer_eye_distance_px(there)
            moved.append(float(np.linalg.norm(there[:, :2] - here[:, :2], axis=1).mean()) * 100 / eyes_px)
            changed += _differences(ours["measurements"], full["measurements"])
    return {
        "bars": {"landmarks_moved": reached(Figure.of(moved))},
        "measurements_changed_percent": {"median": percentile(changed, 50), "p95": percentile(changed, 95)},
        "photos": len(moved),
    }


def _from_all_pixels(data: bytes, finder: FaceFinder) -> dict[str, Any]:
    photo = decode_photo(data, LIMITS)
    camera = camera_of_photo(photo.width_px, photo.height_px, photo.focal_35mm)
    face = finder.detect(photo.pixels)[0]
    return measure_face(face, photo, camera, KnownRulers(), with_landmarks=True)


def _landmarks(face: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([(point["x"], point["y"], point["z"]) for point in face["landmarks"]])


def _differences(ours: dict[str, Any], full: dict[str, Any]) -> list[float]:
    """Return by how much lengths in px differ [%]."""
    pairs = [(ours[name]["px"], full[name]["px"]) for name in full]
    return [100 * abs(here / there - 1) for here, there in pairs if here and there]
