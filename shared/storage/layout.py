"""Where everything lies in storage, and what each object means.

| object | written | meaning |
|---|---|---|
| `options/{tenant}/{job}` | first, if there is something to keep | options and queue, in the body |
| `uploads/{tenant}/{job}` | then | the photo; from here the job is accepted, whatever dies next |
| `outcomes/{tenant}/{job}/{run}` | once | how the run ended, with the result |
| `reruns/{tenant}/{job}/{run}` | before a retry is answered | another run was asked for |
| `previews/{tenant}/{job}` | before the outcome, if the photo is kept | a small copy without metadata |
| `deleted/{tenant}/{job}` | first thing of a DELETE | the job must stay forgotten |
"""

from __future__ import annotations

import re
from typing import Final

from shared.names import JOB_ID_PATTERN

UPLOADS: Final = "uploads/"
OUTCOMES: Final = "outcomes/"
RERUNS: Final = "reruns/"
OPTIONS: Final = "options/"
PREVIEWS: Final = "previews/"
DELETED: Final = "deleted/"


def upload_key(tenant: str, job_id: str) -> str:
    """Return the key of the photo itself."""
    return f"{UPLOADS}{tenant}/{job_id}"


def options_key(tenant: str, job_id: str) -> str:
    """Return the key of what was asked for with the photo."""
    return f"{OPTIONS}{tenant}/{job_id}"


def preview_key(tenant: str, job_id: str) -> str:
    """Return the key of the small copy that overlays are drawn on."""
    return f"{PREVIEWS}{tenant}/{job_id}"


def tombstone_key(tenant: str, job_id: str) -> str:
    """Return the key that says the job was deleted."""
    return f"{DELETED}{tenant}/{job_id}"


def outcomes_prefix(tenant: str, job_id: str) -> str:
    """Return what the keys of all outcomes of a job start with."""
    return f"{OUTCOMES}{tenant}/{job_id}/"


def outcome_key(tenant: str, job_id: str, run: int) -> str:
    """Return the key of how one run ended. Runs are padded, so that keys sort as numbers do."""
    return f"{outcomes_prefix(tenant, job_id)}{run:06d}"


def reruns_prefix(tenant: str, job_id: str) -> str:
    """Return what the keys of all retries of a job start with."""
    return f"{RERUNS}{tenant}/{job_id}/"


def rerun_key(tenant: str, job_id: str, run: int) -> str:
    """Return the key that says a further run was asked for."""
    return f"{reruns_prefix(tenant, job_id)}{run:06d}"


_OF_A_JOB: Final = re.compile(rf"[a-z]+/(?P<tenant>[^/]+)/(?P<job>{JOB_ID_PATTERN.pattern})(?:/(?P<run>\d{{6}}))?")


def owner_of(key: str) -> tuple[str, str] | None:
    """Return (tenant, job id) of any key above, or None of a key that this service does not write."""
    found = _OF_A_JOB.fullmatch(key)
    return (found["tenant"], found["job"]) if found else None


def run_of(key: str) -> int:
    """Return the run of an outcome's or a retry's key, 0 of any other."""
    found = _OF_A_JOB.fullmatch(key)
    return int(found["run"] or 0) if found else 0
