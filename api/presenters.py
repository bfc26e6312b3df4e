"""From records to JSON. A result is passed on as the bytes the worker wrote, never parsed on the way."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import orjson
from flask import Response

from api.reading_places import reading_place
from shared.errors import JobNotFound, RecordsUnavailable, Transient
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.record import JobRecord
from shared.jobs.store import PlacedJob
from shared.schemas import FaceCoordinates, Job, JobStatus
from shared.views import job_view

logger = logging.getLogger(__name__)

JSON_TYPE: Final = "application/json"
POLL_AGAIN_S: Final = 1
_LEGACY_LANDMARKS: Final = 468
"""The original service's mesh had no irises."""


def job_model(jobs: JobLifecycle, record: JobRecord) -> Job:
    """Return a job as clients see it, without its result."""
    return job_view(record, queue_position=queue_position(jobs, record))


def queue_position(jobs: JobLifecycle, record: JobRecord) -> int | None:
    """Return how far from being measured a job is, 1 being next; None if it is not queued, or that cannot be told."""
    if record.status is JobStatus.QUEUED:
        with suppress(RecordsUnavailable):  # a detail: no reason to refuse the rest
            return jobs.store.queue_position(record)
    return None


def model_json(model: Any) -> bytes:
    """Serialise a model, times as RFC 3339 with `Z`."""
    return orjson.dumps(model.model_dump(), option=orjson.OPT_UTC_Z)


def job_response(
    jobs: JobLifecycle,
    record: JobRecord,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a job, its result included once it has succeeded."""
    head = model_json(job_model(jobs, record))
    return _with_result(jobs, record, head, status=status, headers=headers or {})


def conditional_job_response(jobs: JobLifecycle, placed: PlacedJob, known_etags: Any) -> Response:
    """Answer with a job, or with 304 when the client holds the same already; then no result is read."""
    record = placed.record
    head = model_json(job_view(record, queue_position=placed.position))
    # The result is written once for a run, so all that can differ is in the head.
    etag = hashlib.sha256(head).hexdigest()[:32]
    headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
    if not record.status.is_terminal:
        headers["Retry-After"] = str(POLL_AGAIN_S)
    if known_etags.contains_weak(etag):
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return _with_result(jobs, record, head, status=HTTPStatus.OK, headers=headers)


def _with_result(
    jobs: JobLifecycle, record: JobRecord, head: bytes, *, status: HTTPStatus, headers: dict[str, str]
) -> Response:
    body = head
    if record.status is JobStatus.SUCCEEDED:
        with reading_place():
            body = head.removesuffix(b"null}") + jobs.result_json(record) + b"}"
        if record.options.measure_and_delete:
            return _to_be_read_once(jobs, record, body, status=status, headers=headers)
    if not record.status.is_terminal:
        headers = {**headers, "Retry-After": str(POLL_AGAIN_S)}
    return Response(body, status=status, content_type=JSON_TYPE, headers=headers)


def _to_be_read_once(
    jobs: JobLifecycle, record: JobRecord, body: bytes, *, status: HTTPStatus, headers: dict[str, str]
) -> Response:
    """Answer with a job, and delete it when the whole answer has been handed to the connection."""

    def sent() -> Iterator[bytes]:
        yield body
        # Asked for more: a client that left before would have ended this above. A HEAD does not even begin it.
        try:
            jobs.delete(record.tenant, record.id)
        except JobNotFound:
            pass  # another reader was as quick
        except Transient as error:
            logger.warning("%s was read and is deleted later: %s", record.id, error)

    headers = {**headers, "Content-Length": str(len(body))}
    return Response(sent(), status=status, content_type=JSON_TYPE, headers=headers)


def job_url(record: JobRecord) -> str:
    """Return where a job is found."""
    return f"/v1/jobs/{record.id}"


def deleted_response(deleted_id: str) -> Response:
    """Answer that a job or batch is deleted, and where the receipt is."""
    return Response(status=HTTPStatus.NO_CONTENT, headers={"Link": f'</v1/deletions/{deleted_id}>; rel="status"'})


def face_coordinates(result: dict[str, Any]) -> FaceCoordinates:
    """Return a result as the original service gave it: the largest face, in whole pixels."""
    face = result["faces"][0]
    return FaceCoordinates.model_validate(
        {
            "landmarks": [
                {"id": point["id"], "x": round(point["x"]), "y": round(point["y"])}
                for point in face["landmarks"][:_LEGACY_LANDMARKS]
            ],
            "measurements": {
                f"{key}_px": round(face["measurements"][key]["px"])
                for key in ("forehead_width", "eye_gap", "chin_width")
            },
        }
    )
