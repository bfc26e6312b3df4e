"""Pages of other sites: none may call unless the settings name their origin.

What a browser may show such a page is decided by these headers (Fetch standard, "CORS protocol"). The origin is echoed
and never `*`, and no cookies are involved: a key is sent by the page itself.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Request, Response

from api.context import header_of
from api.problems import ORIGIN_FORBIDDEN, ProblemError
from shared.config import Settings

_METHODS: Final = "GET, HEAD, POST, DELETE"
_HEADERS: Final = "Authorization, X-API-Key, Content-Type, Idempotency-Key, Prefer, If-None-Match, X-Request-Id"
_EXPOSED: Final = (
    "Location, Content-Location, Content-Disposition, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, ETag,"
    " Idempotent-Replayed, Preference-Applied, WWW-Authenticate, X-Mesh-Units"
)
_REMEMBERED_S: Final = 600
"""How long a browser may go without asking again; what Chromium allows at most is two hours."""


class Origins:
    """Whose pages may call."""

    def __init__(self, settings: Settings) -> None:
        self._others = frozenset(origin.lower() for origin in settings.cors_origins)

    def check(self, request: Request) -> None:
        """Raise `ProblemError`, 403, for a request of a page that may not call."""
        origin = header_of(request, "ORIGIN")
        if origin is None:
            return
        own = request.headers["Host"].lower()
        if origin.lower() in {f"http://{own}", f"https://{own}"} | self._others:
            return
        raise ProblemError(
            ORIGIN_FORBIDDEN, "Pages of other sites may not call this service; see FACEFIT_CORS_ORIGINS."
        )

    def preflight(self, request: Request) -> Response | None:
        """Return the answer to a browser that asks whether a page of a named origin may call, without a key yet."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if not self._is_named(request):
            return None
        headers = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": str(_REMEMBERED_S),
        }
        return Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    def mark(self, request: Request, response: Response) -> None:
        """Say on an answer whether the page that asked may read it."""
        if not self._others:
            return
        response.vary.add("Origin")
        if self._is_named(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _is_named(self, request: Request) -> bool:
        return request.headers.get("Origin", "").lower() in self._others
