"""Deliveries over a real Redis and a real S3 server to receivers that misbehave; and the process that sends them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import redis

from shared.clock import system_clock
from shared.deliveries.record import DeliveryRecord, DeliveryStatus
from shared.deliveries.redis_store import RedisDeliveryStore
from shared.names import LOCAL_TENANT
from shared.storage.s3 import S3ObjectStore
from stack.services import ROOT, settings_of
from stack.stack import Stack
from tests.deliveries import BODY, Office, client_to
from tests.receiver import HERE, OK, Behaviour, Receiver, hangs, receiving, says, url_of

pytestmark = pytest.mark.enable_socket

PATIENCE_S = 30.0
ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
TO_METADATA = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"

PENDING, DELIVERED, FAILED = DeliveryStatus


@dataclass
class RealOffice(Office):
    """Over the real stores; `lose_records` flushes the Redis."""

    def lose_records(self) -> None:
        with redis.Redis.from_url(self.settings.redis_url.get_secret_value()) as client:
            client.flushdb()


def env_beside(stores: Stack, **changed: str) -> dict[str, str]:
    """Settings beside what the running service and other tests use: another database, another bucket."""
    url = stores.settings_env["FACEFIT_REDIS_URL"].removesuffix("/0") + "/2"
    return {**stores.settings_env, "FACEFIT_REDIS_URL": url, "FACEFIT_S3_BUCKET": "deliveries", **changed}


def real_office(env: dict[str, str], **options: Any) -> RealOffice:
    settings = settings_of(env)
    objects = S3ObjectStore(settings)
    objects.prepare(create_bucket=True)
    for found in list(objects.list("")):
        objects.delete(found.key)
    office = RealOffice(settings=settings, objects=objects, make_store=partial(RedisDeliveryStore, settings), **options)
    office.lose_records()
    office.upkeep.rebuild_if_lost()
    return office


@pytest.fixture
def office(stores: Stack) -> RealOffice:
    """A desk whose clock stands still."""
    return real_office(env_beside(stores))


def in_turn(*answers: Behaviour) -> Behaviour:
    """Behave differently each time, in the last way from then on."""
    left = list(answers)

    def behave(wire: socket.socket) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(wire)

    return behave


def webhook_ids(found: Receiver) -> list[str]:
    return [
        line.split(b": ")[1].decode()
        for request in found.requests
        for line in request.split(b"\r\n")
        if line.startswith(b"webhook-id")
    ]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# One attempt after the other


def test_a_receiver_that_fails_twice_then_takes_it(office: RealOffice) -> None:
    made, _ = office.desk.secrets.rotate(LOCAL_TENANT)
    with receiving(in_turn(says(ERROR), says(ERROR), says(OK))) as found:
        record = office.owe(url_of(found))
        for pause_s in (5, 300, 0):
            assert office.send_due(client_to([found])) == 1
            assert office.send_due(client_to([found])) == 0
            office.clock.advance(pause_s)
    assert office.log_of(record) == [(500, "status"), (500, "status"), (200, None)]
    assert office.find(record).status is DELIVERED
    assert office.desk.archive.read(record)[0] == office.find(record)
    assert webhook_ids(found) == [record.webhook_id] * 3
    head, _, body = found.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(made.text.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert body == BODY


def test_a_receiver_that_hangs(office: RealOffice) -> None:
    with receiving(hangs) as found:
        record = office.owe(url_of(found))
        office.send_due(client_to([found], total_s=0.4))
    assert office.log_of(record) == [(None, "timeout")]
    duration_ms = office.find(record).attempts[0].duration_ms
    assert duration_ms is not None
    assert duration_ms >= 400


def test_a_receiver_that_is_not_there(office: RealOffice) -> None:
    with receiving(says(OK)) as found:
        pass
    record = office.owe(url_of(found))
    office.send_due(client_to([found]))
    assert office.log_of(record) == [(None, "connect")]


def test_a_redirect_to_the_metadata_service_is_not_followed(office: RealOffice) -> None:
    with receiving(says(TO_METADATA)) as found:
        record = office.owe(url_of(found))
        office.send_due(client_to([found]))
    assert (office.log_of(record), len(found.requests)) == ([(307, "redirect")], 1)
    assert office.find(record).status is PENDING


def test_a_name_that_changes_its_address(office: RealOffice) -> None:
    """Each attempt looks the name up once and judges what it got; what is forbidden now may be mended later."""
    looked_up = []

    def resolve(name: str, port: int) -> list[str]:
        looked_up.append(name)
        return [["169.254.169.254"], [HERE], ["10.0.0.7"]][len(looked_up) - 1]

    with receiving(says(OK)) as found:
        url = f"http://moving.example:{found.port}/"
        record = office.owe(url)
        for pause_s in (5, 300, 1800):
            office.send_due(client_to([found], resolve=resolve))
            office.clock.advance(pause_s)
        mended = client_to([found], resolve=lambda *_: [HERE])
        object.__setattr__(mended.policy, "allowed_hosts", frozenset({"moving.example"}))
        office.send_due(mended)
    assert len(looked_up) == 3
    assert len(found.requests) == 1
    assert office.log_of(record) == [
        (None, "forbidden_metadata"),
        (None, "forbidden_loopback"),
        (None, "forbidden_private"),
        (200, None),
    ]


def test_a_receiver_that_asks_for_time(office: RealOffice) -> None:
    with receiving(in_turn(says(BUSY), says(OK))) as found:
        record = office.owe(url_of(found))
        office.send_due(client_to([found]))
        office.clock.advance(119.9)
        assert office.send_due(client_to([found])) == 0
        office.clock.advance(0.1)
        assert office.send_due(client_to([found])) == 1
    assert office.log_of(record) == [(503, "status"), (200, None)]


def test_a_receiver_that_is_gone_is_left_alone_until_a_redelivery_succeeds(office: RealOffice) -> None:
    with receiving(in_turn(says(GONE), says(OK))) as found:
        refused = office.owe(url_of(found))
        office.send_due(client_to([found]))
        held = office.owe(url_of(found))
        assert office.send_due(client_to([found])) == 0
        assert (office.find(refused).status, office.find(held).status) == (FAILED, PENDING)
        (target,) = office.store.disabled_targets(LOCAL_TENANT)
        assert "token" not in target.url
        office.desk.redeliver(LOCAL_TENANT, refused.id)
        office.send_due(client_to([found]))
        office.upkeep.due()
        office.send_due(client_to([found]))
    assert office.log_of(refused) == [(410, "status"), (200, None)]
    assert office.log_of(held) == [(200, None)]
    assert webhook_ids(found) == [refused.webhook_id, refused.webhook_id, held.webhook_id]


def test_a_lost_redis(office: RealOffice) -> None:
    with receiving(in_turn(says(OK), says(ERROR), says(OK))) as found:
        records = [office.owe(url_of(found)) for _ in range(3)]
        client = client_to([found])
        sender = office.sender(client)
        for _ in range(2):
            claim = office.desk.claim()
            assert claim is not None
            sender.deliver(claim)
        before = sorted(office.log_of(record) for record in records)
        office.lose_records()
        assert office.upkeep.rebuild_if_lost() == {"restored": 2, "restored_ended": 1}
        assert sorted(office.log_of(record) for record in records) == before
        office.clock.advance(5)
        assert office.send_due(client) == 2
    assert {office.find(record).status for record in records} == {DELIVERED}


# Several at once


@contextmanager
def sending(office: RealOffice, *receivers: Receiver, total_s: float) -> Iterator[None]:
    stop = threading.Event()
    sender = office.sender(client_to(receivers, total_s=total_s))
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_slow_receiver_delays_nobody_else(stores: Stack) -> None:
    hanging_s = 1.5
    office = real_office(env_beside(stores), clock=system_clock)
    with receiving(hangs) as slow, receiving(says(OK)) as quick, receiving(says(OK)) as other:
        for _ in range(40):
            office.owe(url_of(slow))
        with sending(office, slow, quick, other, total_s=hanging_s):
            wait_until(lambda: bool(slow.requests), "the slow one was not asked")
            records = [office.owe(url_of(quick)) for _ in range(15)]
            records += [office.owe(url_of(other), tenant="other") for _ in range(15)]
            wait_until(
                lambda: all(office.find(record).status is DELIVERED for record in records), "the quick ones wait"
            )
            n_slow = sum(record.status is PENDING and bool(record.attempts) for record in office.list_all())
    waited_ms = [first_sent_ms(office, record) - record.created_ms for record in records]
    assert n_slow <= 4  # two at once, and no more than two turns of them
    assert max(waited_ms) < 1000 * hanging_s


def first_sent_ms(office: RealOffice, record: DeliveryRecord) -> int:
    (attempt,) = office.find(record).attempts
    return attempt.at_ms


# The process


def send_process(env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker.delivery"], cwd=ROOT, env={**os.environ, **env}, stderr=subprocess.PIPE
    )


@contextmanager
def a_process(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = send_process(env)
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
        FACEFIT_WEBHOOK_TIMEOUT_S="2",
        FACEFIT_DELIVERY_LEASE_S="3",
        FACEFIT_RECONCILE_INTERVAL_S="0.2",
    )


def here(found: Receiver) -> str:
    return f"http://{HERE}:{found.port}/hook?token=secret"


def test_a_sender_killed_after_the_200_sends_it_again_under_the_same_id(stores: Stack) -> None:
    pids: list[int] = []

    def kills(wire: socket.socket) -> None:
        os.kill(pids[0], signal.SIGSTOP)  # so that the answer is there, and nobody reads it
        wire.sendall(OK)
        os.kill(pids[0], signal.SIGKILL)

    with receiving(in_turn(kills, says(OK))) as found:
        env = env_for(stores, found)
        office = real_office(env, clock=system_clock)
        record = office.owe(here(found))
        with a_process(env) as first:
            pids.append(first.pid)
            assert first.wait(PATIENCE_S) == -signal.SIGKILL
        assert office.find(record).status is PENDING
        with a_process(env):
            wait_until(lambda: office.find(record).status is DELIVERED, "it was not delivered")
    # A machine so busy that a lease runs out, before its request is out or before its answer is noted, makes one more.
    first_of_all, *between, last = office.log_of(record)
    assert (first_of_all, last) == ((None, "interrupted"), (200, None))
    assert set(between) <= {first_of_all, last}
    assert len(webhook_ids(found)) >= 2
    assert set(webhook_ids(found)) == {record.webhook_id}


def test_a_sender_told_to_stop_ends_what_it_began(stores: Stack) -> None:
    may_answer = threading.Event()

    def waits(wire: socket.socket) -> None:
        may_answer.wait(PATIENCE_S)
        wire.sendall(OK)

    with receiving(waits) as found:
        env = env_for(stores, found)
        office = real_office(env, clock=system_clock)
        record = office.owe(here(found))
        with a_process(env) as process:
            wait_until(lambda: bool(found.requests), "nothing was sent")
            process.terminate()
            late = office.owe(here(found))
            time.sleep(0.3)
            may_answer.set()
            _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert (office.find(record).status, office.find(late).status) == (DELIVERED, PENDING)
    assert b"token" not in said
    assert b"whsec_" not in said


def test_a_redis_flushed_under_a_sender(stores: Stack) -> None:
    with receiving(in_turn(*[says(ERROR)] * 3, says(OK))) as found:
        env = env_for(stores, found)
        office = real_office(env, clock=system_clock)
        records = [office.owe(here(found)) for _ in range(3)]
        with a_process(env):
            wait_until(lambda: sum(len(office.log_of(record)) for record in records) == 3, "three failures")
            wait_until(lambda: not office.store.unarchived(9, grace_s=0), "the failures are in storage")
            office.lose_records()
            wait_until(office.store.is_rebuilt, "no rebuild")
            wait_until(lambda: all(office.find(r).status is DELIVERED for r in records), "not delivered")
    assert [office.log_of(record) for record in records] == [[(500, "status"), (200, None)]] * 3
