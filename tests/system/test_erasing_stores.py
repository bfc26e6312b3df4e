"""Real stores do erase: what was deleted is in their files before a purge, and in none after it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from shared.config import Settings
from shared.errors import RecordsUnavailable, StorageUnavailable
from shared.purges.erasers import RedisFiles, SeaweedFiles
from shared.storage.s3 import S3ObjectStore
from shared.storage.seaweedfs import Volumes
from stack.stack import Stack
from tests.contract.conftest import settings_beside
from tests.marks import found_below, token
from tests.receiver import Receiver, receiving, says, then

pytestmark = pytest.mark.system

SEEN_S = 2.0
"""When a deletion has come from the filer to the volumes; the product waits longer."""
PATIENCE_S = 60.0
LIVE_OBJECTS = 24
LIVE_BYTES = 500_000


def erase_store(settings: Settings) -> None:
    SeaweedFiles(settings, sleep=lambda _: time.sleep(SEEN_S)).erase()


def erase_as_the_upkeep(settings: Settings) -> None:
    """Erase, also if the store passes over some volumes at first, as while a vacuum of its own is under way."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return erase_store(settings)
        except StorageUnavailable:
            if time.monotonic() > deadline:
                raise


@pytest.fixture
def settings(stores: Stack) -> Settings:
    return settings_beside(stores)


@pytest.fixture
def objects(settings: Settings) -> S3ObjectStore:
    store = S3ObjectStore(settings)
    store.prepare(create_bucket=True)
    return store


@pytest.fixture
def connection(settings: Settings) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(settings.redis_url.get_secret_value())) as client:
        yield client


def test_redis_erases_what_was_deleted(stores: Stack, settings: Settings, connection: redis.Redis) -> None:
    marks = {"value": token().encode()}
    connection.set("marked", marks["value"])
    connection.delete("marked")
    connection.config_set("slowlog-log-slower-than", 0)
    connection.get(b"slow " + marks["value"])
    connection.config_set("slowlog-log-slower-than", 10_000)

    def written() -> bool:  # within a second, as the file is synced
        return bool(found_below([stores.folder.redis], marks))

    eventually(written)
    RedisFiles(settings).erase()
    assert not written()
    assert marks["value"] not in repr(connection.slowlog_get(1000)).encode()


def eventually(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(100):
        if condition():
            return
        waiting.wait(0.1)
    pytest.fail("it did not happen")


def test_the_store_erases_a_small_object_among_large_ones(
    stores: Stack, settings: Settings, objects: S3ObjectStore
) -> None:
    marks = {"body": token().encode()}
    live = {f"live/{number}": os.urandom(LIVE_BYTES) for number in range(LIVE_OBJECTS)}
    for key, body in live.items():
        objects.put(key, body)
    objects.put("small", marks["body"])
    objects.delete("small")
    assert found_below([stores.folder.store], marks)
    erase_store(settings)
    assert found_below([stores.folder.store], marks) == {}
    assert all(objects.get(key) == body for key, body in live.items())
    for key in live:
        objects.delete(key)


def test_a_store_without_garbage_is_left_alone(stores: Stack, settings: Settings, objects: S3ObjectStore) -> None:
    erase_store(settings)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in stores.folder.store.glob("*.dat"))
    SeaweedFiles(settings, sleep=lambda _: None).erase()
    assert sorted((path.name, path.stat().st_mtime_ns) for path in stores.folder.store.glob("*.dat")) == before


def test_writing_goes_on_while_the_store_erases(settings: Settings, objects: S3ObjectStore) -> None:
    """Uploads, outcomes and their one winner, all through the vacuums that it takes."""
    stop, written, troubles = threading.Event(), dict[str, bytes](), list[str]()

    def write(hand: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key, body = f"writes/{hand}/{number}", os.urandom(20_000 if hand else 2_000)
            try:
                won = [objects.put_if_absent(key, body), objects.put_if_absent(key, b"second")]
                if won != [True, False]:
                    troubles.append(f"{key}: {won}")
                if number % 2:
                    objects.delete(key)
                else:
                    written[key] = body
            except StorageUnavailable as error:
                troubles.append(f"{key}: {error}")

    hands = [threading.Thread(target=write, args=(hand,)) for hand in range(3)]
    for hand in hands:
        hand.start()
    try:
        erase_as_the_upkeep(settings)
    finally:
        stop.set()
        for hand in hands:
            hand.join()
    assert troubles == []
    assert written
    assert all(objects.get(key) == body for key, body in written.items())
    for key in written:
        objects.delete(key)


def test_a_master_that_is_away_or_talks_nonsense_has_erased_nothing(settings: Settings) -> None:
    for answer in (
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ):
        with receiving(then(says(answer))) as master:
            url = f"http://127.0.0.1:{master.port}"
            with pytest.raises(StorageUnavailable):
                Volumes(settings.model_copy(update={"store_master_url": url})).vacuum()
    with pytest.raises(StorageUnavailable):
        Volumes(settings.model_copy(update={"store_master_url": "http://127.0.0.1:1"})).vacuum()


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(5, 3), (5, 3)], 3),  # another is under way: 200, and nothing is done
        ([(5, 3), (5, 4)], 3),  # and ended meanwhile, with what was alive when it began
        ([(5, 3), (0, 4)], 1),
        ([(5, 3), (5, 4), (5, 5)], 2),  # what is garbage now was deleted since
        ([(5, 3), (5, 3), (5, 3), (0, 4)], 3),
    ],
)
def test_a_volume_is_vacuumed_until_nothing_of_before_can_be_left(
    settings: Settings, looks: list[tuple[int, int]], expected: int
) -> None:
    left, asked = list(looks), []

    def behave(wire: socket.socket) -> None:
        path = found[0].requests[-1].split(b" ")[1].split(b"?")[0]
        if path == b"/status":
            garbage, revision = left.pop(0) if len(left) > 1 else left[0]
            body = b'{"Volumes":[{"Id":1,"DeletedByteCount":%d,"CompactRevision":%d}]}' % (garbage, revision)
        elif path == b"/dir/status":
            body = b'{"Topology":{"DataCenters":[{"Racks":[{"DataNodes":[{"Url":"127.0.0.1:%d"}]}]}]}}' % found[0].port
        else:
            asked.append(path)
            body = b"{}"
        wire.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    found: list[Receiver] = []
    with receiving(behave) as server:
        found.append(server)
        volumes = Volumes(settings.model_copy(update={"store_master_url": f"http://127.0.0.1:{server.port}"}))
        garbage, revision = looks[-1]
        if garbage and revision < looks[0][1] + 2:
            with pytest.raises(StorageUnavailable, match="1 volumes"):
                volumes.vacuum()
        else:
            volumes.vacuum()
    assert len(asked) == expected


def test_a_redis_that_is_away_has_erased_nothing(settings: Settings) -> None:
    away = Settings.model_validate({**settings.model_dump(), "redis_url": "redis://127.0.0.1:1/0"})
    with pytest.raises(RecordsUnavailable):
        RedisFiles(away).erase()


def test_the_stores_folder_is_where_the_search_looks(stores: Stack) -> None:
    assert list(Path(stores.folder.store).glob("*.dat"))
    assert list(Path(stores.folder.redis).rglob("*.aof"))
