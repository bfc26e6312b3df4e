"""Every answer that is an error: RFC 9457 problems, with stable codes. The outer wall of the API is here."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import orjson
from flask import Flask, Response, g, request
from gunicorn.http.errors import ParseException
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from api import rate_limit_fields
from api.context import services
from shared.errors import (
    AlreadyFinished,
    ArchiveInvalid,
    BatchNotFound,
    BatchTooLarge,
    DeletionNotFound,
    DeliveryNotFound,
    DuplicateReference,
    JobNotFound,
    KeyRefused,
    KeysUnavailable,
    KeyTaken,
    LandmarksNotKept,
    NotFinished,
    RecordsRebuilding,
    Transient,
    UploadGone,
)
from shared.results import RetakeHint
from shared.schemas import FieldError, JobOptions, Problem
from shared.targets import TargetForbidden

logger = logging.getLogger(__name__)

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5


Responses = dict[str | int, type[BaseModel] | dict[Any, Any] | None]
"""By status: a model, a description, or nothing; as the OpenAPI library takes them."""

DELETED: Final[Responses] = {
    "204": {
        "description": "Deleted; nobody can read it any more",
        "headers": {
            "Link": {
                "schema": {"type": "string"},
                "description": "`rel=status`: the receipt, which tells when it is purged.",
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A code, the status it is answered with, and its name for people."""

    code: str
    status: HTTPStatus
    title: str


INVALID_REQUEST: Final = ProblemKind("invalid_request", HTTPStatus.BAD_REQUEST, "The request is not valid")
ARCHIVE_INVALID: Final = ProblemKind("archive_invalid", HTTPStatus.BAD_REQUEST, "The archive cannot be taken")
DUPLICATE_REFERENCE: Final = ProblemKind(
    "duplicate_reference", HTTPStatus.BAD_REQUEST, "A reference is given twice in a batch"
)
WEBHOOK_TARGET_FORBIDDEN: Final = ProblemKind(
    "webhook_target_forbidden", HTTPStatus.BAD_REQUEST, "This target may not be called"
)
HOST_FORBIDDEN: Final = ProblemKind("host_forbidden", HTTPStatus.BAD_REQUEST, "This host name is not served")
ORIGIN_FORBIDDEN: Final = ProblemKind("origin_forbidden", HTTPStatus.FORBIDDEN, "This page may not call the service")
UNAUTHORIZED: Final = ProblemKind("unauthorized", HTTPStatus.UNAUTHORIZED, "The API key is missing or not valid")
NOT_FOUND: Final = ProblemKind("not_found", HTTPStatus.NOT_FOUND, "There is no such thing")
METHOD_NOT_ALLOWED: Final = ProblemKind(
    "method_not_allowed", HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed here"
)
ALREADY_FINISHED: Final = ProblemKind("already_finished", HTTPStatus.CONFLICT, "It has ended already")
NOT_FINISHED: Final = ProblemKind("not_finished", HTTPStatus.CONFLICT, "The job has not ended yet")
UPLOAD_GONE: Final = ProblemKind("upload_gone", HTTPStatus.CONFLICT, "The photo is no longer there")
IDEMPOTENCY_IN_FLIGHT: Final = ProblemKind(
    "idempotency_in_flight", HTTPStatus.CONFLICT, "A request with this key is being answered"
)
IDEMPOTENCY_KEY_REUSED: Final = ProblemKind(
    "idempotency_key_reused", HTTPStatus.UNPROCESSABLE_ENTITY, "The key was used for another request"
)
LANDMARKS_NOT_KEPT: Final = ProblemKind("landmarks_not_kept", HTTPStatus.CONFLICT, "The landmarks were not kept")
PAYLOAD_TOO_LARGE: Final = ProblemKind(
    "payload_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The photo has too many bytes"
)
UPLOAD_TIMEOUT: Final = ProblemKind("upload_timeout", HTTPStatus.REQUEST_TIMEOUT, "The photo did not arrive in time")
UNSUPPORTED_FORMAT: Final = ProblemKind(
    "unsupported_format", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The photo's format is not supported"
)
PHOTO_REJECTED: Final = "The photo cannot be measured"
RATE_LIMITED: Final = ProblemKind(
    "rate_limited", HTTPStatus.TOO_MANY_REQUESTS, "This is more than your tenant may have now"
)
INTERNAL_ERROR: Final = ProblemKind("internal_error", HTTPStatus.INTERNAL_SERVER_ERROR, "The service has a fault")
PROCESSING_FAILED: Final = ProblemKind(
    "processing_failed", HTTPStatus.INTERNAL_SERVER_ERROR, "The photo could not be processed"
)
REQUEST_TIMEOUT: Final = ProblemKind(
    "request_timeout", HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time"
)
URI_TOO_LONG: Final = ProblemKind("uri_too_long", HTTPStatus.REQUEST_URI_TOO_LONG, "The path or query is too long")
HEADERS_TOO_LARGE: Final = ProblemKind(
    "headers_too_large", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large"
)
EXPECTATION_FAILED: Final = ProblemKind(
    "expectation_failed", HTTPStatus.EXPECTATION_FAILED, "The expectation cannot be met"
)
UNAVAILABLE: Final = ProblemKind("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "A part of the service is away")

KINDS: Final = tuple(kind for kind in globals().values() if isinstance(kind, ProblemKind))
"""Every kind of problem, for documents and tests."""

_RETRY_AFTER: Final = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until the same may be sent again."}
}
_BY_STATUS: Final = {
    HTTPStatus.BAD_REQUEST: INVALID_REQUEST,
    HTTPStatus.NOT_FOUND: NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PAYLOAD_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UNSUPPORTED_FORMAT,
}


