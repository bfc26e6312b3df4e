"""`facefit deliveries`: what was sent to receivers of webhooks."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from facefit.cli.listing import Columns, cell, listed, show_list, show_one
from facefit.cli.service import Service, with_service
from facefit.models.service import Delivery

app = typer.Typer(no_args_is_help=True, help="Webhooks that were sent: look, send again, test.")

DeliveryId = Annotated[str, typer.Argument(help="dlv_…", metavar="DELIVERY")]


def _last_answer(delivery: Delivery) -> str:
    if not delivery.attempts:
        return ""
    last = delivery.attempts[-1]
    return " ".join(str(part) for part in (last.status_code, last.error) if part)


COLUMNS: Final[Columns] = {
    "delivery": lambda delivery: delivery.id,
    "status": lambda delivery: delivery.status,
    "event": lambda delivery: delivery.event,
    "of": lambda delivery: delivery.job_id or delivery.batch_id or "",
    "attempts": lambda delivery: len(delivery.attempts),
    "last answer": _last_answer,
    "to": lambda delivery: delivery.url,
}
_DETAILS: Final[Columns] = {
    **COLUMNS,
    "webhook-id": lambda delivery: delivery.webhook_id,
    "created": lambda delivery: delivery.created_at,
    "next attempt": lambda delivery: delivery.next_attempt_at,
    "log": lambda delivery: "; ".join(
        f"{cell(attempt.at)} {attempt.status_code or ''} {attempt.error or ''}".strip() for attempt in delivery.attempts
    ),
}


@app.command("list")
@with_service
def list_deliveries(
    service: Service,
    job: Annotated[str | None, typer.Option(help="Those of a job.")] = None,
    batch: Annotated[str | None, typer.Option(help="Those of a batch and its jobs.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, delivered, failed.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """List deliveries, newest first."""
    query = {"job_id": job, "batch_id": batch, "status": status}
    with service.client() as client:
        show_list(service, listed(client.deliveries.list, query, limit), COLUMNS)


@app.command("show")
@with_service
def show(service: Service, delivery: DeliveryId) -> None:
    """Show a delivery and every attempt at it."""
    with service.client() as client:
        show_one(service, client.deliveries.get(delivery), _DETAILS)


@app.command("redeliver")
@with_service
def redeliver(
    service: Service, deliveries: Annotated[list[str], typer.Argument(help="dlv_…", metavar="DELIVERY...")]
) -> None:
    """Send again now, under the same webhook-id."""
    with service.client() as client:
        for delivery in deliveries:
            show_one(service, client.deliveries.redeliver(delivery), COLUMNS)


@app.command("test")
@with_service
def test(service: Service, target: Annotated[str, typer.Argument(help="Where to.", metavar="URL")]) -> None:
    """Send a signed test event."""
    with service.client() as client:
        show_one(service, client.webhooks.test(target), COLUMNS)
