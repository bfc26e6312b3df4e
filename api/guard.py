"""What is looked at before anything else of a request: by which name it comes, from whose page, and with whose key.

A web page that somebody visits can send requests to their own machine. It cannot forge `Host`, which stops names that
are re-bound to 127.0.0.1, nor `Origin`, which stops forms and scripts of other sites.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from flask import Flask, Request, Response, g, request

from api.context import Services, header_of
from api.cors import Origins
from api.door import PUBLIC_ENDPOINTS, register_door
from api.problems import HOST_FORBIDDEN, ProblemError

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID_BYTES: Final = 16
_UNLESS_THERE: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""What every answer says, unless its route says otherwise."""
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT: Final = re.compile(r":\d{1,5}$")


def register_guard(app: Flask, services: Services) -> None:
    """Check every request before anything else looks at it, and mark every answer."""
    settings = services.settings
    door, origins = register_door(app, services), Origins(settings)
    hosts = frozenset(allowed.lower() for allowed in settings.allowed_hosts)

    @app.before_request
    def check_caller() -> Response | None:
        given = header_of(request, "X_REQUEST_ID") or ""
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(_REQUEST_ID_BYTES)
        _check_host(request, hosts)
        origins.check(request)
        if answer := origins.preflight(request):
            return answer
        # Nothing has an endpoint that is not there: what is missing is told only to those who are let in.
        if request.endpoint not in PUBLIC_ENDPOINTS:
            g.tenant = door.tenant_of(request)
        return None

    @app.after_request
    def mark(response: Response) -> Response:
        headers = response.headers
        there = {name.lower() for name, _ in headers}
        for name, value in ((REQUEST_ID_HEADER, g.get("request_id", "")), *_UNLESS_THERE):
            if name.lower() not in there:
                headers.add(name, value)
        origins.mark(request, response)
        return response


def _check_host(request: Request, hosts: frozenset[str]) -> None:
    host = _PORT.sub("", header_of(request, "HOST") or "").lower()
    if host not in hosts:
        detail = f"The service does not answer to the name {host!r}; see FACEFIT_ALLOWED_HOSTS."
        raise ProblemError(HOST_FORBIDDEN, detail)
