"""One photo: submit, read, list, cancel, retry, delete."""

from __future__ import annotations

import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Final

from flask import Response, g, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from api import idempotency, problems
from api.admission import OF_PHOTOS, Admission, admission
from api.context import services, tenant, upload_is_over
from api.idempotency import Fingerprint, HeldKey, once, replayable
from api.image_urls import SCHEMA as IMAGE_URL_SCHEMA
from api.image_urls import URL_FIELD
from api.options import FORM_ENCODING, OPTION_SCHEMAS, QUERY_PARAMETERS
from api.preferences import preferred_wait_s
from api.presenters import (
    conditional_job_response,
    deleted_response,
    job_model,
    job_response,
    job_url,
    model_json,
    queue_position,
)
from api.problems import DELETED, problem_responses, unavailable
from api.uploads import Submission, expected_photo, read_submission, size_of
from api.webhook_targets import check_webhook_of
from shared.admission.store import Take
from shared.errors import JobNotFound, Transient
from shared.fetches.tickets import PhotoUrl
from shared.image_formats import ImageFormat
from shared.jobs.idempotency import KeyMark
from shared.jobs.lifecycle import Upload
from shared.jobs.record import JobRecord
from shared.jobs.replays import accepted_job
from shared.jobs.store import JobQuery, PlacedJob
from shared.names import BATCH_ID_PATTERN, JOB_ID_PATTERN, QueueName
from shared.observability import bind_context
from shared.schema_base import Schema
from shared.schemas import Job, JobList, JobStatus, Reference

logger = logging.getLogger(__name__)

_BINARY: Final = {"type": "string", "format": "binary"}
_SUBMIT_EXTENSIONS: Final = {
    "parameters": [
        *QUERY_PARAMETERS,
        idempotency.PARAMETER,
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "`wait=N`: hold the answer until the job has ended, N seconds (30 at most) at the longest.",
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": _BINARY, **OPTION_SCHEMAS},
                },
                "encoding": FORM_ENCODING,
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": [URL_FIELD],
                    "properties": {URL_FIELD: IMAGE_URL_SCHEMA, **OPTION_SCHEMAS},
                },
            },
            **{f"image/{image_format}": {"schema": _BINARY} for image_format in ImageFormat},
        },
    },
}

bp = APIBlueprint("jobs", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="One photo each.")])


class JobPath(Schema):
    """Which job."""

    job_id: str
    """As given when the photo was submitted."""


class WaitQuery(Schema):
    """How long to hold the answer."""

    wait: float = Field(0, ge=0)
    """Answer when the job has ended, or after this many seconds (30 at most) as it is."""


class ListQuery(Schema):
    """Which jobs, newest first."""

    status: JobStatus | None = None
    batch_id: Annotated[str, Field(pattern=f"^{BATCH_ID_PATTERN.pattern}$")] | None = None
    reference: Reference | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=f"^{JOB_ID_PATTERN.pattern}$")] | None = None
    """`next_cursor` of the page before."""


