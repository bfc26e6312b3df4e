"""Makes the app: routes, problems, the guard at the door. It is given its services and builds none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI

from api.access_log import begin_requests, log_requests
from api.admission import register_admission
from api.context import Services, attach
from api.guard import register_guard
from api.openapi_security import SECURITY_SCHEMES
from api.problems import on_validation_error, register_problem_handlers
from api.reading_places import register_reading_places
from api.routes import batch_reports, batches, deletions, exports, jobs, legacy, metrics, service, webhooks
from api.upload_places import register_upload_places
from shared.schemas import Problem

VERSION: Final = "0.1.0"


class _BoundedJson(DefaultJSONProvider):
    """Refuses what is nested without end, and NaN, as `ValueError`; the standard library's reader does not."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Return what a text says."""
        return orjson.loads(s)


class _Api(OpenAPI):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is called for a request as it is: nothing here is a coroutine, and Flask looks each time."""
        return func


def create_app(services: Services) -> OpenAPI:
    """Return the API over the given services."""
    app = _Api(
        "facefit",
        info=Info(title="facefit", version=VERSION, description="Face photos in, landmarks and measurements out."),
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=on_validation_error,
        security_schemes=SECURITY_SCHEMES,
        doc_ui=False,
        static_folder=None,
    )
    app.json = _BoundedJson(app)
    app.url_map.merge_slashes = False  # two slashes are another path, not a redirect to this one
    attach(app, services)
    begin_requests(app)
    register_guard(app, services)
    log_requests(app, services.meter)
    register_problem_handlers(app)
    register_admission(app, services)
    register_upload_places(app, services.settings.max_batch_uploads)
    register_reading_places(app, services.settings.reading_places)
    ours = (jobs, batches, deletions, exports, webhooks, legacy, service, metrics)
    for blueprint in (module.bp for module in ours):
        app.register_api(blueprint)
    batch_reports.register_batch_reports(app, services.settings)
    app.register_blueprint(service.pages)
    return app
