"""A report that lacks its end never looks whole: a real server, real connections, HTTP/1.1 and 1.0."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from stack.data_folder import LOOPBACK, free_ports
from stack.services import ROOT
from tests.breaking_api import ITEMS, LONG_ITEMS

pytestmark = pytest.mark.enable_socket

PATIENCE_S = 60.0
SMALL_BUFFER_BYTES = 4096


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    batches: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def path(self, batch: str, report: str = "results?landmarks=true") -> str:
        return f"/v1/batches/{self.batches[batch]}/{report}"

    def worker(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def asked(self, batch: str, version: str) -> socket.socket:
        """Ask for results, over a connection that takes little at a time."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        connection.settimeout(PATIENCE_S)
        connection.connect((LOOPBACK, self.port))
        connection.sendall(f"GET {self.path(batch)} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())
        return connection


def batches_of(url: str) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(httpx.TransportError):
            found: dict[str, str] = httpx.get(f"{url}/batches", trust_env=False).json()
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def serving() -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{LOOPBACK}:{port}", "--worker-class", "gthread"]
    command += ["--threads", "4", "--no-control-socket", "tests.breaking_api:app"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            yield Server(process, port, batches_of(f"http://{LOOPBACK}:{port}"))
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def mortal() -> Iterator[Server]:
    with serving() as started:
        yield started


def received(connection: socket.socket) -> bytes:
    """Read to the end of the connection; raise `ConnectionResetError` if it has none."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def test_what_is_whole_ends(server: Server) -> None:
    for path, n_lines in (("whole", ITEMS), ("long", LONG_ITEMS)):
        response = httpx.get(server.url + server.path(path), trust_env=False, timeout=PATIENCE_S)
        assert (response.status_code, response.content.count(b"\n")) == (200, n_lines)
    with server.asked("whole", "1.0") as connection:
        assert received(connection).count(b'"job_id"') == ITEMS


@pytest.mark.parametrize("report", ["results", "results?landmarks=true"])
def test_over_http_1_1_the_last_chunk_is_lacking(server: Server, report: str) -> None:
    taken: list[bytes] = []
    with httpx.stream("GET", server.url + server.path("breaks", report), trust_env=False) as response:
        assert response.status_code == 200
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            taken.extend(response.iter_raw())
    assert b'"item_index":30' not in b"".join(taken)
    assert httpx.get(server.url + server.path("whole"), trust_env=False).status_code == 200


def test_what_breaks_before_anything_was_sent_has_a_status(server: Server) -> None:
    for report in ("results?format=csv", "summary"):
        response = httpx.get(server.url + server.path("breaks", report), trust_env=False)
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")


def test_over_http_1_0_the_connection_is_reset(server: Server) -> None:
    with server.asked("breaks", "1.0") as connection, pytest.raises(ConnectionResetError):
        received(connection)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_server_that_is_killed_ends_nothing(mortal: Server, version: str) -> None:
    with mortal.asked("long", version) as connection:
        assert connection.recv(1000).startswith(f"HTTP/{version} 200".encode())
        os.kill(mortal.worker(), signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            received(connection)


def test_clients_that_take_nothing_lose_their_places(server: Server) -> None:
    held = [server.asked("long", "1.1") for _ in range(2)]
    try:
        for connection in held:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        refused = httpx.get(server.url + server.path("whole", "summary"), trust_env=False)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"]
        deadline = time.monotonic() + PATIENCE_S
        while httpx.get(server.url + server.path("whole", "summary"), trust_env=False).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for connection in held:
            connection.close()


def test_clients_that_go_away_leave_their_places(server: Server) -> None:
    for _ in range(3):
        for connection in [server.asked("long", "1.1") for _ in range(2)]:
            connection.recv(1000)
            connection.close()
        deadline = time.monotonic() + PATIENCE_S
        while httpx.get(server.url + server.path("whole", "errors"), trust_env=False).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_head_and_a_kept_copy_take_no_place(server: Server) -> None:
    url = server.url + server.path("whole")
    etag = httpx.get(url, trust_env=False).headers["ETag"]
    held = [server.asked("long", "1.1") for _ in range(2)]
    try:
        for connection in held:
            connection.recv(1000)
        assert httpx.head(url, trust_env=False).status_code == 200
        assert httpx.get(url, headers={"If-None-Match": etag}, trust_env=False).status_code == 304
        assert httpx.get(url, trust_env=False).status_code == 503
    finally:
        for connection in held:
            connection.close()
