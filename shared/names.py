"""Names that both sides must spell alike: queues, tasks, identifiers, and the one tenant there is so far."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from ulid import ULID

LOCAL_TENANT: Final = "local"
"""Who every request belongs to while no API key is configured."""

JOB_ID_PREFIX: Final = "job_"
JOB_ID_PATTERN: Final = re.compile(r"job_[0-7][0-9a-hjkmnp-tv-z]{25}")
"""A prefix and a ULID in lower case: 48 bits of milliseconds, 80 bits of randomness."""


class QueueName(StrEnum):
    """The queues that doorbells are rung on; each is watched by workers of its own."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class TaskName(StrEnum):
    """The Celery tasks, by the name that travels in a message."""

    MEASURE_JOB = "facefit.measure_job"


def new_job_id() -> str:
    """Return a new job identifier: unguessable, and sorted by the time it was made."""
    return JOB_ID_PREFIX + str(ULID()).lower()


def is_job_id(text: str) -> bool:
    """Tell whether `text` has the form of a job identifier."""
    return JOB_ID_PATTERN.fullmatch(text) is not None


def job_id_time(job_id: str) -> datetime:
    """Return when the identifier was made, UTC, to the millisecond.

    Raises
    ------
    ValueError
        If `job_id` does not have the form of a job identifier.
    """
    if not is_job_id(job_id):
        message = f"not a job id: {job_id!r}"
        raise ValueError(message)
    return ULID.from_str(job_id.removeprefix(JOB_ID_PREFIX).upper()).datetime.astimezone(UTC)
