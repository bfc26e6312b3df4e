"""What the service says of itself: measurements, health, the page, the document of the API."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

import flask_openapi3_swagger
import orjson
from flask import Blueprint, Response, current_app, request, send_from_directory
from flask_openapi3 import APIBlueprint, OpenAPI, Tag
from werkzeug.exceptions import NotFound

from api.context import services
from api.door import door_of
from api.openapi_security import with_security
from api.presenters import model_json
from api.problems import problem_responses
from api.web_files import WebFiles
from shared.errors import Transient
from shared.measurements import DEFINITIONS, DEFINITIONS_VERSION
from shared.names import QueueName
from shared.schemas import (
    DependencyState,
    Health,
    MeasurementCatalogue,
    MeasurementInfo,
    Readiness,
    TurnInfo,
    WorkerState,
)
from shared.telemetry.canary import Sign, latest_sign
from shared.turn_correction import MAX_PITCH_DEG, MAX_YAW_DEG, TurnCorrection

bp = APIBlueprint("service", __name__, abp_tags=[Tag(name="service", description="About the service itself.")])
pages = Blueprint("pages", __name__)

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the page: its own files, and photos that the person gave it. No inline script, no inline style, no other host."""
_DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of Swagger UI, which styles what it draws inline and brings its icons as data."""
_PERMISSIONS: Final = "camera=(self), microphone=(), geolocation=()"
_SWAGGER_FILES: Final = str(files(flask_openapi3_swagger) / "templates" / "swagger")
_WEB_FILES: Final = WebFiles(Path(str(files("api") / "web")))
_NOT_COMPARED: Final = "not known: nobody has placed these points by hand to compare the mesh with; mm is not corrected"


def _turn(turn: TurnCorrection | None) -> TurnInfo | None:
    if turn is None:
        return None
    return TurnInfo(**asdict(turn), max_yaw_deg=MAX_YAW_DEG, max_pitch_deg=MAX_PITCH_DEG)


_CATALOGUE: Final = MeasurementCatalogue(
    version=DEFINITIONS_VERSION,
    data=[
        MeasurementInfo(
            key=definition.key,
            term=definition.term,
            landmarks=list(definition.landmarks),
            formula=definition.formula,
            source=definition.source,
            stands_for=definition.stands_for,
            known_error=str(definition.known_error or _NOT_COMPARED),
            repeatability=str(definition.repeatability),
            bias=definition.bias,
            definition_sd=definition.definition_sd,
            turn=_turn(definition.turn),
        )
        for definition in DEFINITIONS
    ],
)


def _json(model: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(model_json(model), status=status, content_type="application/json")


@bp.get(
    "/v1/measurements",
    summary="What each measurement means",
    responses={"200": MeasurementCatalogue, **problem_responses()},
)
def list_measurements() -> Response:
    """Answer with the definition of every measurement: points, formula, source, what it stands for, known error."""
    return _json(_CATALOGUE)


@bp.get("/healthz", summary="Whether this process answers", responses={"200": Health, **problem_responses()})
def healthz() -> Response:
    """Answer while the process can; says nothing of the parts behind it."""
    return _json(Health())


@bp.get(
    "/readyz",
    summary="Whether a photo would be measured",
    responses={"200": Readiness, "503": Readiness, **problem_responses()},
)
def readyz() -> Response:
    """Ask Redis, storage and the workers; 503 when one of them is away."""
    jobs = services().jobs
    redis = _state(jobs.store.check)
    storage = _state(jobs.objects.check)
    worker, bulk = _worker_state(QueueName.INTERACTIVE), _worker_state(QueueName.BULK)
    ready = redis.ok and storage.ok and worker.ok
    answer = Readiness(
        status="ready" if ready else "not_ready", redis=redis, storage=storage, worker=worker, worker_bulk=bulk
    )
    return _json(answer, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


def _worker_state(queue: QueueName) -> WorkerState:
    jobs = services().jobs
    found: list[Sign] = []

    def look() -> None:
        found.append(latest_sign(jobs.store, queue, jobs.settings, now_ms=jobs.clock()))
        if found[0].trouble is not None:
            raise Transient(found[0].trouble)

    state = _state(look).model_dump()
    sign = found[0] if found else Sign()
    return WorkerState(**state, seen=sign.seen, seen_age_s=sign.age_s, canary_s=sign.canary_s)


def _state(check: Callable[[], None]) -> DependencyState:
    began = time.perf_counter()
    detail = None
    try:
        check()
    except Transient as error:
        detail = str(error)
    return DependencyState(ok=detail is None, latency_ms=round((time.perf_counter() - began) * 1000, 2), detail=detail)


@pages.get("/openapi.json")
def openapi_document() -> Response:
    """Answer with the OpenAPI 3.1 document, generated from the routes and models."""
    app = cast("OpenAPI", current_app)
    document = with_security(app.api_doc, app, is_open=door_of().is_open)
    return Response(orjson.dumps(document), content_type="application/json")


@pages.get("/docs")
def docs() -> Response:
    """Answer with the document as a page to read and try."""
    return _page("docs.html", _DOCS_POLICY)


@pages.get("/")
def page() -> Response:
    """Answer with the page that people use in a browser."""
    return _page("index.html", _PAGE_POLICY)


@pages.get("/web/<path:name>")
def web_file(name: str) -> Response:
    """Answer with a file of the pages."""
    file = _WEB_FILES.find(name)
    if file is None:
        raise NotFound
    return file.answer(request)


@pages.get("/docs/swagger/<path:name>")
def swagger_file(name: str) -> Response:
    """Answer with a file of Swagger UI, from the package that brings it along."""
    return send_from_directory(_SWAGGER_FILES, name)


def _page(name: str, policy: str) -> Response:
    response = web_file(name)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Permissions-Policy"] = _PERMISSIONS
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response
