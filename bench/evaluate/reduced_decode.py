"""How far the reduced decode moves landmarks and widths.

Every JPEG is measured in full and at each reduction that leaves at least 100 px between the outer eye corners.
Displacements are in per cent of that distance, ratios against the full decode. See docs/adr/0004.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.report import Section, Table, plus_minus
from bench.evaluate.runs import LIMITS
from bench.statistics import summarise
from worker.measure.geometry import distance_px, outer_eye_distance_px
from worker.vision.decode import REDUCTIONS, decode_photo
from worker.vision.face_mesh import FaceMesh

BANDS_PX: Final = ((100, 150), (150, 200), (200, 100_000))
WIDTHS: Final = {
    "pupils": (468, 473),
    "face": (234, 454),
    "forehead": (54, 284),
    "eye gap": (133, 362),
    "chin": (176, 400),
    "iris": (469, 471),
}
SHIFT_PX: Final = 3
STATED_PERCENT: Final = 0.5
"""What docs/adr/0004 states for portraits; moving the crop by three pixels does as much."""
ENOUGH_EYE_DISTANCE_PX: Final = 150

Band = tuple[int, int]


def evaluate_reduced_decode(photos: list[Path], mesh: FaceMesh) -> Section | None:
    """Measure every JPEG at every reduction; None if none of them shows a face."""
    moved: defaultdict[Band, list[float]] = defaultdict(list)
    ratios: defaultdict[Band, list[list[float]]] = defaultdict(list)
    yardstick: list[float] = []
    for path in photos:
        data = path.read_bytes()
        full = _landmarks(mesh, data, 1)
        if full is None:
            continue
        if (other := _shifted(mesh, data)) is not None:
            yardstick.append(_displacement(full, other))
        for reduction in REDUCTIONS[1:]:
            eyes_px = outer_eye_distance_px(full) / reduction
            band = next((band for band in BANDS_PX if band[0] <= eyes_px < band[1]), None)
            reduced = _landmarks(mesh, data, reduction) if band else None
            if band and reduced is not None:
                moved[band].append(_displacement(full, reduced))
                ratios[band].append([distance_px(reduced, *ab) / distance_px(full, *ab) for ab in WIDTHS.values()])
    return _section(moved, ratios, yardstick) if yardstick else None


def _section(moved: dict[Band, list[float]], ratios: dict[Band, list[list[float]]], yardstick: list[float]) -> Section:
    rows = []
    for band in BANDS_PX:
        if moved.get(band):
            columns = np.array(ratios[band]).T
            upper = " and more" if band is BANDS_PX[-1] else f" to {band[1]}"
            cells = [plus_minus(summarise(column), 4) for column in columns]
            rows.append([f"{band[0]}{upper}", str(len(moved[band])), f"{np.mean(moved[band]):.2f} %", *cells])
    used = [percent for band in BANDS_PX if band[0] >= ENOUGH_EYE_DISTANCE_PX for percent in moved.get(band, [])]
    table = Table(
        caption="Landmarks and widths at a reduced decode, against the full one",
        columns=["px between outer eye corners", "n", "landmarks moved, of that distance", *WIDTHS],
        rows=rows,
        note=f"{len(yardstick)} faces. The yardstick: moving the crop by {SHIFT_PX} px moves landmarks by"
        f" {np.mean(yardstick):.2f} %.",
    )
    problems = []
    if used and np.mean(used) > STATED_PERCENT:
        problems.append(
            f"the reduced decode moves landmarks by {np.mean(used):.2f} %, over the stated {STATED_PERCENT} %"
        )
    figures = {
        "faces": len(yardstick),
        "shifted_crop_percent": float(np.mean(yardstick)),
        "moved_percent_as_used": float(np.mean(used)) if used else None,
    }
    return Section("reduced-decode", "Reduced decode", [table], figures, problems)


def _landmarks(mesh: FaceMesh, data: bytes, reduction: int) -> NDArray[np.float64] | None:
    photo = decode_photo(data, LIMITS, reduction=reduction)
    if photo.reduction != reduction:
        return None
    faces = mesh.detect(photo.pixels)
    return photo.to_full_px(faces[0].landmarks) if faces else None


def _shifted(mesh: FaceMesh, data: bytes) -> NDArray[np.float64] | None:
    """The yardstick: the same pixels, cut three to the right and below."""
    pixels = np.ascontiguousarray(decode_photo(data, LIMITS).pixels[SHIFT_PX:, SHIFT_PX:])
    faces = mesh.detect(pixels)
    return faces[0].landmarks + np.array([SHIFT_PX, SHIFT_PX, 0]) if faces else None


def _displacement(full: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    per_point = np.linalg.norm(full[:, :2] - other[:, :2], axis=1)
    return float(100 * per_point.mean() / outer_eye_distance_px(full))