@dataclass(slots=True)
class ProblemError(Exception):
    """Raised in a route to answer with a problem."""

    kind: ProblemKind
    detail: str
    errors: list[FieldError] | None = None
    retake: list[RetakeHint] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def invalid(field_name: str, message: str) -> ProblemError:
    """Return the problem of one wrong field."""
    return ProblemError(
        INVALID_REQUEST, f"{field_name}: {message}", errors=[FieldError(field=field_name, message=message)]
    )


def invalid_fields(error: ValidationError) -> ProblemError:
    """Return the problem of all fields that a model refused."""
    return invalid_all(field_errors(error))


def invalid_all(errors: list[FieldError]) -> ProblemError:
    """Return the problem of several wrong fields."""
    detail = "; ".join(f"{entry.field}: {entry.message}" for entry in errors)
    return ProblemError(INVALID_REQUEST, detail, errors=errors)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return what a model refused, field by field."""
    return [_field_error(found) for found in error.errors(include_url=False, include_input=False)]


def _field_error(found: ErrorDetails) -> FieldError:
    message = "unknown option" if found["type"] == "extra_forbidden" else found["msg"]
    if found["type"] == "value_error":  # a validator of ours, in its own words, without pydantic's before them
        message = str(found["ctx"]["error"])
    # What is wrong with several fields together has no place of its own; such a message begins with the one to mend.
    first_word = message.split(" ", 1)[0]
    whole = first_word if first_word in JobOptions.model_fields else "body"
    return FieldError(field=".".join(str(part) for part in found["loc"]) or whole, message=message)


def unavailable(detail: str) -> ProblemError:
    """Return the problem of a dependency that is away."""
    return ProblemError(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def problem_response(problem: ProblemError) -> Response:
    """Return a problem as an answer."""
    body = Problem(
        type=f"urn:facefit:problem:{problem.kind.code}",
        title=problem.kind.title,
        status=problem.kind.status,
        code=problem.kind.code,
        detail=problem.detail,
        request_id=g.get("request_id", ""),
        errors=problem.errors,
        retake=problem.retake,
    )
    content = orjson.dumps(body.model_dump(exclude_none=True))
    return Response(content, status=problem.kind.status, content_type=PROBLEM_TYPE, headers=problem.headers)


def problem_responses(*kinds: ProblemKind) -> Responses:
    """Return the OpenAPI description of the problems a route answers with."""
    by_status: dict[str, list[str]] = {}
    for kind in (INVALID_REQUEST, INTERNAL_ERROR, *kinds):
        by_status.setdefault(str(int(kind.status)), []).append(kind.code)
    answers: Responses = {
        status: {
            "description": "One of: " + ", ".join(f"`{code}`" for code in dict.fromkeys(codes)),
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, codes in by_status.items()
    }
    if isinstance(limited := answers.get(str(int(RATE_LIMITED.status))), dict):
        limited["headers"] = {**_RETRY_AFTER, **rate_limit_fields.HEADERS}
    return answers


def on_validation_error(error: ValidationError) -> Response:
    """Answer for the OpenAPI library, when path or query do not fit their model."""
    return problem_response(invalid_fields(error))


def register_problem_handlers(app: Flask) -> None:
    """Make every error of the app a problem."""
    app.register_error_handler(ProblemError, _on_problem)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(Transient, _on_transient)
    app.register_error_handler(ParseException, _on_broken_body)
    app.register_error_handler(BatchTooLarge, _on_batch_too_large)
    app.register_error_handler(DuplicateReference, _on_duplicate_reference)
    app.register_error_handler(ArchiveInvalid, _on_archive_invalid)
    app.register_error_handler(TargetForbidden, _on_target_forbidden)
    app.register_error_handler(KeyRefused, _always(_UNAUTHORIZED))
    app.register_error_handler(Exception, _on_bug)
    for error, kind, detail in (
        (JobNotFound, NOT_FOUND, "There is no such job, or it was deleted."),
        (BatchNotFound, NOT_FOUND, "There is no such batch, or it was deleted."),
        (DeliveryNotFound, NOT_FOUND, "There is no such delivery, or its job was deleted."),
        (DeletionNotFound, NOT_FOUND, "Nothing of this id was deleted, or so long ago that no more is known of it."),
        (AlreadyFinished, ALREADY_FINISHED, "The job has ended; this can only be done before."),
        (NotFinished, NOT_FINISHED, "The job has not ended; wait for it, or cancel it."),
        (UploadGone, UPLOAD_GONE, "The photo of this job is no longer stored; send it again as a new job."),
        (KeyTaken, IDEMPOTENCY_IN_FLIGHT, "Another request with this key was quicker; ask again in a moment."),
        (LandmarksNotKept, LANDMARKS_NOT_KEPT, "The job was made with landmarks=false; send the photo again without."),
    ):
        app.register_error_handler(error, _always(ProblemError(kind, detail)))


_UNAUTHORIZED: Final = ProblemError(
    UNAUTHORIZED,
    "Send a valid API key, as `Authorization: Bearer ffk_…` or as `X-API-Key: ffk_…`.",
    headers={"WWW-Authenticate": "Bearer"},
)
"""One for all reasons: which of them it is, a stranger is not told."""


def _on_problem(problem: ProblemError) -> Response:
    if isinstance(problem.__cause__, Transient):
        services().meter.trouble(problem.__cause__)
    return problem_response(problem)


def _always(problem: ProblemError) -> Any:
    return lambda _: problem_response(problem)


def _on_batch_too_large(error: BatchTooLarge) -> Response:
    return problem_response(invalid("body", str(error)))


def _on_duplicate_reference(error: DuplicateReference) -> Response:
    return problem_response(ProblemError(DUPLICATE_REFERENCE, str(error)))


def _on_target_forbidden(error: TargetForbidden) -> Response:
    return problem_response(ProblemError(WEBHOOK_TARGET_FORBIDDEN, f"{error}."))


def _on_archive_invalid(error: ArchiveInvalid) -> Response:
    return problem_response(ProblemError(ARCHIVE_INVALID, str(error)))


def _on_http_exception(error: HTTPException) -> Response:
    if isinstance(error.response, Response):  # made elsewhere, such as that of on_validation_error
        return error.response
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    kind = _BY_STATUS.get(status) or ProblemKind(status.phrase.lower().replace(" ", "_"), status, status.phrase)
    response = problem_response(ProblemError(kind, _detail(kind, error)))
    for name, value in error.get_headers(request.environ):
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    return response


def _detail(kind: ProblemKind, error: HTTPException) -> str:
    if kind is NOT_FOUND:
        return f"Nothing is at {request.path}. The API is described at /docs."
    if kind is METHOD_NOT_ALLOWED:
        return f"{request.method} is not allowed at {request.path}; see the Allow header."
    return error.description or kind.title


def _on_broken_body(error: ParseException) -> Response:
    """Answer to a body whose chunks are none; whole ones that are cut short are seen by their readers."""
    return problem_response(invalid("body", f"does not come as HTTP has it: {type(error).__name__}"))


def _on_transient(error: Transient) -> Response:
    logger.warning("request %s: %s", g.get("request_id"), error)
    services().meter.trouble(error)
    detail = "A part of the service does not answer now; ask again in a moment."
    if isinstance(error, RecordsRebuilding):
        detail = "The records are being rebuilt after a loss; nothing is lost, ask again in a moment."
    if isinstance(error, KeysUnavailable):
        detail = "The API keys cannot be read now; ask again in a moment."
    return problem_response(unavailable(detail))


def _on_bug(error: Exception) -> Response:
    logger.error("request %s failed", g.get("request_id"), exc_info=error)
    detail = "The service has a fault. Please report it with the request id."
    return problem_response(ProblemError(INTERNAL_ERROR, detail))
