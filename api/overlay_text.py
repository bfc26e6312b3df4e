"""What the overlay says of a face, in words; plain text, escaped where it is put into the drawing."""

from __future__ import annotations

from typing import Any, Final

from shared.measurements import DEFINITIONS
from shared.results import MeasurementStatus

COLOURS: Final = {
    "forehead_width": "#ffd166",
    "eye_gap": "#f78c6b",
    "chin_width": "#06d6a0",
    "interpupillary_distance": "#7ae582",
    "distance_pd": "#f9f871",
    "monocular_pd_right": "#b8f2e6",
    "monocular_pd_left": "#a0c4ff",
    "biocular_width": "#ff9ecd",
    "face_width": "#4cc9f0",
    "temple_width": "#06d6a0",
    "face_edge_breadth": "#c77dff",
    "jaw_width": "#ffd166",
    "face_length": "#f1f5f9",
    "nose_breadth": "#ff9ecd",
    "mouth_width": "#f78c6b",
}
"""Those that lie side by side differ."""
_OTHER_COLOUR: Final = "#f1f5f9"

NUMBERS: Final = {definition.key: number for number, definition in enumerate(DEFINITIONS, start=1)}
"""What the drawing calls each measurement, where there is no room for its name: its place in the registry."""

DASHES: Final = {
    MeasurementStatus.OK: None,
    MeasurementStatus.UNRELIABLE: (3.0, 1.6),
    MeasurementStatus.NOT_MEASURABLE: (0.6, 2.0),
}
"""Lengths of strokes and gaps, in widths of the line."""


def colour_of(key: str) -> str:
    """Return the colour of a measurement."""
    return COLOURS.get(key, _OTHER_COLOUR)


def in_words(name: str) -> str:
    """Return a key, a reason or a status as words."""
    return name.replace("_", " ")


def value_in_words(value: dict[str, Any]) -> str:
    """Return a measurement in millimetres with its SD; in pixels where it has none."""
    if value["mm"] is not None:
        return f"{value['mm']:.1f} ± {value['mm_sd']:.1f} mm" if value["mm_sd"] is not None else f"{value['mm']:.1f} mm"
    return "none" if value["px"] is None else f"{value['px']:.1f} px"


def status_in_words(value: dict[str, Any]) -> str:
    """Return what is wrong with a measurement and why; empty when it is ok."""
    if value["status"] == MeasurementStatus.OK:
        return ""
    reasons = ", ".join(map(in_words, value["reasons"]))
    return in_words(value["status"]) + (f": {reasons}" if reasons else "")


def facts_in_words(face: dict[str, Any]) -> list[str]:
    """Return the scale, the distance and the pose of a face, a line each."""
    pose = face["pose"]
    turned = ", ".join(f"{name} {round(pose[f'{name}_deg']):+d}°" for name in ("yaw", "pitch", "roll"))
    if face["scale"] is None:
        return ["no scale: pixels only", turned]
    return [*_scale_in_words(face["scale"]), turned]


def _scale_in_words(scale: dict[str, Any]) -> list[str]:
    share = scale["sd"] / scale["mm_per_px"]
    lines = [f"scale by {in_words(scale['source'])}: {scale['mm_per_px']:.3g} mm/px ± {share:.1%}"]
    if doubt := status_in_words(scale):
        lines.append(f"scale {doubt}")
    other = scale["agreement"]
    if other is not None:
        verb = "agrees" if other["agrees"] else "disagrees"
        lines.append(f"{in_words(other['source'])} {verb}: {other['mm_per_px']:.3g} mm/px")
    lines.append(f"distance {scale['distance_mm'] / 10:.0f} ± {scale['distance_sd_mm'] / 10:.0f} cm")
    return lines
