"""What is no HTTP, or HTTP to be wary of, at a real server: one stated outcome each, never a fault of the service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.malformed import CASES, FOLLOWING, FRAMING, HOST
from tests.served import Server, serving

pytestmark = pytest.mark.enable_socket

MARK = "do-not-write-me-down"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving({"FACEFIT_MAX_UPLOAD_PAUSE_S": "1"}) as started:
        yield started


def answered(server: Server, sends: bytes) -> bytes:
    """Send, whatever becomes of it, and read to the end."""
    answer = bytearray()
    with server.connected() as connection:
        with suppress(ConnectionError):
            connection.sendall(sends)
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                answer += part
    return bytes(answer)


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"^HTTP/1\.[0-9] (\d{3}) ", answer, re.MULTILINE)]


def test_there_is_a_case_of_each_kind() -> None:
    assert len(CASES) > 150
    assert all(len(expected) == 1 for name, (_, expected) in FRAMING.items() if name != "chunks in order")


@pytest.mark.parametrize("name", CASES)
def test_outcome(server: Server, name: str) -> None:
    sends, expected = CASES[name]
    answer = answered(server, sends + FOLLOWING)
    assert statuses(answer.replace(b"}HTTP/1.1", b"}\nHTTP/1.1")) == expected
    first = answer.partition(b"HTTP/1.1 100 Continue\r\n\r\n")[2] or answer
    head, _, body = first.partition(b"\r\n\r\n")
    if statuses(head)[0] >= 400:
        assert b"\r\nContent-Type: application/problem+json" in head
        problem = json.JSONDecoder().raw_decode(body.decode())[0]
        assert problem["status"] == statuses(head)[0]
        assert problem["request_id"].encode() in head


def test_nothing_of_it_is_a_fault_or_is_written_down(server: Server) -> None:
    mark = MARK.encode()
    for sends in (
        b"GET /?key=" + mark + b"\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: " + mark + b"\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + mark + b"\r\n\r\n",
        mark.upper() + b" / HTTP/1.1\r\nConnection: close\r\n\r\n",
    ):
        answer = answered(server, sends)
        assert statuses(answer) == [400]
        assert mark not in answer.lower()
    log = server.logged()
    assert "is refused" in log
    assert "Traceback" not in log
    assert MARK not in log.lower()


ROUTES = (
    "/",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/web/index.html",
    "/face-coordinates",
    "/v1/measurements",
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND")


@pytest.mark.parametrize("path", ROUTES)
def test_every_method_at(server: Server, path: str) -> None:
    """Each is served, or refused with what would be; a HEAD has no body."""
    for method in METHODS:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        answer = answered(server, head.encode())
        (status,) = statuses(answer)
        is_served = status == 200 or (status, method, path) in {
            (400, "POST", "/face-coordinates"),
            (503, "GET", "/readyz"),
        }
        assert is_served or status in {503, 405}, (method, path)
        if status == 405:
            assert b"\r\nAllow: " in answer
        if method == "HEAD":
            assert answer.endswith(b"\r\n\r\n")
