"""The results of a batch as lines of JSON, one for each item."""

from __future__ import annotations

from typing import Any, Final

import orjson

from shared.jobs.record import JobRecord

NDJSON_TYPE: Final = "application/x-ndjson"

_LANDMARKS: Final = b',"landmarks":['


def item_head(record: JobRecord) -> dict[str, Any]:
    """Return what every report says of an item, whatever became of it."""
    return {
        "reference": record.options.reference,
        "job_id": record.id,
        "item_index": record.item_index,
        "status": record.status,
        "error_code": record.error.code if record.error else None,
    }


def result_line(record: JobRecord, result_json: bytes | None, *, landmarks: bool) -> bytes:
    """Return an item as one line of JSON; its result, if it has one, in the bytes that the worker wrote."""
    result = b"null" if result_json is None else result_json if landmarks else without_landmarks(result_json)
    return orjson.dumps(item_head(record))[:-1] + b',"result":' + result + b"}\n"


def without_landmarks(result_json: bytes) -> bytes:
    """Cut the points out of a result, which are nine tenths of it; what stays is not touched.

    They are found by their text. No string in a result can hold that text, for in a string its quotes would have
    backslashes before them; and no point has a bracket in it.
    """
    kept = []
    start = 0
    while (found := result_json.find(_LANDMARKS, start)) >= 0:
        kept.append(result_json[start:found])
        start = result_json.index(b"]", found) + 1
    return b"".join([*kept, result_json[start:]])
