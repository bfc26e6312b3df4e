"""Photos fetched over a real Redis and a real S3 server from servers that misbehave; and the process that fetches."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import redis

from shared.clock import system_clock
from shared.jobs.batch_record import BatchRecord
from shared.jobs.record import JobRecord
from shared.jobs.redis_store import RedisJobStore
from shared.names import QueueName
from shared.schemas import BatchStatus, JobStatus
from shared.storage import layout
from shared.storage.s3 import S3ObjectStore
from stack.services import ROOT, settings_of
from stack.stack import Stack
from tests.core import PHOTO
from tests.deliveries import client_to
from tests.fetches import FetchCore
from tests.receiver import HERE, Behaviour, Receiver, drips, hangs, receiving, says, then, url_of
from worker.fetching import Fetcher

pytestmark = pytest.mark.enable_socket

PATIENCE_S = 30.0
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
TO_METADATA = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
DRIPPING = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + PHOTO
LIMIT_BYTES = 1_000_000


def photo(body: bytes = PHOTO, *, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


@dataclass
class RealCore(FetchCore):
    """Over the real stores; `lose_records` flushes the Redis."""

    objects: Any = field(default=None)

    def lose_records(self) -> None:
        with self.redis() as client:
            client.flushdb()

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.settings.redis_url.get_secret_value())

    def tried(self, batch: BatchRecord) -> int:
        """Return how many attempts at items that are still awaited have failed."""
        with self.redis() as client:
            found = [client.hget(f"facefit:job:{item.id}", "fetch_step") for item in self.items(batch.id)]
        return sum(int(step or 0) for step in found)


def env_beside(stores: Stack, **changed: str) -> dict[str, str]:
    """Settings beside what the running service and other tests use: another database, another bucket."""
    url = stores.settings_env["FACEFIT_REDIS_URL"].removesuffix("/0") + "/3"
    return {
        **stores.settings_env,
        "FACEFIT_REDIS_URL": url,
        "FACEFIT_S3_BUCKET": "fetches",
        "FACEFIT_MAX_UPLOAD_BYTES": str(LIMIT_BYTES),
        **changed,
    }


def real_core(env: dict[str, str], **options: Any) -> RealCore:
    settings = settings_of(env)
    objects = S3ObjectStore(settings)
    objects.prepare(create_bucket=True)
    for found in list(objects.list("")):
        objects.delete(found.key)
    core = RealCore(settings=settings, objects=objects, make_store=partial(RedisJobStore, settings), **options)
    core.lose_records()
    core.reconciler.round()
    return core


@pytest.fixture
def core(stores: Stack) -> RealCore:
    """A core whose clock stands still."""
    return real_core(env_beside(stores))


def in_turn(*answers: Behaviour) -> Behaviour:
    """Behave differently each time, in the last way from then on."""
    left = list(answers)

    def behave(wire: socket.socket) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(wire)

    return behave


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def upload_of(core: RealCore, record: JobRecord) -> bytes:
    body: bytes = core.objects.get(layout.upload_key(record.tenant, record.id, record.batch_id))
    return body


# One attempt after the other


def test_a_photo_of_some_size_comes_as_it_is(core: RealCore) -> None:
    body = PHOTO + os.urandom(LIMIT_BYTES - len(PHOTO))
    with receiving(says(photo(body))) as found:
        record = core.ask(url_of(found, "/p/1.jpg?signature=secret"))
        core.fetch_due(client_to([found]))
    assert core.code_of(record) == "queued"
    assert upload_of(core, record) == body
    assert core.stored("tickets/") == []
    assert found.requests[0].startswith(b"GET /p/1.jpg?signature=secret HTTP/1.1\r\n")
    assert core.doorbell.take(QueueName.INTERACTIVE) == record.id


@pytest.mark.parametrize(
    ("behaviour", "code", "says_why"),
    [
        (says(NOT_FOUND), "fetch_failed", "answered 404."),
        (says(TO_METADATA), "fetch_failed", "answered 302, a redirect, which is not followed."),
        (says(photo(b"")), "fetch_failed", "answered with nothing."),
        (says(photo(b"<html></html>")), "unsupported_format", "none of JPEG"),
        (says(photo(PHOTO, length=LIMIT_BYTES + 1)), "image_too_large", "more than 1 MB."),
        (says(b"HTTP/1.1 200 OK\r\n\r\n" + PHOTO.ljust(LIMIT_BYTES + 1)), "image_too_large", "more than 1 MB."),
    ],
)
def test_an_answer_that_is_final(core: RealCore, behaviour: Behaviour, code: str, says_why: str) -> None:
    with receiving(behaviour) as found:
        record = core.ask(url_of(found))
        assert core.fetch_due(client_to([found])) == 1
    assert core.code_of(record) == code
    assert says_why in core.message_of(record)
    assert core.stored("tickets/") + core.stored("uploads/") == []


@pytest.mark.parametrize(
    ("behaviour", "says_why"),
    [
        (hangs, "took too long."),
        (then(says(photo(PHOTO, length=100_000)), hangs), "took too long."),
        (drips(DRIPPING), "took too long."),
        (says(photo(PHOTO, length=100_000)), "broke off."),
        (says(b"HTTP/1.1 200"), "broke off."),
        (says(ERROR), "answered 500."),
    ],
)
def test_an_answer_that_may_pass(core: RealCore, behaviour: Behaviour, says_why: str) -> None:
    with receiving(in_turn(behaviour, says(photo())), address=(HERE, 0)) as found:
        record = core.ask(url_of(found))
        assert core.fetch_due(client_to([found], total_s=0.4)) == 1
        assert core.code_of(record) == "awaiting_upload"
        assert core.stored("uploads/") == []
        core.clock.advance(5)
        assert core.fetch_due(client_to([found])) == 1
    assert core.code_of(record) == "queued"
    # The same to the end: the job says what it was.
    with receiving(behaviour) as found:
        record = core.ask(url_of(found))
        for pause_s in (5, 30, 120, 0):
            core.fetch_due(client_to([found], total_s=0.4))
            core.clock.advance(pause_s)
    assert core.code_of(record) == "fetch_failed"
    assert says_why in core.message_of(record)


def test_a_server_that_is_not_there(core: RealCore) -> None:
    with receiving(says(photo())) as found:
        pass
    record = core.ask(url_of(found))
    for pause_s in (5, 30, 120, 0):
        core.fetch_due(client_to([found]))
        core.clock.advance(pause_s)
    assert "could not be connected to." in core.message_of(record)


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", HERE, "::ffff:10.0.0.1"])
def test_a_name_that_has_moved_to_a_forbidden_address(core: RealCore, address: str) -> None:
    with receiving(says(photo())) as found:
        record = core.ask(f"http://moving.example:{found.port}/1.jpg")
        core.fetch_due(client_to([found], resolve=lambda *_: [address]))
    assert core.code_of(record) == "fetch_forbidden"
    assert found.requests == []


# Several at once


@contextmanager
def fetching(core: RealCore, *receivers: Receiver, total_s: float) -> Iterator[None]:
    stop = threading.Event()
    fetcher = Fetcher(core.fetches, client_to(receivers, total_s=total_s))
    thread = threading.Thread(target=fetcher.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_dead_host_of_one_tenant_delays_nobody_else(stores: Stack) -> None:
    hanging_s = 6.0
    core = real_core(env_beside(stores), clock=system_clock)
    with receiving(hangs) as dead, receiving(says(photo())) as quick, receiving(says(photo())) as other:
        slow = core.ask_for_batch([url_of(dead, f"/{n}") if n % 2 else url_of(quick, f"/{n}") for n in range(100)])
        with fetching(core, dead, quick, other, total_s=hanging_s):
            wait_until(lambda: bool(dead.requests), "the dead one was not asked")
            small = core.ask_for_batch([url_of(other, f"/{n}") for n in range(100)], tenant="other")
            wait_until(lambda: core.count(small) == {JobStatus.QUEUED: 100}, "the other tenant waits")
            wait_until(lambda: core.count(slow).get(JobStatus.QUEUED) == 50, "the same tenant's quick host waits")
            n_tried = core.tried(slow)
        left = core.count(slow)
    # By then the dead host was waited for in two turns at the most, each of four at once: it has hands to itself.
    assert n_tried <= 2 * core.settings.fetch_per_receiver
    assert left == {JobStatus.QUEUED: 50, JobStatus.AWAITING_UPLOAD: 50}
    assert (len(quick.requests), len(other.requests)) == (50, 100)


# The process


@contextmanager
def a_process(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.delivery"], cwd=ROOT, env={**os.environ, **env}, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def env_for(stores: Stack, *receivers: Receiver) -> dict[str, str]:
    return env_beside(
        stores,
        FACEFIT_OUTBOUND_ALLOW_HTTP="1",
        FACEFIT_OUTBOUND_ALLOWED_HOSTS=",".join(f"{HERE}:{found.port}" for found in receivers),
        FACEFIT_FETCH_TIMEOUT_S="2",
        FACEFIT_FETCH_LEASE_S="3",
    )


def here(found: Receiver, number: int = 0) -> str:
    return f"http://{HERE}:{found.port}/{number}.jpg?signature=secret"


def test_a_fetcher_killed_in_the_middle_is_followed_by_another(stores: Stack) -> None:
    pids: list[int] = []

    def kills(wire: socket.socket) -> None:
        wire.sendall(photo(PHOTO, length=100_000))
        os.kill(pids[0], signal.SIGKILL)

    with receiving(in_turn(kills, says(photo()))) as found:
        env = env_for(stores, found)
        core = real_core(env, clock=system_clock)
        with a_process(env) as first:
            pids.append(first.pid)
            record = core.ask(here(found))
            assert first.wait(PATIENCE_S) == -signal.SIGKILL
        assert core.code_of(record) == "awaiting_upload"
        with a_process(env):
            wait_until(lambda: core.code_of(record) == "queued", "it was not fetched")
            wait_until(lambda: core.stored("tickets/") == [], "its ticket was kept")
    assert len(found.requests) == 2
    assert upload_of(core, record) == PHOTO


def test_a_fetcher_told_to_stop_ends_what_it_began(stores: Stack) -> None:
    may_answer = threading.Event()

    def waits(wire: socket.socket) -> None:
        may_answer.wait(PATIENCE_S)
        wire.sendall(photo())

    with receiving(waits) as found:
        env = env_for(stores, found)
        core = real_core(env, clock=system_clock)
        record = core.ask(here(found))
        with a_process(env) as process:
            wait_until(lambda: bool(found.requests), "nothing was asked for")
            process.terminate()
            late = core.ask(here(found, 1))
            time.sleep(0.3)
            may_answer.set()
            _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert (core.code_of(record), core.code_of(late)) == ("queued", "awaiting_upload")
    assert f"{HERE}:{found.port}: fetched".encode() in said
    assert b"secret" not in said


def test_fetchers_killed_again_and_again_fetch_every_photo_of_a_batch_once_for_all(stores: Stack) -> None:
    """Killed whatever they are doing: what is in storage is not fetched again, and the counts are exact."""
    size, kills = 120, 3
    with ExitStack() as servers:
        quick, missing = (
            servers.enter_context(receiving(then(lambda _: time.sleep(0.01), says(answer))))
            for answer in (photo(), NOT_FOUND)
        )
        env = env_for(stores, quick, missing)
        core = real_core(env, clock=system_clock)
        batch = core.ask_for_batch([here(missing, n) if n % 4 == 0 else here(quick, n) for n in range(size)])
        for number in range(kills):
            with a_process(env):
                before = core.count(batch).get(JobStatus.QUEUED, 0)
                wait_until(
                    lambda before=before: core.count(batch).get(JobStatus.QUEUED, 0) > before + 5,  # type: ignore[misc]
                    f"nothing was fetched in life {number}",
                )
        with a_process(env):
            ended = {JobStatus.QUEUED: size * 3 // 4, JobStatus.REJECTED: size // 4}
            wait_until(lambda: core.count(batch) == ended, f"not all were fetched: {core.count(batch)}")
    items = core.items(batch.id)
    assert all(upload_of(core, item) == PHOTO for item in items if item.status is JobStatus.QUEUED)
    assert {core.code_of(item) for item in items if item.status is JobStatus.REJECTED} == {"fetch_failed"}
    # Asked again is only what a fetcher had in its hands when it was killed: eight of a tenant at the most.
    assert len(quick.requests) + len(missing.requests) <= size + 8 * kills
    while core.doorbell.depth(QueueName.BULK) or core.jobs.call_workers(QueueName.BULK):
        core.work_in_bulk()
    assert core.find_batch(batch.id).status is BatchStatus.COMPLETED
    assert core.count(batch) == {JobStatus.SUCCEEDED: size * 3 // 4, JobStatus.REJECTED: size // 4}


def test_a_redis_flushed_under_a_fetcher(stores: Stack) -> None:
    size = 60
    with receiving(then(lambda _: time.sleep(0.02), says(photo()))) as found:
        env = env_for(stores, found)
        core = real_core(env, clock=system_clock)
        single = core.ask(here(found, size))
        batch = core.ask_for_batch([here(found, n) for n in range(size)])
        with a_process(env):
            wait_until(lambda: core.count(batch).get(JobStatus.QUEUED, 0) > size // 4, "nothing was fetched")
            core.lose_records()
            core.reconciler.rebuild_if_lost()
            wait_until(lambda: core.count(batch) == {JobStatus.QUEUED: size}, f"left: {core.count(batch)}")
            wait_until(lambda: core.code_of(single) == "queued", "the single photo was forgotten")
    # Asked again is at the most what was in hand; what was in storage was not.
    assert size + 1 <= len(found.requests) <= size + 1 + 8
    core.reconciler.sweep()
    assert core.stored("tickets/") == []
