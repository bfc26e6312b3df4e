"""The disk of the store's container fills up and gets room again. Part of `make docker-test`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.docker.compose import STATES, Compose, run, say, within
from tests.docker.kills_run import BROKEN_BYTES, Load, assert_all_ended_as_they_should

pytestmark = pytest.mark.timeout(1200)

SERVICES: Final = {name: STATES[name] for name in ("redis", "store", "api", "worker-interactive", "upkeep")}
"""Upkeep among them: it rings again for what a worker could not read or write while the disk was full."""
SMALL_DISK: Final = """\
services:
  keeper:  # or what is on the disk would be gone whenever the store is started again
    image: chrislusf/seaweedfs:4.48
    entrypoint: [sleep, infinity]
    network_mode: none
    volumes: ["objects:/data:nocopy"]
    stop_grace_period: 1s
  store-init: {depends_on: {keeper: {condition: service_started}}}
volumes:
  objects: {driver_opts: {type: tmpfs, device: tmpfs, o: size=400m}}
"""
DELETES_IN_EACH_PART = """\
from contextlib import suppress
from concurrent.futures import ThreadPoolExecutor
from shared.config import Settings
from shared.errors import StorageUnavailable
from shared.storage.full_disk import trial_keys
from shared.storage.s3 import S3ObjectStore

settings = Settings()
objects = S3ObjectStore(settings)
keys = [f"{key}{number}" for key in trial_keys(settings.s3_bucket) for number in range(40)]

def do(what, key):
    with suppress(StorageUnavailable):
        what(key)

with ThreadPoolExecutor(16) as hands:
    list(hands.map(lambda key: do(%s, key), keys))
"""
"""The part of the index that meets the full disk keeps the error: see `tests/faults/storage_faults.py`."""
PUT, DELETE = "lambda key: objects.put(key, b'x')", "objects.delete"
BACK_WITHIN_S: Final = 240
PHOTOS: Final = 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    project = Compose(tmp_path_factory.mktemp("small-disk"), SMALL_DISK)
    try:
        project("build", *SERVICES)
        project("up", "--detach", "--no-build", *SERVICES)
        project.wait_for(SERVICES)
        yield project
    finally:
        project.remove()


def send(load: Load, http: httpx.Client, photo: bytes, count: int) -> bool:
    """Send photos until so many are accepted; every fifth is broken off."""
    wanted = len(load.expected) + count

    def accepted() -> bool:
        while len(load.expected) < wanted:
            before = len(load.expected)
            load.send(http, *((photo[:BROKEN_BYTES], "rejected") if before % 5 == 0 else (photo, "succeeded")))
            if len(load.expected) == before:
                return False
        return True

    return within(BACK_WITHIN_S, accepted)


def test_a_store_whose_disk_was_full_takes_photos_again_without_help(small: Compose, astronaut: bytes) -> None:
    store, load = small.container("store"), Load()
    with httpx.Client(base_url=small.url, timeout=60, trust_env=False) as http:
        assert send(load, http, astronaut, PHOTOS)
        small.python("store", DELETES_IN_EACH_PART % PUT)
        run("docker", "exec", store, "sh", "-c", "cat /dev/zero > /data/filler", check=False)
        full = Load()

        def is_refused() -> bool:
            full.send(http, astronaut, "succeeded")
            return bool(full.refused)

        assert within(60, is_refused), "every photo was taken"
        small.python("store", DELETES_IN_EACH_PART % DELETE)
        run("docker", "exec", store, "rm", "/data/filler")
        began = time.monotonic()
        assert send(load, http, astronaut, 1), small("logs", "--no-color", "--tail", "60", "store")
        say(f"a photo was taken again after {time.monotonic() - began:.0f} s")
        small.wait_for(SERVICES)
        assert send(load, http, astronaut, PHOTOS)
        say(f"the store had been started again {small.inspect('store')['RestartCount']} times; refused: {full.refused}")
        load.expected |= full.expected
        assert full.refused.keys() == {"503 unavailable"}
        assert_all_ended_as_they_should(http, load)
