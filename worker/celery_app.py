"""The Celery worker: `celery -A worker.celery_app worker`. One face mesh for each child process, built after fork."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import signals

from shared.config import Settings
from shared.errors import RecordsUnavailable
from shared.jobs.store import JobStore
from shared.names import TaskName
from shared.observability import configure_logging
from shared.queue import make_celery
from shared.services import connect
from worker.processing import PhotoProcessor
from worker.vision import face_mesh

settings = Settings()
app = make_celery(settings)


@dataclass(slots=True)
class _Child:
    """What a child process has once it was forked."""

    processor: PhotoProcessor | None = None


_child = _Child()


@app.task(name=TaskName.MEASURE_JOB)
def measure_job(job_id: str) -> None:
    """Measure the photo of a job, if it is still there to be measured."""
    if _child.processor is None:
        message = "this process was not prepared: tasks run in the prefork pool only"
        raise RuntimeError(message)
    try:
        _child.processor.process(job_id)
    except RecordsUnavailable:
        # Nothing was claimed, so nothing is lost: the reconciler rings again when the records are back.
        return


@signals.setup_logging.connect
def _log(**_: Any) -> None:
    configure_logging(settings)


@signals.worker_init.connect
def _before_fork(**_: Any) -> None:
    """Import what every child needs, so that a new one is ready soon; builds nothing that a fork would break."""
    face_mesh.preload()


@signals.worker_process_init.connect
def _after_fork(**_: Any) -> None:
    jobs = connect(settings)
    _child.processor = PhotoProcessor(jobs, face_mesh.FaceMesh(), settings)
    beat = threading.Thread(target=_beat, args=(jobs.store,), daemon=True, name="beat")
    beat.start()


def _beat(store: JobStore) -> None:
    """Say that this process lives. A hang in native code that holds the interpreter stops this too, as it should."""
    pause = threading.Event()
    while True:
        with suppress(RecordsUnavailable):  # missing beats show as a worker that is away
            store.beat(socket.gethostname(), os.getpid(), valid_s=3 * settings.worker_beat_s)
        pause.wait(settings.worker_beat_s)
