"""Builds the real services from the settings: once in each process, after any fork."""

from __future__ import annotations

from dataclasses import dataclass

from shared.broker import Broker
from shared.config import Settings
from shared.deliveries.announcer import WebhookAnnouncer
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.redis_store import RedisDeliveryStore
from shared.jobs.archive import JobArchive
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.redis_store import RedisJobStore
from shared.queue import CeleryDoorbell, make_celery
from shared.storage.s3 import S3ObjectStore


@dataclass(frozen=True, slots=True)
class Connected:
    """The life of jobs, and that of deliveries, over the same Redis and storage."""

    jobs: JobLifecycle
    desk: DeliveryDesk


def connect(settings: Settings) -> Connected:
    """Return the services over Redis, S3 and Celery. Nothing is contacted yet."""
    objects = S3ObjectStore(settings)
    desk = DeliveryDesk(RedisDeliveryStore(settings), objects, settings)
    store = RedisJobStore(settings)
    archive = JobArchive(objects, retention_s=settings.retention_s)
    announcer = WebhookAnnouncer(desk, archive, store)
    doorbell = CeleryDoorbell(make_celery(settings), confirm_timeout_s=Broker.of(settings).confirm_timeout_s)
    jobs = JobLifecycle(store, objects, doorbell, settings, announcer=announcer)
    return Connected(jobs, desk)
