"""Wires the real services, once in each process of `gunicorn -c python:api.gunicorn_conf api.wsgi:app`."""

from __future__ import annotations

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.config import Settings
from shared.observability import configure_logging
from shared.services import connect
from shared.telemetry.meter import Meter, Relay

settings = Settings()
configure_logging(settings)
_connected = connect(settings)
_meter = Meter()
_waiters = Waiters(_connected.jobs.store, places=settings.waiting_places, meter=_meter)
app = create_app(Services(_connected.jobs, _connected.desk, _waiters, settings, _meter))
relay = Relay(_meter, _connected.jobs.store.metrics, every_s=settings.metrics_interval_s)
relay.start()
