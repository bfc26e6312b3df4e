"""What every operation says of keys, and of the server, in the OpenAPI document: added in one place for all."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Flask

from api import problems
from api.door import KEY_HEADER, PUBLIC_ENDPOINTS
from api.problems import problem_responses

SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The API key, `ffk_…`."},
    "api_key": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The API key, `ffk_…`."},
}
_ONE_OF_THEM: Final[list[dict[str, list[str]]]] = [{name: []} for name in SECURITY_SCHEMES]
_OR_NONE: Final[list[dict[str, list[str]]]] = [*_ONE_OF_THEM, {}]
_PARAMETER: Final = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")

_OF_THE_SERVER: Final = (problems.ORIGIN_FORBIDDEN, problems.URI_TOO_LONG, problems.HEADERS_TOO_LARGE)
"""Before any route is looked for."""
_ANYWHERE: Final = problem_responses(*_OF_THE_SERVER)
_BEHIND_THE_DOOR: Final = problem_responses(*_OF_THE_SERVER, problems.UNAUTHORIZED, problems.UNAVAILABLE)


def with_security(document: dict[str, Any], app: Flask, *, is_open: bool) -> dict[str, Any]:
    """Return the document with what keys mean for each operation, and what the server refuses by itself.

    Parameters
    ----------
    is_open : bool
        Whether no key is needed now: then one may be left out.
    """
    public = {
        _PARAMETER.sub(r"{\1}", rule.rule) for rule in app.url_map.iter_rules() if rule.endpoint in PUBLIC_ENDPOINTS
    }

    def secured(path: str, operation: dict[str, Any]) -> dict[str, Any]:
        is_public = path in public
        responses = {**(_ANYWHERE if is_public else _BEHIND_THE_DOOR), **operation["responses"]}
        security: list[dict[str, list[str]]] = _OR_NONE if is_open else _ONE_OF_THEM
        return {
            **operation,
            "security": [] if is_public else security,
            "responses": dict(sorted(responses.items())),
        }

    paths = {
        path: {method: secured(path, operation) for method, operation in operations.items()}
        for path, operations in document["paths"].items()
    }
    return {**document, "paths": paths}
