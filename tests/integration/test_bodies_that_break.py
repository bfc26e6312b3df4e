"""Bodies that stall or are no HTTP, at a real server: none keeps a thread, none is called a fault of the service."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from shared.config import Settings
from stack.data_folder import LOOPBACK
from tests.served import Server, serving

pytestmark = pytest.mark.enable_socket

SOON_S = 12.0
"""Well before a body that stalls is given up where it has a place."""
PLACES = Settings().max_batch_uploads


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving({"FACEFIT_MAX_UPLOAD_PAUSE_S": "20"}) as started:
        yield started


def beginning(server: Server, headers: str, body: bytes = b"") -> socket.socket:
    """Begin to send a batch, and go on holding the connection."""
    connection = socket.create_connection((LOOPBACK, server.port), timeout=SOON_S)
    connection.sendall(f"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n".encode() + body)
    return connection


def test_a_body_that_stalls_keeps_no_thread_without_a_place(server: Server) -> None:
    form = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000"
    with ExitStack() as held:
        asked = [held.enter_context(beginning(server, form, b"--x")) for _ in range(PLACES + 1)]
        answered, _, _ = select.select(asked, [], [], SOON_S)
        assert [connection.recv(1000).split(b" ")[1] for connection in answered] == [b"503"]


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json"])
def test_chunks_that_are_none(server: Server, kind: str) -> None:
    headers = f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\nConnection: close"
    with beginning(server, headers, b"ZZ\r\nabc") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
