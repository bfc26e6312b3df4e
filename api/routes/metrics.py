"""What Prometheus asks for."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from api.context import services
from api.problems import problem_responses
from shared.errors import Transient
from shared.telemetry.exposition import CONTENT_TYPE, Seen, render

bp = APIBlueprint("metrics", __name__, abp_tags=[Tag(name="service", description="About the service itself.")])


@bp.get(
    "/metrics",
    summary="Counts and states, for Prometheus",
    responses={
        "200": {
            "description": "In Prometheus' text format; docs/operations/metrics.md describes each.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **problem_responses(),
    },
)
def metrics() -> Response:
    """Answer with the metrics of the whole service, whichever process is asked.

    With Redis away there is little to tell, and `facefit_up{part="redis"} 0` tells it.
    """
    try:
        seen = Seen(services().jobs.store.metrics.snapshot(), services().desk.store.overdue())
    except Transient:
        seen = Seen(None, None)
    return Response(render(seen), content_type=CONTENT_TYPE)
