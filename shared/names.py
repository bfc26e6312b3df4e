"""Names that both sides must spell alike: queues, tasks, identifiers, tenants."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from ulid import ULID

LOCAL_TENANT: Final = "local"
"""Who every request belongs to while no API key is configured."""

_TENANT_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What may stand in the keys of storage and Redis, whose parts are separated by other characters."""

JOB_ID_PREFIX: Final = "job_"
JOB_ID_PATTERN: Final = re.compile(r"job_[0-6][0-9a-hjkmnp-tv-z]{25}")
"""A prefix and a ULID in lower case: 48 bits of milliseconds, 80 bits of randomness.

Those that begin with 7 are of the year 9774 and later, for which there are no dates."""
BATCH_ID_PREFIX: Final = "bat_"
BATCH_ID_PATTERN: Final = re.compile(r"bat_[0-6][0-9a-hjkmnp-tv-z]{25}")
"""The same, for batches."""
_TIME_CHARACTERS: Final = 10
"""How much of a ULID is its time."""


class QueueName(StrEnum):
    """The queues that doorbells are rung on; each is watched by workers of its own."""

    INTERACTIVE = "interactive"
    BULK = "bulk"

    @property
    def takes_turns(self) -> bool:
        """Whether its doorbells name no job: who answers is given those whose tenant's turn it is."""
        return self is QueueName.BULK


class TaskName(StrEnum):
    """The Celery tasks, by the name that travels in a message."""

    MEASURE_JOB = "facefit.measure_job"
    MEASURE_BULK = "facefit.measure_bulk"
    CANARY = "facefit.canary"


def is_tenant(text: str) -> bool:
    """Tell whether `text` may be the name of a tenant."""
    return _TENANT_PATTERN.fullmatch(text) is not None


def new_job_id() -> str:
    """Return a new job identifier: unguessable, and sorted by the time it was made."""
    return JOB_ID_PREFIX + str(ULID()).lower()


def is_job_id(text: str) -> bool:
    """Tell whether `text` has the form of a job identifier."""
    return JOB_ID_PATTERN.fullmatch(text) is not None


def new_batch_id() -> str:
    """Return a new batch identifier: unguessable, and sorted by the time it was made."""
    return BATCH_ID_PREFIX + str(ULID()).lower()


def is_batch_id(text: str) -> bool:
    """Tell whether `text` has the form of a batch identifier."""
    return BATCH_ID_PATTERN.fullmatch(text) is not None


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
    return _ulid_time(job_id.removeprefix(JOB_ID_PREFIX))


def batch_id_time(batch_id: str) -> datetime:
    """Return when the identifier was made, UTC, to the millisecond.

    Raises
    ------
    ValueError
        If `batch_id` does not have the form of a batch identifier.
    """
    if not is_batch_id(batch_id):
        message = f"not a batch id: {batch_id!r}"
        raise ValueError(message)
    return _ulid_time(batch_id.removeprefix(BATCH_ID_PREFIX))


def first_job_id_at(time_ms: int) -> str:
    """Return the start of all job ids made in a millisecond: not above any of them, and above all earlier ones."""
    return JOB_ID_PREFIX + str(ULID.from_timestamp(time_ms)).lower()[:_TIME_CHARACTERS]


def _ulid_time(body: str) -> datetime:
    return ULID.from_str(body.upper()).datetime.astimezone(UTC)
