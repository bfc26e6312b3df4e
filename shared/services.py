"""Builds the real services from the settings: once in each process, after any fork."""

from __future__ import annotations

from shared.config import Settings
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.redis_store import RedisJobStore
from shared.queue import CeleryDoorbell, make_celery
from shared.storage.s3 import S3ObjectStore


def connect(settings: Settings) -> JobLifecycle:
    """Return the life of jobs over Redis, S3 and Celery. Nothing is contacted yet."""
    return JobLifecycle(
        RedisJobStore(settings), S3ObjectStore(settings), CeleryDoorbell(make_celery(settings)), settings
    )
