"""A report that lacks its end never looks whole: a real server, real connections, HTTP/1.1 and 1.0."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.breaking_api import ITEMS, LONG_ITEMS
from tests.served import PATIENCE_S, Server, received, serving

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def mortal() -> Iterator[Server]:
    with serving() as started:
        yield started


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
