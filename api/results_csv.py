"""The results of a batch as a table: one row for each face, and one for each item without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from api.batch_results import item_head, without_landmarks
from api.csv_text import Cell, csv_line
from shared.jobs.record import JobRecord
from shared.measurements import DEFINITIONS

REASONS_SEPARATOR: Final = "|"
"""Between the reasons in a cell; no reason has it in its name."""

_OF_THE_ITEM: Final = ("reference", "job_id", "item_index", "status", "error_code")
_OF_THE_FACE: Final = (
    "face_index",
    "scale_source",
    "mm_per_px",
    "scale_sd",
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "quality_score",
)
_KEYS: Final = tuple(definition.key for definition in DEFINITIONS)
_OF_A_MEASUREMENT: Final = ("px", "mm", "mm_sd", "status", "reasons")

COLUMNS: Final = (
    *_OF_THE_ITEM,
    *_OF_THE_FACE,
    *(f"{key}_{name}" for key in _KEYS for name in _OF_A_MEASUREMENT),
)
_NO_FACE: Final[tuple[Cell, ...]] = (None,) * (len(COLUMNS) - len(_OF_THE_ITEM))


def header_line() -> str:
    """Return the names of the columns."""
    return csv_line(COLUMNS)


def item_lines(record: JobRecord, result_json: bytes | None) -> str:
    """Return the rows of an item, at least one."""
    item: tuple[Cell, ...] = tuple(item_head(record).values())
    faces = [] if result_json is None else orjson.loads(without_landmarks(result_json))["faces"]
    rows = [(*item, number, *_face_cells(face)) for number, face in enumerate(faces)]
    return "".join(map(csv_line, rows or [(*item, *_NO_FACE)]))


def _face_cells(face: dict[str, Any]) -> Iterator[Cell]:
    """Yield the cells of a face but its number; results of an earlier version leave some empty."""
    scale, pose = face.get("scale") or {}, face.get("pose") or {}
    yield scale.get("source")
    yield scale.get("mm_per_px")
    yield scale.get("sd")
    yield pose.get("yaw_deg")
    yield pose.get("pitch_deg")
    yield pose.get("roll_deg")
    yield (face.get("quality") or {}).get("score")
    for key in _KEYS:
        measured = face["measurements"].get(key, {})
        yield measured.get("px")
        yield measured.get("mm")
        yield measured.get("mm_sd")
        yield measured.get("status")
        yield REASONS_SEPARATOR.join(measured.get("reasons", ())) or None
