"""One face at several distances: millimetres should not depend on where the camera stood.

Each width is shown twice, with the depth of its points (as the service gives it) and without: px times the scale of
the eyes' plane. The distances in the files' names are approximate and no truth of anything; only constancy counts.
The last columns divide by the PD for far gaze of the same photo (the pupils as photographed converge on a near camera),
so that the iris's error from photo to photo drops out and the perspective step stands alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bench.evaluate.report import NONE, Section, Table, number
from bench.evaluate.runs import MeasuredPhoto
from bench.evaluate.schemes import distance_between
from bench.statistics import range_percent
from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS

Series = list[tuple[float, MeasuredPhoto]]
Curves = dict[str, tuple[list[float], list[float]]]
"""Measurement to millimetres with and without the perspective step, photo by photo; NaN where there are none."""

STATED_KEY: Final = "face_width"
STATED_RANGE_PERCENT: Final = 2.0
PUPILS: Final = "distance_pd"


def curves_of(series: Series) -> Curves:
    """Give each width's millimetres over the distances, with and without the perspective step."""
    curves: Curves = {}
    for definition in (definition for definition in DEFINITIONS if definition.kind in {Kind.WIDTH, Kind.FAR_GAZE}):
        with_depth, without = [], []
        for _, photo in series:
            face = photo.face
            value = face["measurements"][definition.key] if face else None
            scale = face["scale"] if face else None
            usable = value is not None and scale is not None and value["mm"] is not None
            with_depth.append(value["mm"] if usable and value else np.nan)
            px = face["measurements"]["interpupillary_distance"]["px"] if face else np.nan
            px = value["px"] if value and value["px"] is not None else px  # far gaze has none of its own
            without.append(px * scale["mm_per_px"] / _divisor(definition, face) if usable and scale else np.nan)
        curves[definition.key] = (with_depth, without)
    return curves


def evaluate_series(name: str, series: Series) -> Section:
    """Tabulate one folder of photos named for their distances."""
    curves = curves_of(series)
    distances = [f"{distance:g} cm" for distance, _ in series]
    rows = []
    figures: dict[str, dict[str, Any]] = {}
    for key, (with_depth, without) in curves.items():
        ranges = [_range(values) for values in (with_depth, without)]
        free = [_range(_per_pd(curves, key, which)) for which in (0, 1)]
        rows.append([f"`{key}`", *(number(mm, 1) for mm in with_depth), *(number(r, 1) for r in (*ranges, *free))])
        figures[key] = {
            "mm": with_depth,
            "mm_without_depth": without,
            "range_percent": ranges[0],
            "range_percent_without_depth": ranges[1],
            "range_percent_per_pd": free[0],
            "range_percent_per_pd_without_depth": free[1],
        }
    tables = [
        Table(
            f"`{name}`: millimetres over distance; range: largest less smallest, in % of the mean",
            ["measurement", *distances, "range", "without depth", "range ÷ PD", "without depth ÷ PD"],
            rows,
            "÷ PD: of the width over `distance_pd`, free of the iris's error.",
        ),
        _context(series),
    ]
    if ratios := _hand_ratios(series):
        heads = ["measurement", *distances]
        tables.append(Table(f"`{name}`: mesh ÷ hand, both in pixels, one person", heads, ratios))
    stated_range, range_without = (_range(values) for values in curves[STATED_KEY])
    problems = []
    if not (stated_range <= STATED_RANGE_PERCENT and stated_range < range_without):  # a NaN is a problem as well
        both = f"{number(stated_range, 1)} %, without the perspective step by {number(range_without, 1)} %"
        problems.append(f"over {name}, {STATED_KEY} ranges by {both}")
    return Section("distance", "Over distance", tables, {"series": name, "widths": figures}, problems)


def _divisor(definition: MeasurementDefinition, face: dict[str, Any] | None) -> float:
    """Tell what both are divided by: they differ by the perspective step alone."""
    pose = face["pose"] if face else {"yaw_deg": 0.0, "pitch_deg": 0.0}
    return definition.bias * definition.turn_factor(pose["yaw_deg"], pose["pitch_deg"])


def _range(values: list[float]) -> float:
    return range_percent([value for value in values if np.isfinite(value)])


def _per_pd(curves: Curves, key: str, which: int) -> list[float]:
    return list(np.divide(curves[key][which], curves[PUPILS][0]))


def _context(series: Series) -> Table:
    rows = []
    for distance, photo in series:
        face, result = photo.face, photo.result
        if face is None or result is None:
            rows.append([f"{distance:g} cm", f"refused: `{photo.refused}`", *[NONE] * 5])
            continue
        scale, pose = face["scale"], face["pose"]
        cells = [number(scale[key] if scale else None, digits) for key, digits in (("mm_per_px", 4), ("sd", 4))]
        away_cm = f"{scale['distance_mm'] / 10:.0f} ± {scale['distance_sd_mm'] / 10:.0f} cm" if scale else NONE
        angles = f"{pose['yaw_deg']:+.0f} / {pose['pitch_deg']:+.0f} / {pose['roll_deg']:+.0f}"
        status = scale["status"] if scale else "none"
        rows.append([f"{distance:g} cm", f"`{status}`", *cells, away_cm, result["camera"]["source"], angles])
    heads = ["named", "scale", "mm per px", "its SD", "distance by the result", "focal length", "yaw / pitch / roll, °"]
    return Table("The ruler and the pose behind them", heads, rows)


def _hand_ratios(series: Series) -> list[list[str]]:
    rows = []
    for definition in DEFINITIONS:
        cells, found = [f"`{definition.key}`"], False
        for _, photo in series:
            pair = photo.hand.scheme.widths.get(definition.key) if photo.hand else None
            px = photo.face["measurements"][definition.key]["px"] if photo.face else None
            ratio = px / distance_between(photo.hand.points, pair) if pair and px and photo.hand else None
            found = found or ratio is not None
            cells.append(number(ratio, 3))
        if found:
            rows.append(cells)
    return rows
