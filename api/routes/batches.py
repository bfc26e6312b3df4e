"""Many photos: submit, start, read, list, cancel, retry, delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from api import problems
from api.batch_intake import accept_batch
from api.batch_openapi import SUBMIT_EXTENSIONS, CreatedBatch
from api.batch_pages import page_of_batches, page_of_items
from api.batch_presenters import batch_response, conditional_batch_response
from api.context import services, tenant
from api.idempotency import replayable
from api.presenters import JSON_TYPE, deleted_response, model_json
from api.problems import DELETED, ProblemError, problem_responses
from api.routes.jobs import WaitQuery
from shared.batch_schemas import Batch, BatchItemList, BatchList
from shared.errors import AlreadyFinished
from shared.jobs.batch_record import BatchRecord
from shared.jobs.batch_store import BatchQuery
from shared.jobs.batches import BatchLifecycle
from shared.names import BATCH_ID_PATTERN
from shared.schema_base import Schema
from shared.schemas import BatchStatus, JobStatus

bp = APIBlueprint("batches", __name__, url_prefix="/v1", abp_tags=[Tag(name="batches", description="Many photos.")])


class BatchPath(Schema):
    """Which batch."""

    batch_id: str
    """As given when it was made."""


class BatchListQuery(Schema):
    """Which batches, newest first."""

    status: BatchStatus | None = None
    """A page of those in one status may be short, or empty, and yet be followed by another: see `next_cursor`."""
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=f"^{BATCH_ID_PATTERN.pattern}$")] | None = None
    """`next_cursor` of the page before."""


class ItemListQuery(Schema):
    """Which items, in item order."""

    status: JobStatus | None = None
    limit: int = Field(100, ge=1, le=1000)
    cursor: int | None = Field(None, ge=0)
    """`next_cursor` of the page before."""


@bp.post(
    "/batches",
    summary="Submit many photos",
    openapi_extensions=SUBMIT_EXTENSIONS,
    responses={
        "201": CreatedBatch,
        "202": replayable("Accepted", "Batch"),
        **problem_responses(
            problems.ARCHIVE_INVALID,
            problems.DUPLICATE_REFERENCE,
            problems.WEBHOOK_TARGET_FORBIDDEN,
            problems.UPLOAD_TIMEOUT,
            problems.PAYLOAD_TOO_LARGE,
            problems.UNSUPPORTED_FORMAT,
            problems.RATE_LIMITED,
            problems.IDEMPOTENCY_IN_FLIGHT,
            problems.IDEMPOTENCY_KEY_REUSED,
            problems.UNAVAILABLE,
        ),
    },
)
def submit_batch() -> Response:
    """Make a batch: 202 when its photos came along or are fetched, 201 with upload forms when they are awaited."""
    return accept_batch(request, services())


@bp.get(
    "/batches/<batch_id>",
    summary="Read a batch",
    responses={
        "200": Batch,
        "304": {"description": "Nothing has happened since the answer with this ETag"},
        **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE),
    },
)
def read_batch(path: BatchPath, query: WaitQuery) -> Response:
    """Answer with the batch and how far it is."""
    here, batches = services(), _batches()
    record = batches.find(tenant(), path.batch_id)
    wait_s = min(query.wait, here.settings.max_wait_s)
    record = here.waiters.wait(record, wait_s, lambda: batches.find(tenant(), path.batch_id))
    return conditional_batch_response(record, batches.jobs.clock(), request.if_none_match)


@bp.get("/batches", summary="List batches", responses={"200": BatchList, **problem_responses(problems.UNAVAILABLE)})
def list_batches(query: BatchListQuery) -> Response:
    """Answer with batches, newest first."""
    wanted = BatchQuery(tenant(), query.limit, query.cursor)
    page = page_of_batches(_batches(), wanted, query.status)
    return Response(model_json(page), content_type=JSON_TYPE)


@bp.get(
    "/batches/<batch_id>/items",
    summary="List the items of a batch",
    responses={"200": BatchItemList, **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE)},
)
def list_items(path: BatchPath, query: ItemListQuery) -> Response:
    """Answer with jobs, without their results, and with the upload forms of photos that are awaited."""
    batches = _batches()
    batch = batches.find(tenant(), path.batch_id)
    after_index = -1 if query.cursor is None else query.cursor
    page = page_of_items(batches, batch, status=query.status, limit=query.limit, after_index=after_index)
    return Response(model_json(page), content_type=JSON_TYPE)


@bp.post(
    "/batches/<batch_id>/start",
    summary="Start a batch",
    responses={
        "202": Batch,
        **problem_responses(problems.NOT_FOUND, problems.ALREADY_FINISHED, problems.UNAVAILABLE),
    },
)
def start_batch(path: BatchPath) -> Response:
    """Measure the photos that have come by upload forms, and from now on each as it comes; may be said again."""
    with _named_a_batch("was cancelled; make another one"):
        return _accepted(_batches().start(tenant(), path.batch_id))


@bp.post(
    "/batches/<batch_id>/cancel",
    summary="Cancel a batch",
    responses={
        "200": Batch,
        **problem_responses(problems.NOT_FOUND, problems.ALREADY_FINISHED, problems.UNAVAILABLE),
    },
)
def cancel_batch(path: BatchPath) -> Response:
    """End the items that have not ended: some now, the rest of a large batch in the minutes that follow."""
    batches = _batches()
    with _named_a_batch("is complete; there is nothing left to cancel"):
        return batch_response(batches.cancel(tenant(), path.batch_id), batches.jobs.clock())


@bp.post(
    "/batches/<batch_id>/retry",
    summary="Run the failed items of a batch again",
    responses={
        "202": Batch,
        **problem_responses(problems.NOT_FOUND, problems.ALREADY_FINISHED, problems.UNAVAILABLE),
    },
)
def retry_batch(path: BatchPath) -> Response:
    """Queue the failed items whose photo is still there for another run; where none is, nothing happens."""
    batches = _batches()
    with _named_a_batch("was cancelled; its items are not run again"):
        batches.retry(tenant(), path.batch_id)
    return _accepted(batches.find(tenant(), path.batch_id))


@bp.delete(
    "/batches/<batch_id>",
    summary="Delete a batch",
    responses={
        **DELETED,
        **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE),
    },
)
def delete_batch(path: BatchPath) -> Response:
    """Delete the batch with its photos, results and records; they are unreadable when this is answered."""
    _batches().delete(tenant(), path.batch_id)
    return deleted_response(path.batch_id)


def _batches() -> BatchLifecycle:
    return BatchLifecycle(services().jobs)


def _accepted(record: BatchRecord) -> Response:
    return batch_response(record, services().jobs.clock(), status=HTTPStatus.ACCEPTED)


@contextmanager
def _named_a_batch(why: str) -> Iterator[None]:
    """Say of a batch, and not of a job, that it has ended."""
    try:
        yield
    except AlreadyFinished as error:
        raise ProblemError(problems.ALREADY_FINISHED, f"The batch {why}.") from error
