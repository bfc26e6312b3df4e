"""The items of a batch that ended without a result, and what helps: as lines of JSON, or as a table."""

from __future__ import annotations

from typing import Final

import orjson

from api.batch_results import item_head
from api.csv_text import csv_line
from api.results_csv import REASONS_SEPARATOR
from shared.jobs.record import JobRecord
from shared.schemas import JobStatus

ERROR_COLUMNS: Final = (
    "reference",
    "job_id",
    "item_index",
    "status",
    "error_code",
    "error_message",
    "retake_codes",
    "retake_messages",
)


def ended_without_result(record: JobRecord) -> bool:
    """Tell whether an item was rejected or cancelled, or has failed."""
    return record.status.is_terminal and record.status is not JobStatus.SUCCEEDED


def error_line(record: JobRecord) -> bytes:
    """Return an item as one line of JSON."""
    error = record.error
    told = {
        **item_head(record),
        "error_message": error.message if error else None,
        "retake": [hint.model_dump() for hint in error.retake] if error else [],
    }
    return orjson.dumps(told) + b"\n"


def error_header_line() -> str:
    """Return the names of the columns."""
    return csv_line(ERROR_COLUMNS)


def error_row(record: JobRecord) -> str:
    """Return an item as one row."""
    hints = record.error.retake if record.error else []
    return csv_line(
        [
            *item_head(record).values(),
            record.error.message if record.error else None,
            REASONS_SEPARATOR.join(hint.code for hint in hints) or None,
            " ".join(hint.message for hint in hints) or None,
        ]
    )
