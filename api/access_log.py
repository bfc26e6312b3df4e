"""One line for each request, and what is counted of it.

The line names the template of the route and never the address that was asked for: its query may hold a secret.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from flask import Flask, Response, g, request

from shared.metrics import PROBLEMS, REQUEST_S, REQUESTS
from shared.names import BATCH_ID_PATTERN, JOB_ID_PATTERN
from shared.observability import bind_context, context, forget_context
from shared.telemetry.meter import Meter

logger = logging.getLogger(__name__)

_NO_ROUTE: Final = "none"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_MAKING: Final = frozenset({HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.OK})
_CLASS: Final = 100
_DECIMALS: Final = 1


def begin_requests(app: Flask) -> None:
    """Take the time before anything else looks at a request; to be registered before the guard."""

    @app.before_request
    def begin() -> None:
        g.began_s = perf_counter()
        forget_context()


def log_requests(app: Flask, meter: Meter) -> None:
    """Say what the lines of a request are about, and write its own at its end; to be registered after the guard."""

    @app.before_request
    def bind() -> None:
        bind_context(request_id=g.request_id, tenant=g.get("tenant"), **_ids(request.view_args))

    @app.after_request
    def watch(response: Response) -> Response:
        began_s = g.get("began_s", perf_counter())
        method = request.method if request.method in _METHODS else _OTHER
        rule = request.url_rule
        route = rule.rule if rule else _NO_ROUTE
        fields: dict[str, Any] = {
            "method": method,
            "route": route,
            "status": response.status_code,
            "request_id": g.get("request_id"),
            "tenant": g.get("tenant"),
            **{name: value for name, value in context().items() if name in {"job", "batch"}},
            **_made(response),
        }
        code = _code(response)
        if code is not None:
            fields["code"] = code
            meter.count(PROBLEMS, code)
        sent = _Counted(response.response)
        if response.content_length is None and response.is_streamed:
            response.response = sent

        def end() -> None:
            took_s = perf_counter() - began_s
            meter.count(REQUESTS, method, route, f"{response.status_code // _CLASS}xx")
            meter.observe(REQUEST_S, took_s, route)
            length = sent.n_bytes if response.response is sent else response.content_length
            # Not when the route returned: what an answer logs while it is sent is about the same request.
            forget_context()
            logger.info("request", extra={**fields, "duration_ms": round(took_s * 1000, _DECIMALS), "bytes": length})

        if method == "HEAD" or response.status_code in _WITHOUT_BODY:
            end()  # there is nothing to be closed
        else:
            response.call_on_close(end)
        return response


class _Counted:
    """An answer that is sent piece by piece, with its bytes counted."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self._pieces = pieces
        self.n_bytes = 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self._pieces:
            self.n_bytes += len(piece)
            yield piece

    def close(self) -> None:
        """End what makes the pieces, also half-way."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


def _ids(view_args: dict[str, Any] | None) -> dict[str, str]:
    """Return which job or batch a route names, if the address has the form of such an id."""
    found = {}
    for value in map(str, (view_args or {}).values()):
        if JOB_ID_PATTERN.fullmatch(value):
            found["job"] = value
        elif BATCH_ID_PATTERN.fullmatch(value):
            found["batch"] = value
    return found


def _made(response: Response) -> dict[str, str]:
    """Return which job or batch an answer says it has made: what joins a request to the worker's lines."""
    if response.status_code not in _MAKING:
        return {}
    # Looked through and not asked: the mapping makes an exception for what is not there.
    locations = (value for name, value in response.headers if name.lower() == "location")
    return _ids({"location": next(locations, "").rpartition("/")[2]})


def _code(response: Response) -> str | None:
    """Return the code of a problem."""
    if response.status_code < HTTPStatus.BAD_REQUEST or response.mimetype != "application/problem+json":
        return None
    with suppress(KeyError, TypeError, ValueError):
        return str(response.get_json()["code"])
    return None
