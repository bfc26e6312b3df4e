"""The product's own processes: their commands, the queues they watch, and the settings they get."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.config import Settings
from shared.names import QueueName
from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, Ports, Secrets
from stack.object_store import REGION, master_url, s3_url
from stack.redis_server import for_the_product, redis_url

ROOT: Final = Path(__file__).resolve().parents[1]
"""Where the packages are found."""

BUCKET: Final = "facefit"
API: Final = "api"
UPKEEP: Final = "upkeep"
DELIVERY: Final = "delivery"


HOLDS_ON_TO_MEMORY: Final = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
"""Of the environment of what measures; `Dockerfile.worker` has the same. Else glibc gives the buffers of each photo
back to the system, which hands out other pages for the next and has to clear them: a fifth of a large photo's CPU."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A Celery worker: its process's name, the queues it watches, and how many photos it measures at once."""

    name: str
    queues: tuple[QueueName, ...]
    concurrency: int


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


WORKERS: Final = (
    Worker("worker-interactive", (QueueName.INTERACTIVE,), concurrency=cores()),
    Worker("worker-bulk", (QueueName.BULK,), concurrency=1),
)


def settings_env(
    ports: Ports, secrets: Secrets, api_port: int, overrides: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the settings, as environment variables, of every process of the product.

    The address of Redis is that of a user who may do anything; `services` gives the processes their own.
    """
    return {
        "FACEFIT_REDIS_URL": redis_url(ports, secrets),
        "FACEFIT_S3_ENDPOINT_URL": s3_url(ports),
        "FACEFIT_STORE_MASTER_URL": master_url(ports),
        "FACEFIT_S3_BUCKET": BUCKET,
        "FACEFIT_S3_REGION": REGION,
        "FACEFIT_S3_ACCESS_KEY_ID": secrets.s3_access_key_id,
        "FACEFIT_S3_SECRET_ACCESS_KEY": secrets.s3_secret_access_key,
        "FACEFIT_LISTEN_HOST": LOOPBACK,
        "FACEFIT_LISTEN_PORT": str(api_port),
        "FACEFIT_PUBLIC_URL": f"http://{LOOPBACK}:{api_port}",
        **(overrides or {}),
    }


def settings_of(env: Mapping[str, str]) -> Settings:
    """Return the settings that variables of the environment stand for."""
    return Settings.model_validate({name.removeprefix("FACEFIT_").lower(): value for name, value in env.items()})


def services(settings: Mapping[str, str]) -> tuple[ChildSpec, ...]:
    """Return how to run the API, the workers, the sender and the upkeep.

    The API is stopped first, so that nothing new comes in.
    """
    env = {
        **settings,
        "FACEFIT_REDIS_URL": for_the_product(settings["FACEFIT_REDIS_URL"]),
        "PYTHONUNBUFFERED": "1",
        "OPENBLAS_NUM_THREADS": "1",  # numpy would start a thread for each core, before the worker forks
        "MALLOC_ARENA_MAX": "2",  # glibc keeps an arena for each of the API's threads, and what uploads left in it
        "NO_PROXY": LOOPBACK,  # a proxy for the outside would be asked for the stores too
        "no_proxy": LOOPBACK,
    }
    api = _python(API, "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app", env=env, stop_rank=0)
    upkeep = _python(UPKEEP, "worker.upkeep", env=env, stop_rank=2)
    delivery = _python(DELIVERY, "worker.delivery", env=env, stop_rank=1)
    return (api, *(_worker(worker, env) for worker in WORKERS), delivery, upkeep)


def _worker(worker: Worker, env: Mapping[str, str]) -> ChildSpec:
    command = ("celery", "--quiet", "-A", "worker.celery_app", "worker", "--queues", ",".join(worker.queues))
    pool = ("--concurrency", str(worker.concurrency), "--prefetch-multiplier", "1")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
    node = ("-n", f"{worker.name.removeprefix('worker-')}@%h")
    return _python(worker.name, *command, *pool, *quiet, *node, env={**env, **HOLDS_ON_TO_MEMORY}, stop_rank=1)


def _python(name: str, module: str, *arguments: str, env: Mapping[str, str], stop_rank: int) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-m", module, *arguments), env=env, cwd=ROOT, stop_rank=stop_rank)
