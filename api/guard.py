"""What is looked at before anything else of a request: by which name it comes, from whose page, and with whose key.

A web page that somebody visits can send requests to their own machine. It cannot forge `Host`, which stops names that
are re-bound to 127.0.0.1, nor `Origin`, which stops forms and scripts of other sites.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

from flask import Flask, Request, Response, g, request

from api.context import Services
from api.cors import Origins
from api.door import PUBLIC_ENDPOINTS, register_door
from api.problems import HOST_FORBIDDEN, ProblemError
from shared.config import Settings

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT: Final = re.compile(r":\d{1,5}$")


def register_guard(app: Flask, services: Services) -> None:
    """Check every request before anything else looks at it, and mark every answer."""
    settings = services.settings
    door, origins = register_door(app, services), Origins(settings)

    @app.before_request
    def check_caller() -> Response | None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        _check_host(request, settings)
        origins.check(request)
        if answer := origins.preflight(request):
            return answer
        # Nothing has an endpoint that is not there: what is missing is told only to those who are let in.
        if request.endpoint not in PUBLIC_ENDPOINTS:
            g.tenant = door.tenant_of(request)
        return None

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers.setdefault(REQUEST_ID_HEADER, g.get("request_id", ""))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        origins.mark(request, response)
        return response


def _check_host(request: Request, settings: Settings) -> None:
    host = _PORT.sub("", request.headers.get("Host", "")).lower()
    if host not in {allowed.lower() for allowed in settings.allowed_hosts}:
        detail = f"The service does not answer to the name {host!r}; see FACEFIT_ALLOWED_HOSTS."
        raise ProblemError(HOST_FORBIDDEN, detail)
