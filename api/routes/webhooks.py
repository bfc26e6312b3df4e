"""Webhooks: deliveries and their attempts, redelivery, a test, secrets, disabled targets."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from api import problems
from api.context import services, tenant
from api.presenters import model_json
from api.problems import ProblemError, problem_responses
from api.uploads import read_json
from api.webhook_targets import check_webhook_target
from shared.clock import MS_PER_S, from_ms
from shared.deliveries.record import DELIVERY_ID_PATTERN, DeliveryRecord, DeliveryStatus, shown_url
from shared.deliveries.schemas import (
    Delivery,
    DeliveryAttempt,
    DeliveryList,
    NewWebhookSecret,
    WebhookSecretAge,
    WebhookTarget,
    WebhookTargetList,
    WebhookTest,
)
from shared.deliveries.store import DeliveryQuery
from shared.schema_base import Schema

_JSON: Final = "application/json"

bp = APIBlueprint(
    "webhooks", __name__, url_prefix="/v1", abp_tags=[Tag(name="webhooks", description="Being called back.")]
)


@bp.before_request
def read_body() -> None:
    """Read what comes with a request within bounds, before anything parses it."""
    if request.method == "POST":
        read_json(request, services().settings)


class DeliveryPath(Schema):
    """Which delivery."""

    delivery_id: str


class DeliveryListQuery(Schema):
    """Which deliveries, the newest job or batch first."""

    job_id: str | None = None
    batch_id: str | None = None
    """Of the batch itself and of its jobs."""
    status: DeliveryStatus | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[str, Field(pattern=f"^{DELIVERY_ID_PATTERN.pattern}$")] | None = None
    """`next_cursor` of the page before."""


@bp.get(
    "/deliveries", summary="List deliveries", responses={"200": DeliveryList, **problem_responses(problems.UNAVAILABLE)}
)
def list_deliveries(query: DeliveryListQuery) -> Response:
    """Answer with deliveries and every attempt at them."""
    wanted = DeliveryQuery(
        tenant(),
        query.limit + 1,
        job_id=query.job_id,
        batch_id=query.batch_id,
        status=query.status,
        before_id=query.cursor,
    )
    records = services().desk.list_deliveries(wanted)
    page = records[: query.limit]
    cursor = page[-1].id if len(records) > query.limit else None
    return _json(DeliveryList(data=[_delivery(record) for record in page], next_cursor=cursor))


@bp.get(
    "/deliveries/<delivery_id>",
    summary="Read a delivery",
    responses={"200": Delivery, **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE)},
)
def read_delivery(path: DeliveryPath) -> Response:
    """Answer with one delivery and every attempt at it."""
    return _json(_delivery(services().desk.find(tenant(), path.delivery_id)))


@bp.post(
    "/deliveries/<delivery_id>/redeliver",
    summary="Deliver again",
    responses={"202": Delivery, **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE)},
)
def redeliver(path: DeliveryPath) -> Response:
    """Send it again now, under the same `webhook-id`, to a disabled target too; the schedule begins anew."""
    return _accepted(services().desk.redeliver(tenant(), path.delivery_id))


@bp.post(
    "/webhooks/test",
    summary="Send a test event",
    responses={
        "202": Delivery,
        **problem_responses(problems.WEBHOOK_TARGET_FORBIDDEN, problems.UPLOAD_TIMEOUT, problems.UNAVAILABLE),
    },
)
def test_webhook(body: WebhookTest) -> Response:
    """Deliver a `webhook.test` event, signed and retried like any other."""
    check_webhook_target(body.url)
    return _accepted(services().desk.owe_test(tenant(), body.url))


@bp.post(
    "/webhooks/secret",
    summary="Make or change the secret",
    responses={"201": NewWebhookSecret, **problem_responses(problems.UNAVAILABLE)},
)
def make_secret() -> Response:
    """Make a secret and show it, this once; the former one is valid beside it for 24 hours."""
    made, ages = services().desk.secrets.rotate(tenant())
    answer = NewWebhookSecret(
        secret=made.text,
        created_at=from_ms(ages.created_ms),
        former_valid_until=None if ages.former_until_ms is None else from_ms(ages.former_until_ms),
    )
    return _json(answer, HTTPStatus.CREATED)


@bp.get(
    "/webhooks/secret",
    summary="How old the secret is",
    responses={"200": WebhookSecretAge, **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE)},
)
def read_secret_age() -> Response:
    """Answer with the age of the secret, not with the secret."""
    desk = services().desk
    ages = desk.secrets.ages(tenant())
    if ages is None:
        raise ProblemError(problems.NOT_FOUND, "No secret was made yet; POST here makes one.")
    answer = WebhookSecretAge(
        created_at=from_ms(ages.created_ms),
        age_s=max(0, desk.clock() - ages.created_ms) // MS_PER_S,
        former_valid_until=None if ages.former_until_ms is None else from_ms(ages.former_until_ms),
    )
    return _json(answer)


@bp.get(
    "/webhooks/targets",
    summary="Disabled targets",
    responses={"200": WebhookTargetList, **problem_responses(problems.UNAVAILABLE)},
)
def list_targets() -> Response:
    """Answer with the targets that answered 410 and get nothing for now."""
    found = [
        WebhookTarget(
            url=target.url,
            disabled_at=from_ms(target.since_ms),
            disabled_until=from_ms(target.until_ms),
            delivery_id=target.delivery_id,
        )
        for target in services().desk.store.disabled_targets(tenant())
    ]
    return _json(WebhookTargetList(data=found))


def _delivery(record: DeliveryRecord) -> Delivery:
    return Delivery(
        id=record.id,
        webhook_id=record.webhook_id,
        event=record.event,
        job_id=record.job_id,
        batch_id=record.batch_id,
        url=shown_url(record.url),
        status=record.status,
        created_at=from_ms(record.created_ms),
        expires_at=from_ms(record.expires_ms),
        next_attempt_at=None if record.next_ms is None else from_ms(record.next_ms),
        attempts=[
            DeliveryAttempt(
                at=from_ms(attempt.at_ms),
                status_code=attempt.status_code,
                duration_ms=attempt.duration_ms,
                error=attempt.error,
            )
            for attempt in record.attempts
        ],
    )


def _accepted(record: DeliveryRecord) -> Response:
    response = _json(_delivery(record), HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/v1/deliveries/{record.id}"
    return response


def _json(model: Schema, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(model_json(model), status=status, content_type=_JSON)
