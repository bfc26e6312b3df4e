"""How the outside client follows what it was promised: until all has ended, and once more after that."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx

from tests.faults.plan import Entry, Plan

OPEN: Final = frozenset({"awaiting_upload", "queued", "running"})
READS_AT_ONCE: Final = 12
PAUSE_S: Final = 0.4
ANSWER_TIMEOUT_S: Final = 20.0
HTTP_OK: Final = 200


class Writes(Protocol):
    def write(self, event: str, **values: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Promised:
    """A job that was accepted, and the digest of its photo."""

    id: str
    entry: Entry
    sha256: str


class Followed:
    """What is still open; filled by those who send, emptied by the one who follows."""

    def __init__(self) -> None:
        self.open: deque[Promised] = deque()
        self.batches: deque[tuple[str, list[Entry], dict[str, str]]] = deque()

    def add_job(self, job_id: str, entry: Entry, sha256: str) -> None:
        self.open.append(Promised(job_id, entry, sha256))

    def add_batch(self, batch_id: str, entries: list[Entry], digests: dict[str, str]) -> None:
        self.batches.append((batch_id, entries, digests))


@dataclass(frozen=True, slots=True)
class _End:
    status: str
    code: str | None


def follow(plan: Plan, log: Writes, followed: Followed, all_sent: threading.Event) -> None:
    """Read open jobs in turn until none is left, then every one again: what has ended must not change."""
    ends: dict[str, _End] = {}
    promised: dict[str, Promised] = {}
    with httpx.Client(base_url=plan.url, timeout=ANSWER_TIMEOUT_S, trust_env=False) as http:
        last_s = time.monotonic()
        while True:
            was_sent = all_sent.is_set()
            changed = _name_items(http, log, followed)
            for _ in range(min(READS_AT_ONCE, len(followed.open))):
                job = followed.open.popleft()
                promised[job.id] = job
                end = _read(http, log, job)
                if end is None:
                    followed.open.append(job)
                else:
                    ends[job.id] = end
                    changed = True
            if changed or not was_sent:
                last_s = time.monotonic()
            if was_sent and not followed.open and not followed.batches:
                break
            if time.monotonic() - last_s > plan.patience_s:
                log.write("lost_patience", open=[job.id for job in followed.open])
                break
            time.sleep(0.0 if changed else PAUSE_S)
        log.write("all_ended", count=len(ends))
        for job_id, end in ends.items():
            _read_again(http, log, promised[job_id], end)


def _get(http: httpx.Client, path: str, **query: Any) -> httpx.Response | None:
    try:
        return http.get(path, params=query)
    except httpx.TransportError:
        return None


def _name_items(http: httpx.Client, log: Writes, followed: Followed) -> bool:
    """Find out which jobs the items of a batch are."""
    if not followed.batches:
        return False
    batch_id, entries, digests = followed.batches.popleft()
    answer = _get(http, f"/v1/batches/{batch_id}/items", limit=1000)
    if answer is None or answer.status_code != HTTP_OK:
        if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            log.write("vanished_batch", id=batch_id, status=answer.status_code)
        followed.batches.append((batch_id, entries, digests))
        return False
    ids = {item["reference"]: item["id"] for item in answer.json()["data"]}
    log.write("named", id=batch_id, ids=ids)
    for entry in entries:
        if entry.reference in ids:
            followed.add_job(ids[entry.reference], entry, digests[entry.reference])
        else:
            log.write("not_in_batch", id=batch_id, reference=entry.reference)
    return True


def _read(http: httpx.Client, log: Writes, job: Promised) -> _End | None:
    answer = _get(http, f"/v1/jobs/{job.id}")
    if answer is None or answer.status_code != HTTP_OK:
        if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            log.write("vanished", id=job.id, status=answer.status_code)
        elif answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            log.write("broken_answer", id=job.id, status=answer.status_code)
        return None
    found = answer.json()
    if found["status"] in OPEN:
        return None
    code = found["error"]["code"] if found["error"] else None
    right = found["status"] != "succeeded" or found["result"]["image"]["sha256"] == job.sha256
    log.write(
        "ended",
        id=job.id,
        reference=job.entry.reference,
        status=found["status"],
        code=code,
        attempts=found["attempts"],
        right_photo=right,
    )
    return _End(found["status"], code)


def _read_again(http: httpx.Client, log: Writes, job: Promised, end: _End) -> None:
    until = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        answer = _get(http, f"/v1/jobs/{job.id}")
        if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            break
        if time.monotonic() > until:
            log.write("changed", id=job.id, was=end.status, now="unreadable")
            return
        time.sleep(PAUSE_S)
    found = answer.json()
    now = _End(str(found.get("status")), (found.get("error") or {}).get("code"))
    if answer.status_code != HTTP_OK or now != end:
        log.write("changed", id=job.id, was=end.status, now=now.status)
