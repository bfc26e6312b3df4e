"""The worker, with marked points to break at: `celery -A tests.faults.failing_worker worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import signals

from tests.faults import points
from tests.faults.failing import FailingFinder, break_jobs
from tests.faults.points import Points
from worker import celery_app
from worker.celery_app import app

__all__ = ["app"]


def _break(**_: Any) -> None:
    processor: Any = celery_app._child.processor
    marked = Points.of_environment(os.environ)
    objects = break_jobs(processor._jobs, marked)
    processor._finder = FailingFinder(processor._finder, marked, objects)
    marked.note(points.READY)


signals.worker_process_init.connect(_break)  # after the product's own, which was connected before
