"""How records of jobs and batches are written into Redis' hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from shared.errors import UnreadableObject
from shared.fetches.tickets import FetchFrom
from shared.jobs.batch_record import BatchRecord, BatchSource, EndsSeen
from shared.jobs.record import JobRecord
from shared.jobs.store import Cleanup, CleanupKind
from shared.names import QueueName
from shared.schemas import JobError, JobOptions, JobStatus

Fields = dict[str, str | int | bytes]

_NO_OPTIONS = JobOptions()
"""What most jobs come with."""


def reference_hash(reference: str | None) -> str:
    """Return what stands for a reference in the name of a key."""
    return hashlib.sha256(reference.encode()).hexdigest()[:32] if reference is not None else ""


def error_json(error: JobError | None) -> bytes:
    """Return why a job ended, as it is kept."""
    return orjson.dumps(error.model_dump()) if error else b""


def job_fields(record: JobRecord) -> Fields:
    """Return a job's record as fields and values."""
    fields: dict[str, str | int | bytes | None] = {
        "tenant": record.tenant,
        "queue": record.queue,
        "status": record.status,
        "options": orjson.dumps(record.options.model_dump(exclude_defaults=True)),
        "reference_hash": reference_hash(record.options.reference),
        "run": record.run,
        "attempts": record.attempts,
        "created_ms": record.created_ms,
        "expires_ms": record.expires_ms,
        "started_ms": record.started_ms,
        "finished_ms": record.finished_ms,
        "error": error_json(record.error),
        "batch": record.batch_id,
        "item_index": record.item_index,
        "request_id": record.request_id,
    }
    if record.fetch is not None:
        line = record.fetch.line
        fields |= {"fetch_receiver": record.fetch.receiver, "fetch_line": "{}:{}".format(*line) if line else None}
    return {name: value for name, value in fields.items() if value is not None}


def job_of(job_id: str, fields: Mapping[bytes, bytes]) -> JobRecord:
    """Return the record that fields and values stand for.

    Raises
    ------
    UnreadableObject
        If they are of a later version, whose API is ahead of this process, or damaged.
    """
    try:
        return _job_of(job_id, fields)
    except (ValueError, KeyError) as error:
        raise UnreadableObject(job_id) from error


def _job_of(job_id: str, fields: Mapping[bytes, bytes]) -> JobRecord:
    error = fields.get(b"error")
    return JobRecord(
        id=job_id,
        tenant=fields[b"tenant"].decode(),
        queue=QueueName(fields[b"queue"].decode()),
        options=_options_of(fields[b"options"]),
        created_ms=int(fields[b"created_ms"]),
        expires_ms=int(fields[b"expires_ms"]),
        status=JobStatus(fields[b"status"].decode()),
        run=int(fields[b"run"]),
        attempts=int(fields[b"attempts"]),
        started_ms=_optional_int(fields.get(b"started_ms")),
        finished_ms=_optional_int(fields.get(b"finished_ms")),
        error=JobError.model_validate(orjson.loads(error)) if error else None,
        batch_id=_optional_text(fields.get(b"batch")),
        item_index=_optional_int(fields.get(b"item_index")),
        fetch=_fetch_of(fields),
        request_id=_optional_text(fields.get(b"request_id")),
    )


def _options_of(line: bytes) -> JobOptions:
    return _NO_OPTIONS if line == b"{}" else JobOptions.model_validate(orjson.loads(line))


def _fetch_of(fields: Mapping[bytes, bytes]) -> FetchFrom | None:
    receiver = fields.get(b"fetch_receiver")
    if receiver is None:
        return None
    at, _, n_bytes = fields.get(b"fetch_line", b"").partition(b":")
    return FetchFrom(receiver.decode(), (int(at), int(n_bytes)) if at else None)


def cleanup_of(member: str) -> Cleanup:
    """Return the debt to storage that a member of their set stands for."""
    kind, tenant, job_id, batch_id = member.split("|")
    return Cleanup(CleanupKind(kind), tenant, job_id, batch_id or None)


def batch_fields(batch: BatchRecord) -> Fields:
    """Return the record of a batch without items as fields and values."""
    fields: dict[str, str | int | None] = {
        "tenant": batch.tenant,
        "source": batch.source,
        "total": batch.total,
        "created_ms": batch.created_ms,
        "expires_ms": batch.expires_ms,
        "deadline_ms": batch.deadline_ms,
        "started_ms": batch.started_ms,
        "cancelled_ms": batch.cancelled_ms,
        "sealed": 0,
        "run": batch.run,
        "completions": 0,
        "announces": 1 if batch.announces else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def batch_of(batch_id: str, fields: Mapping[bytes, bytes], gone: int) -> BatchRecord:
    """Return the batch that fields and values stand for; `gone` of its items were deleted."""
    return BatchRecord(
        id=batch_id,
        tenant=fields[b"tenant"].decode(),
        source=BatchSource(fields[b"source"].decode()),
        total=int(fields[b"total"]),
        created_ms=int(fields[b"created_ms"]),
        expires_ms=int(fields[b"expires_ms"]),
        deadline_ms=_optional_int(fields.get(b"deadline_ms")),
        started_ms=_optional_int(fields.get(b"started_ms")),
        cancelled_ms=_optional_int(fields.get(b"cancelled_ms")),
        completed_ms=_optional_int(fields.get(b"completed_ms")),
        sealed=fields[b"sealed"] == b"1",
        run=int(fields[b"run"]),
        completions=int(fields[b"completions"]),
        gone=gone,
        counts={status: int(fields.get(f"n_{status}".encode(), 0)) for status in JobStatus},
        ends_seen=EndsSeen(*(int(fields.get(name, 0)) for name in (b"window", b"ended_here", b"ended_before"))),
        announces=fields.get(b"announces") == b"1",
    )


def _optional_text(value: bytes | None) -> str | None:
    return value.decode() if value else None


def _optional_int(value: bytes | None) -> int | None:
    return int(value) if value else None
