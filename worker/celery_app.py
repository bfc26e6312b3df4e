"""The Celery worker: `celery --quiet -A worker.celery_app worker`. One face mesh for each child, built after fork."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from celery import signals
from celery.utils.log import get_multiprocessing_logger

from shared.config import Settings
from shared.errors import RecordsUnavailable, Transient
from shared.jobs.store import JobStore
from shared.names import QueueName, TaskName
from shared.observability import configure_logging
from shared.queue import make_celery
from shared.services import connect
from shared.telemetry.meter import Meter, Relay
from worker.canary import Canary, CanaryWrong
from worker.memory_limit import MemoryLimit
from worker.processing import PhotoProcessor
from worker.vision import face_mesh
from worker.vision.find_faces import FaceFinder

logger = logging.getLogger(__name__)

_AFTER_A_BAD_START_S: Final = 1.0

settings = Settings()
app = make_celery(settings)


_Part = TypeVar("_Part")


@dataclass(slots=True)
class _Child:
    """What a child process has once it was forked."""

    processor: PhotoProcessor | None = None
    memory: MemoryLimit | None = None
    canary: Canary | None = None
    relay: Relay | None = None


_child = _Child()


def _prepared(part: _Part | None) -> _Part:
    if part is None:
        message = "this process was not prepared: tasks run in the prefork pool only"
        raise RuntimeError(message)
    return part


@app.task(name=TaskName.MEASURE_JOB)
def measure_job(job_id: str) -> None:
    """Measure the photo of a job, if it is still there to be measured."""
    # Nothing was claimed when this is raised, so nothing is lost: the reconciler rings again.
    with suppress(Transient):
        _prepared(_child.processor).process(job_id)
    _end_if_used_up()


# What is left of a chunk when the doorbells' grace is over is handed out again; the last one begun may take its lease.
@app.task(name=TaskName.MEASURE_BULK, time_limit=settings.doorbell_grace_s + settings.lease_s)
def measure_bulk() -> None:
    """Measure the next photos of the queue in which tenants take turns."""
    # What was handed out and not claimed is handed out again.
    with suppress(Transient):
        _prepared(_child.processor).process_next(QueueName.BULK)
    _end_if_used_up()


def _end_if_used_up() -> None:
    """End this process if the next photo would not find room in it; the pool starts another."""
    if _child.memory is not None and not _child.memory.has_room():
        logger.warning("this process has no memory left for another photo and ends; the pool starts another")
        os._exit(1)


@app.task(name=TaskName.CANARY)
def canary(queue: str) -> None:
    """Measure a known portrait. A process that gets it wrong must measure nothing else."""
    try:
        _prepared(_child.canary).sing([QueueName(queue)])
    except CanaryWrong as error:
        _end_badly(error)


@signals.celeryd_init.connect  # before it warns of anything
@signals.setup_logging.connect
def _log(**_: Any) -> None:
    configure_logging(settings)
    get_multiprocessing_logger().propagate = True  # what the pool says of its processes, such as who was killed


@signals.worker_init.connect
def _before_fork(**_: Any) -> None:
    """Import what every child needs, so that a new one is ready soon; builds nothing that a fork would break."""
    face_mesh.preload()


@signals.worker_process_init.connect
def _after_fork(**_: Any) -> None:
    try:
        jobs = connect(settings).jobs
        meter = Meter()
        _child.relay = Relay(meter, jobs.store.metrics, every_s=settings.metrics_interval_s)
        finder = FaceFinder()
        _child.memory = MemoryLimit(settings.photo_memory_bytes)
        _child.canary = Canary(finder, jobs.store.metrics, settings, meter)
        # Also what the first photo would have to wait for otherwise: graphs are warm after one picture.
        _child.canary.sing(_watched())
        _child.processor = PhotoProcessor(jobs, finder, settings, meter=meter, memory=_child.memory)
        _child.relay.start()
        threading.Thread(target=_beat, args=(jobs.store,), daemon=True, name="beat").start()
    except BaseException as error:  # noqa: BLE001  Celery would log it and let the process take doorbells all the same
        _end_badly(error)


@signals.worker_process_shutdown.connect
def _before_exit(**_: Any) -> None:
    _send_last()


def _send_last() -> None:
    if _child.relay is not None:
        with suppress(RecordsUnavailable):
            _child.relay.send()


def _end_badly(error: BaseException) -> NoReturn:
    logger.critical("this process cannot measure and ends; the pool starts another", exc_info=error)
    _send_last()
    time.sleep(_AFTER_A_BAD_START_S)
    os._exit(1)


def _watched() -> list[QueueName]:
    return [QueueName(name) for name in app.amqp.queues.consume_from]


def _beat(store: JobStore) -> None:
    """Say that this process lives. A hang in native code that holds the interpreter stops this too, as it should."""
    pause = threading.Event()
    while True:
        # Missing beats show as a worker that is away; memory may be short for as long as one photo is measured.
        with suppress(RecordsUnavailable, MemoryError):
            store.beat(socket.gethostname(), os.getpid(), _watched(), valid_s=3 * settings.worker_beat_s)
        pause.wait(settings.worker_beat_s)
