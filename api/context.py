"""What a route reaches for: the services this app was made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

from flask import Flask, Request, current_app, g, request

from api.connections import UPLOAD_IS_OVER
from api.waiting import Waiters
from shared.config import Settings
from shared.deliveries.desk import DeliveryDesk
from shared.jobs.lifecycle import JobLifecycle
from shared.telemetry.meter import Meter

EXTENSION: Final = "facefit"


@dataclass(frozen=True, slots=True)
class Services:
    """Built once for a process and given to `create_app`."""

    jobs: JobLifecycle
    desk: DeliveryDesk
    waiters: Waiters
    settings: Settings
    meter: Meter = field(default_factory=Meter)


def attach(app: Flask, services: Services) -> None:
    """Give an app its services."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """Return the services of the app that answers this request."""
    return cast("Services", current_app.extensions[EXTENSION])


def header_of(request: Request, name: str) -> str | None:
    """Return a header of a request, named as in CGI (`X_API_KEY`); None if it has none.

    `request.headers` makes an exception for each one that is not there, and most are not.
    """
    return cast("str | None", request.environ.get(f"HTTP_{name}"))


def upload_is_over() -> None:
    """Say that what this request brought is stored: it keeps no place from others that bring something any more."""
    if give_up_place := request.environ.get(UPLOAD_IS_OVER):
        give_up_place()


def tenant() -> str:
    """Return whose request this is; the guard at the door has found out before any route runs."""
    return cast("str", g.tenant)
