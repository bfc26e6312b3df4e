"""What is said before an answer is bounded like the answer."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from api.answering import AnsweringWorker
from api.client_sockets import ClientSocket, SlowReaders


@pytest.mark.enable_socket
def test_a_client_that_reads_nothing_is_not_told_to_go_on_for_ever() -> None:
    client, accepted = socket.socketpair()
    no_place = SlowReaders(threading.BoundedSemaphore(1), answer_s=60)
    no_place.places.acquire()
    with client, ClientSocket.of(accepted, no_place) as server:
        with suppress(BlockingIOError):
            while True:
                server.send(b"answer" * 1000, socket.MSG_DONTWAIT)
        request: Any = SimpleNamespace(takes_expectation=lambda: True)
        connection: Any = SimpleNamespace(sock=server)
        with pytest.raises(TimeoutError):
            AnsweringWorker.answer(AnsweringWorker.__new__(AnsweringWorker), request, connection, {})
