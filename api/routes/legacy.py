"""The original service's endpoint: one photo in, whole pixels out."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Final

import orjson
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from api import problems
from api.admission import OF_PHOTOS, admission
from api.context import services
from api.presenters import face_coordinates, job_response, job_url, model_json
from api.problems import PHOTO_REJECTED, ProblemError, ProblemKind, problem_responses
from api.reading_places import reading_place
from api.routes.jobs import accept, wait_for
from api.uploads import expected_photo, read_submission
from shared.errors import REJECTIONS, JobNotFound, Transient
from shared.jobs.record import JobRecord
from shared.schemas import FaceCoordinates, Job, JobStatus

bp = APIBlueprint("legacy", __name__, abp_tags=[Tag(name="legacy", description="As the original service had it.")])

_REJECTIONS: Final = tuple(
    ProblemKind(rejection.code, HTTPStatus.UNPROCESSABLE_ENTITY, PHOTO_REJECTED) for rejection in REJECTIONS
)


@bp.post(
    "/face-coordinates",
    summary="Measure the largest face of a photo at once",
    openapi_extensions={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["image"],
                        "properties": {"image": {"type": "string", "format": "binary"}},
                    }
                }
            },
        }
    },
    responses={
        "200": FaceCoordinates,
        "202": Job,
        **problem_responses(
            problems.UPLOAD_TIMEOUT,
            problems.PAYLOAD_TOO_LARGE,
            problems.UNSUPPORTED_FORMAT,
            problems.RATE_LIMITED,
            problems.PROCESSING_FAILED,
            problems.UNAVAILABLE,
            problems.ALREADY_FINISHED,
            *_REJECTIONS,
        ),
    },
)
def measure_at_once() -> Response:
    """Queue the photo like any other and wait; 202 and where to look if that takes longer than 30 s."""
    here = services()
    with admission(here, OF_PHOTOS) as admitted:
        admitted.ask_before_body(request, expected_photo(request, here.settings))
        with read_submission(request, here.settings, takes_options=False) as submission:
            record = accept(submission, admitted)
    accepted = job_response(here.jobs, record, status=HTTPStatus.ACCEPTED, headers={"Location": job_url(record)})
    with suppress(Transient, JobNotFound):  # accepted it is, whatever is away or deleted by now
        record = wait_for(record, here.settings.max_wait_s)
        if record.status is JobStatus.SUCCEEDED:
            with reading_place():
                result_json = here.jobs.result_json(record)
            answer = face_coordinates(orjson.loads(result_json))
            return Response(model_json(answer), content_type="application/json")
    if record.status in {JobStatus.REJECTED, JobStatus.FAILED, JobStatus.CANCELLED}:
        raise _problem_of(record)
    return accepted


def _problem_of(record: JobRecord) -> ProblemError:
    if record.error is None:
        return ProblemError(problems.ALREADY_FINISHED, "The job was cancelled before the photo was measured.")
    if record.status is JobStatus.FAILED:
        return ProblemError(problems.PROCESSING_FAILED, record.error.message)
    kind = ProblemKind(record.error.code, HTTPStatus.UNPROCESSABLE_ENTITY, PHOTO_REJECTED)
    return ProblemError(kind, record.error.message, retake=record.error.retake)
