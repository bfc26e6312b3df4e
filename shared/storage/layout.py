"""Where everything lies in storage, and what each object means.

| object | written | meaning |
|---|---|---|
| `options/{tenant}/{job}` | first, if there is something to keep | options, queue, idempotency key; in the body |
| `uploads/{tenant}/{job}` | then | the photo; from here the job is accepted, whatever dies next |
| `tickets/{tenant}/{job}` | then, for a photo at a URL | the URL; the commit until the photo is here, then deleted |
| `uploads/{tenant}/{job}.{batch}` | before the manifest, or later | the photo of an item; it means nothing alone |
| `batches/{tenant}/{batch}.manifest` | last of a new batch | its items; from here the batch is accepted |
| `batches/{tenant}/{batch}.started` | when its client says so | uploads by forms are measured as they come |
| `batches/{tenant}/{batch}.cancelled` | before a cancellation is answered | what is open ends cancelled |
| `outcomes/{tenant}/{job}.{run}` | once | how the run ended, with the result |
| `reruns/{tenant}/{job}.{run}` | before a retry is answered | another run was asked for |
| `previews/{tenant}/{job}` | before the outcome, if the photo is kept | a small copy without metadata |
| `tenants/{tenant}` | by an operator | the limits that were set for it alone |
| `deleted/{tenant}/{job or batch}` | first thing of a DELETE | it must stay forgotten; the body is when [ms] |
| `purges/wanted` | when deletions are complete | up to when they are to leave the files of both stores [ms] |
| `trials/{number}/x` | after the store's disk was full, and deleted at once | whether the store takes writes again |
| `purges/{kind}/{covers}-{ended}` | after a purge | up to when it covers deletions, and when it ended [ms] |

Deliveries, webhook secrets and API keys say in their own modules where they lie. No job and no batch has a folder of
its own: while its disk is full SeaweedFS takes an object whose new folder it refuses, which is then in no list
(docs/adr/0016-no-folder-for-a-job.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from shared.names import BATCH_ID_PATTERN, JOB_ID_PATTERN

UPLOADS: Final = "uploads/"
TICKETS: Final = "tickets/"
BATCHES: Final = "batches/"
OUTCOMES: Final = "outcomes/"
RERUNS: Final = "reruns/"
OPTIONS: Final = "options/"
PREVIEWS: Final = "previews/"
DELETED: Final = "deleted/"
PURGES: Final = "purges/"
TENANTS: Final = "tenants/"
TRIALS: Final = "trials/"
OF_ITEMS: Final = (UPLOADS, OPTIONS, TICKETS, PREVIEWS, OUTCOMES, RERUNS)
"""Where an item of a batch may have objects: everywhere but its tombstone."""


def upload_key(tenant: str, job_id: str, batch_id: str | None = None) -> str:
    """Return the key of the photo itself; that of an item names its batch."""
    return f"{UPLOADS}{tenant}/{job_id}" + (f".{batch_id}" if batch_id else "")


def ticket_key(tenant: str, job_id: str) -> str:
    """Return the key of the URL that the photo is to be fetched from."""
    return f"{TICKETS}{tenant}/{job_id}"


def options_key(tenant: str, job_id: str) -> str:
    """Return the key of what was asked for with the photo."""
    return f"{OPTIONS}{tenant}/{job_id}"


def preview_key(tenant: str, job_id: str) -> str:
    """Return the key of the small copy that overlays are drawn on."""
    return f"{PREVIEWS}{tenant}/{job_id}"


def tombstone_key(tenant: str, deleted_id: str) -> str:
    """Return the key that says the job or batch was deleted."""
    return f"{DELETED}{tenant}/{deleted_id}"


def tenant_key(tenant: str) -> str:
    """Return the key of the limits that were set for a tenant."""
    return f"{TENANTS}{tenant}"


def outcomes_prefix(tenant: str, job_id: str) -> str:
    """Return what the keys of all outcomes of a job start with."""
    return f"{OUTCOMES}{tenant}/{job_id}."


def outcome_key(tenant: str, job_id: str, run: int) -> str:
    """Return the key of how one run ended. Runs are padded, so that keys sort as numbers do."""
    return f"{outcomes_prefix(tenant, job_id)}{run:06d}"


def reruns_prefix(tenant: str, job_id: str) -> str:
    """Return what the keys of all retries of a job start with."""
    return f"{RERUNS}{tenant}/{job_id}."


def rerun_key(tenant: str, job_id: str, run: int) -> str:
    """Return the key that says a further run was asked for."""
    return f"{reruns_prefix(tenant, job_id)}{run:06d}"


def batch_prefix(tenant: str, batch_id: str) -> str:
    """Return what the keys of a batch's own objects start with."""
    return f"{BATCHES}{tenant}/{batch_id}."


def manifest_key(tenant: str, batch_id: str) -> str:
    """Return the key of the list of a batch's items."""
    return batch_prefix(tenant, batch_id) + "manifest"


def started_key(tenant: str, batch_id: str) -> str:
    """Return the key that says that a batch was started."""
    return batch_prefix(tenant, batch_id) + "started"


def cancelled_key(tenant: str, batch_id: str) -> str:
    """Return the key that says that a batch was cancelled."""
    return batch_prefix(tenant, batch_id) + "cancelled"


_OF_A_JOB: Final = re.compile(
    rf"[a-z]+/(?P<tenant>[^/]+)/(?P<job>{JOB_ID_PATTERN.pattern})"
    rf"(?:\.(?P<run>\d{{6}})|\.(?P<batch>{BATCH_ID_PATTERN.pattern}))?"
)
_OF_A_BATCH: Final = re.compile(
    rf"(?:batches|deleted)/(?P<tenant>[^/]+)/(?P<batch>{BATCH_ID_PATTERN.pattern})(?:\..*)?"
)


def common_start(job_ids: Collection[str]) -> str:
    """Return what all of some ids start with, so that little else is listed."""
    first, last = min(job_ids), max(job_ids)
    return first[: next((n for n, pair in enumerate(zip(first, last, strict=True)) if len(set(pair)) > 1), len(first))]


def owner_of(key: str) -> tuple[str, str] | None:
    """Return (tenant, job id) of any key of a job, or None of a key that is none."""
    found = _OF_A_JOB.fullmatch(key)
    return (found["tenant"], found["job"]) if found else None


def run_of(key: str) -> int:
    """Return the run of an outcome's or a retry's key, 0 of any other."""
    found = _OF_A_JOB.fullmatch(key)
    return int(found["run"] or 0) if found else 0


def batch_of_upload(key: str) -> str | None:
    """Return the batch that the key of a photo names, if it is that of an item."""
    found = _OF_A_JOB.fullmatch(key)
    return found["batch"] if found else None


def batch_of(key: str) -> tuple[str, str] | None:
    """Return (tenant, batch id) of a key of a batch or of its tombstone, or None of a key that is neither."""
    found = _OF_A_BATCH.fullmatch(key)
    return (found["tenant"], found["batch"]) if found else None
