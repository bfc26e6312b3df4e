"""Both adapters of each kind, for tests that ask the same of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from shared.config import Settings
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.redis_store import RedisJobStore
from shared.jobs.store import JobStore
from shared.storage.base import ObjectStore
from shared.storage.memory import MemoryObjectStore
from shared.storage.s3 import S3ObjectStore
from stack.stack import Stack
from tests.clock import FakeClock
from tests.core import Core
from tests.orders import TIMES


def settings_beside(stores: Stack, **changed: Any) -> Settings:
    """Settings of the real stores, beside what the running service uses: another database, another bucket."""
    names = {name.removeprefix("FACEFIT_").lower(): value for name, value in stores.settings_env.items()}
    names["redis_url"] = names["redis_url"].removesuffix("/0") + "/1"
    return Settings.model_validate({**names, "s3_bucket": "contract", **changed})


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, clock: FakeClock) -> JobStore:
    if request.param == "memory":
        return MemoryJobStore(clock)
    settings = settings_beside(request.getfixturevalue("stores"))
    _flush(settings)
    return RedisJobStore(settings, clock)


@pytest.fixture(params=["memory", "s3"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjectStore()
    store = S3ObjectStore(settings_beside(request.getfixturevalue("stores")))
    store.prepare(create_bucket=True)
    return store


def _flush(settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushdb()


class RedisCore(Core):
    """The core over a real Redis; losing the records means flushing it."""

    settings: Settings

    def lose_records(self) -> None:
        _flush(self.settings)
        self.doorbell.rung.clear()


@dataclass
class AnyCore:
    make: Callable[[], Core]
    examples: int


@pytest.fixture(params=["memory", "redis"])
def any_core(request: pytest.FixtureRequest) -> AnyCore:
    if request.param == "memory":
        return AnyCore(Core, examples=200 * TIMES)
    settings = settings_beside(request.getfixturevalue("stores"))
    shared_store = RedisJobStore(settings)

    def make() -> Core:
        _flush(settings)
        return RedisCore(settings=settings, make_store=lambda clock: _with_clock(shared_store, clock))

    return AnyCore(make, examples=30 * TIMES)


def _with_clock(store: RedisJobStore, clock: FakeClock) -> RedisJobStore:
    store._clock = clock
    return store
