"""The product's worker with measuring replaced by a sleep: `celery -A bench.scaling.sleeping_worker worker`.

Each process measures one portrait for real when it starts, and answers with that: what is written and read is as large
as in production, and takes the time of a sleep instead of a core's.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import signals

from shared.schemas import JobOptions
from worker import celery_app, processing
from worker.celery_app import app
from worker.pipeline import Measured

__all__ = ["SLEEP_VARIABLE", "app"]

SLEEP_VARIABLE = "BENCH_SLEEP_S"
_PORTRAIT = Path(__file__).parents[2] / "stack" / "portraits" / "grace_hopper.jpg"


def _sleep_instead(**_: Any) -> None:
    processor: Any = celery_app._child.processor
    options = JobOptions(landmarks=False)
    measured = processing.measure_photo(_PORTRAIT.read_bytes(), options, processor._finder, processor._limits)
    pause_s = float(os.environ[SLEEP_VARIABLE])

    def slept(*_: Any, **__: Any) -> Measured:
        time.sleep(pause_s)
        return measured

    processing.measure_photo = slept


signals.worker_process_init.connect(_sleep_instead)  # after the product's own, which was connected before