@bp.post(
    "/jobs",
    summary="Submit a photo",
    openapi_extensions=_SUBMIT_EXTENSIONS,
    responses={
        "200": replayable("The job has ended in time", "Job"),
        "202": replayable("Accepted", "Job"),
        **problem_responses(
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
def submit_job() -> Response:
    """Store the photo, or the URL it is to be fetched from: 202 and where to look.

    With `Prefer: wait=N`, 200 and the result if it is there.
    """
    here = services()
    with once(request, here, tenant()) as key, admission(here, OF_PHOTOS) as admitted:
        if not key.is_known:  # a replay costs nothing
            admitted.ask_before_body(request, expected_photo(request, here.settings))
        record, is_replay = _accept_once(key, admitted)
    replayed = idempotency.REPLAYED if is_replay else {}
    wait_s = preferred_wait_s(request.headers.getlist("Prefer"), here.settings.max_wait_s)
    if wait_s is not None:
        with suppress(Transient, JobNotFound):  # accepted it is, whatever is away or deleted by now
            ended = wait_for(record, wait_s)
            headers = {"Preference-Applied": f"wait={wait_s:g}", "Content-Location": job_url(record), **replayed}
            if ended.status.is_terminal:
                return job_response(here.jobs, ended, headers=headers)
    headers = {"Location": job_url(record), **replayed}
    return job_response(here.jobs, record, status=HTTPStatus.ACCEPTED, headers=headers)


def _accept_once(key: HeldKey, admitted: Admission) -> tuple[JobRecord, bool]:
    """Make a job of this request, or find the one that the same request made before; tell whether it was found."""
    here = services()
    with read_submission(request, here.settings) as submission:
        return key.settle(
            lambda: fingerprint_of(submission),
            find=lambda job_id: accepted_job(here.jobs, tenant(), job_id),
            make=lambda mark: accept(submission, admitted, mark),
        )


def fingerprint_of(submission: Submission) -> str:
    """Return what tells this request from another: options at their defaults count as not given."""
    options = submission.options.model_dump_json(exclude_defaults=True).encode()
    fingerprint, photo = Fingerprint("POST /v1/jobs").add(options), submission.photo
    if isinstance(photo, PhotoUrl):
        return fingerprint.add(b"url").add(photo.url.encode()).text()
    return fingerprint.add_file(photo.body).text()


def accept(submission: Submission, admitted: Admission, mark: KeyMark | None = None) -> JobRecord:
    """Make a job of a photo, if its tenant may have one more.

    Raises
    ------
    TargetForbidden
        If its options name a target that may not be called.
    ProblemError
        429 or 503 if it was not accepted.
    KeyTaken
        If the request lost its idempotency key meanwhile.
    """
    options = check_webhook_of(submission.options)
    photo = submission.photo
    size_bytes = size_of(photo.body) if isinstance(photo, Upload) else 0
    try:
        admitted.ask(Take(photos=1, jobs=1, size_bytes=size_bytes))
        record = services().jobs.accept(tenant(), photo, options, QueueName.INTERACTIVE, mark, request_id=g.request_id)
    except Transient as error:
        logger.warning("request %s: no photo is accepted: %s", g.get("request_id"), error)
        detail = "A part of the service does not answer now. Nothing was accepted; send the same again in a moment."
        raise unavailable(detail) from error
    admitted.accepted(size_bytes)
    bind_context(job=record.id)
    return record


def wait_for(record: JobRecord, timeout_s: float) -> JobRecord:
    """Hold this request until the job has ended, time is up, or at once if too many are waiting."""
    here = services()
    upload_is_over()
    return here.waiters.wait(record, timeout_s, lambda: here.jobs.find(record.tenant, record.id))


@bp.get(
    "/jobs/<job_id>",
    summary="Read a job",
    responses={
        "200": Job,
        "304": {"description": "Not changed since the answer with this ETag"},
        **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE),
    },
)
def read_job(path: JobPath, query: WaitQuery) -> Response:
    """Answer with the job, and its result once it has succeeded."""
    here = services()
    placed = here.jobs.find_placed(tenant(), path.job_id)
    record = wait_for(placed.record, min(query.wait, here.settings.max_wait_s))
    if record is not placed.record:
        placed = PlacedJob(record, queue_position(here.jobs, record))
    return conditional_job_response(here.jobs, placed, request.if_none_match)


@bp.get("/jobs", summary="List jobs", responses={"200": JobList, **problem_responses(problems.UNAVAILABLE)})
def list_jobs(query: ListQuery) -> Response:
    """Answer with jobs, newest first, without their results."""
    jobs = services().jobs
    wanted = JobQuery(
        tenant(),
        query.limit + 1,
        status=query.status,
        batch_id=query.batch_id,
        reference=query.reference,
        before_id=query.cursor,
    )
    records = jobs.list_jobs(wanted)
    page = records[: query.limit]
    cursor = page[-1].id if len(records) > query.limit else None
    listed = JobList(data=[job_model(jobs, record) for record in page], next_cursor=cursor)
    return Response(model_json(listed), content_type="application/json")


@bp.post(
    "/jobs/<job_id>/cancel",
    summary="Cancel a job",
    responses={
        "200": Job,
        **problem_responses(problems.NOT_FOUND, problems.ALREADY_FINISHED, problems.UNAVAILABLE),
    },
)
def cancel_job(path: JobPath) -> Response:
    """End a job that has not ended; its photo is deleted."""
    jobs = services().jobs
    return job_response(jobs, jobs.cancel(tenant(), path.job_id))


@bp.post(
    "/jobs/<job_id>/retry",
    summary="Run a failed job again",
    responses={
        "202": Job,
        **problem_responses(
            problems.NOT_FOUND,
            problems.ALREADY_FINISHED,
            problems.NOT_FINISHED,
            problems.UPLOAD_GONE,
            problems.UNAVAILABLE,
        ),
    },
)
def retry_job(path: JobPath) -> Response:
    """Queue a failed job for another run, with its attempts anew."""
    jobs = services().jobs
    record = jobs.retry(tenant(), path.job_id)
    return job_response(jobs, record, status=HTTPStatus.ACCEPTED, headers={"Location": job_url(record)})


@bp.delete(
    "/jobs/<job_id>",
    summary="Delete a job",
    responses={
        **DELETED,
        **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE),
    },
)
def delete_job(path: JobPath) -> Response:
    """Delete the photo, the result and the record; they are unreadable when this is answered."""
    services().jobs.delete(tenant(), path.job_id)
    return deleted_response(path.job_id)
