"""Problems answered by the server itself: to what is no HTTP, and to what does not come in time.

The app never sees these requests, so their answers are written here, byte by byte. What was sent is named neither in
the answer nor in the log: a line that is out of order may hold a key or somebody's URL all the same.
"""

from __future__ import annotations

import uuid
from typing import Final

import orjson
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)

from api.problems import (
    EXPECTATION_FAILED,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PROBLEM_TYPE,
    REQUEST_TIMEOUT,
    RETRY_AFTER_S,
    UNAVAILABLE,
    URI_TOO_LONG,
    ProblemError,
)
from api.request_heads import MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES
from shared.schemas import Problem

NOT_HTTP: Final = ProblemError(INVALID_REQUEST, "No HTTP/1.1 request begins like this; TLS is not spoken here.")
HEAD_TOO_LONG: Final = ProblemError(
    HEADERS_TOO_LARGE, f"The request line and the headers may have {MAX_HEAD_BYTES} bytes together."
)
HEAD_TOO_SLOW: Final = ProblemError(REQUEST_TIMEOUT, "The head of the request did not arrive in time.")
NO_PLACE: Final = ProblemError(
    UNAVAILABLE,
    "As many uploads as can be taken in at once are coming in. Nothing was accepted; send it again later.",
    headers={"Retry-After": str(RETRY_AFTER_S)},
)
_LINE_TOO_LONG: Final = ProblemError(URI_TOO_LONG, f"The request line may have {MAX_REQUEST_LINE_BYTES} bytes.")
_TOO_MANY_HEADERS: Final = ProblemError(HEADERS_TOO_LARGE, "The request has too many headers, or one that is too long.")
_EXPECTS_TOO_MUCH: Final = ProblemError(EXPECTATION_FAILED, "Of all expectations only 100-continue is met.")
_FAULT: Final = ProblemError(INTERNAL_ERROR, "The service has a fault. Please report it with the request id.")


def problem_of(error: BaseException) -> ProblemError:
    """Return how an error of the server's parser is answered; what is none of these is a fault of ours."""
    if isinstance(error, LimitRequestLine):
        return _LINE_TOO_LONG
    if isinstance(error, LimitRequestHeaders):
        return _TOO_MANY_HEADERS
    if isinstance(error, ExpectationFailed):
        return _EXPECTS_TOO_MUCH
    if isinstance(error, ParseException) and not isinstance(error, InvalidResponseHeader | InvalidResponseHeaderName):
        return ProblemError(INVALID_REQUEST, f"The request does not come as HTTP has it: {type(error).__name__}.")
    return _FAULT


def raw_answer(problem: ProblemError) -> tuple[bytes, str]:
    """Return a whole answer that ends its connection, and the request id in it."""
    request_id, status = uuid.uuid4().hex, problem.kind.status
    body = Problem(
        type=f"urn:facefit:problem:{problem.kind.code}",
        title=problem.kind.title,
        status=status,
        code=problem.kind.code,
        detail=problem.detail,
        request_id=request_id,
    )
    content = orjson.dumps(body.model_dump(exclude_none=True))
    headers = {
        "Content-Type": PROBLEM_TYPE,
        "Content-Length": str(len(content)),
        "Connection": "close",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **problem.headers,
    }
    lines = [f"HTTP/1.1 {status:d} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content, request_id
