"""Who may call while there are no keys: this machine's own names, and pages that this service served itself.

A web page that somebody visits can send requests to their own machine. It cannot forge `Host`, which stops names that
are re-bound to 127.0.0.1, nor `Origin`, which stops forms and scripts of other sites.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

from flask import Flask, Response, g, request

from api.problems import HOST_FORBIDDEN, ORIGIN_FORBIDDEN, ProblemError
from shared.config import Settings
from shared.names import LOCAL_TENANT

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT: Final = re.compile(r":\d{1,5}$")


def register_guard(app: Flask, settings: Settings) -> None:
    """Check every request before anything else looks at it, and mark every answer."""
    allowed = frozenset(host.lower() for host in settings.allowed_hosts)

    @app.before_request
    def check_caller() -> None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        host = _PORT.sub("", request.headers.get("Host", "")).lower()
        if host not in allowed:
            detail = f"The service does not answer to the name {host!r}; see FACEFIT_ALLOWED_HOSTS."
            raise ProblemError(HOST_FORBIDDEN, detail)
        origin = request.headers.get("Origin")
        own = request.headers["Host"].lower()
        if origin is not None and origin.lower() not in {f"http://{own}", f"https://{own}"}:
            detail = "Pages of other sites may not call this service."
            raise ProblemError(ORIGIN_FORBIDDEN, detail)
        g.tenant = LOCAL_TENANT

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers.setdefault(REQUEST_ID_HEADER, g.get("request_id", ""))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response
