"""A worker's side of the broker while Redis dies and comes back: it must hear the next doorbell."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu.pools
import pytest
from kombu.messaging import Consumer

from shared.config import Settings
from shared.names import QueueName, new_job_id
from shared.queue import CeleryDoorbell, make_celery
from stack.data_folder import LOOPBACK, free_ports
from stack.redis_server import find_redis

PATIENCE_S = 30.0


class MortalRedis:
    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(find_redis()), "--port", str(self.port), "--bind", LOOPBACK, "--save", ""]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("Redis did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[MortalRedis]:
    server = MortalRedis(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def ring(settings: Settings, job_id: str) -> None:
    """Ring as a process that has just been started does."""
    CeleryDoorbell(make_celery(settings)).ring(QueueName.INTERACTIVE, job_id)
    kombu.pools.reset()


def hear(connection: Any, heard: list[Any], count: int) -> None:
    """Take what comes until there are `count` messages, connecting anew as often as it takes."""
    until = time.monotonic() + PATIENCE_S
    while len(heard) < count and time.monotonic() < until:
        try:
            connection.drain_events(timeout=0.5)
        except (TimeoutError, *connection.connection_errors):
            continue
    assert len(heard) == count


def test_a_lost_acknowledgement_leaves_the_worker_its_hearing(
    mortal_redis: MortalRedis, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.model_validate({"redis_url": f"redis://{LOOPBACK}:{mortal_redis.port}/0"})
    app = make_celery(settings)
    heard: list[Any] = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.basic_qos(0, 1, False)  # as a worker of one process has it
        queues = [app.amqp.queues[QueueName.INTERACTIVE]]
        consumer = Consumer(channel, queues, accept=["json"], on_message=heard.append)
        with consumer:
            first, second = new_job_id(), new_job_id()
            ring(settings, first)
            hear(connection, heard, 1)
            mortal_redis.kill()
            heard[0].ack_log_error(logging.getLogger("test"), connection.connection_errors)
            assert "Couldn't ack" in caplog.text
            mortal_redis.start()
            ring(settings, second)
            hear(connection, heard, 2)
            heard[1].ack()
    assert [message.payload[0] for message in heard] == [[first], [second]]
