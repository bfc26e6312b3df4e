"""The API over memory for a real server, with a limit that is reached soon: `gunicorn tests.limited_api:app`."""

from __future__ import annotations

from typing import Final

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from tests.core import Core

PHOTOS_PER_MINUTE: Final = 10

_settings = Settings(limit_photos_per_minute=PHOTOS_PER_MINUTE, limit_open_batches=1)
_core = Core(clock=system_clock, settings=_settings)
_core.reconciler.round()

app = create_app(Services(_core.jobs, _core.desk, Waiters(_core.store, places=1), _settings))
