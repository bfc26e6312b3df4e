"""The API, with marked points to break at: `gunicorn … tests.faults.failing_api:app`."""

from __future__ import annotations

import os

from api.context import EXTENSION
from api.wsgi import app
from tests.faults.failing import break_jobs
from tests.faults.points import Points

__all__ = ["app"]

break_jobs(app.extensions[EXTENSION].jobs, Points.of_environment(os.environ))
