"""How an answer is cut into writes: what the client reads is the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import FileWrapper, Response

from api.connections import WatchedRequest
from api.joined_answers import JoinedAnswer

LENGTH = [("Content-Type", "text/plain"), ("Content-Length", "7")]
UNKNOWN = [("Content-Type", "text/plain")]


class Writes:
    """A connection that keeps what was written, write by write."""

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.all.append(bytes(data))


def answered(
    kind: type[Response], pieces: Any, headers: list[tuple[str, str]], *, method: str = "GET", status: str = "200 OK"
) -> list[bytes]:
    cfg, writes = Config(), Writes()
    asked = f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    answer = kind(WatchedRequest(cfg, IterUnreader(iter([asked])), ("127.0.0.1", 1)), writes, cfg)
    answer.start_response(status, headers)
    if isinstance(answer, JoinedAnswer):
        answer.send(pieces)
    else:
        for piece in pieces:
            answer.write(piece)
        answer.close()
    return writes.all


def without_date(answer: bytes) -> list[bytes]:
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")]


ANSWERS: list[tuple[list[bytes], list[tuple[str, str]], str, str, int]] = [
    ([b"a piece"], LENGTH, "GET", "200 OK", 1),
    ([b"a p", b"iece"], LENGTH, "GET", "200 OK", 2),
    ([b"a piece and too much"], LENGTH, "GET", "200 OK", 1),
    ([b"a", b"b"], UNKNOWN, "GET", "200 OK", 3),
    ([b"", b"a"], UNKNOWN, "GET", "200 OK", 3),
    ([b"a piece"], LENGTH, "HEAD", "200 OK", 1),
    ([], LENGTH, "HEAD", "200 OK", 1),
    ([], [("ETag", '"x"')], "GET", "304 NOT MODIFIED", 1),
    ([], LENGTH, "GET", "204 NO CONTENT", 1),
]


@pytest.mark.parametrize(("pieces", "headers", "method", "status", "writes"), ANSWERS)
def test_the_same_bytes_in_fewer_writes(
    pieces: list[bytes], headers: list[tuple[str, str]], method: str, status: str, writes: int
) -> None:
    theirs = answered(Response, pieces, headers, method=method, status=status)
    ours = answered(JoinedAnswer, pieces, headers, method=method, status=status)
    assert without_date(b"".join(ours)) == without_date(b"".join(theirs))
    assert len(ours) == writes <= len(theirs)


def test_a_head_does_not_wait_for_a_piece_that_is_not_there_yet() -> None:
    seen: list[int] = []
    writes = Writes()

    def pieces() -> Iterator[bytes]:
        yield b""
        seen.append(len(writes.all))
        yield b"a"

    cfg = Config()
    answer = JoinedAnswer(
        WatchedRequest(cfg, IterUnreader(iter([b"GET / HTTP/1.1\r\n\r\n"])), ("127.0.0.1", 1)), writes, cfg
    )
    answer.start_response("200 OK", UNKNOWN)
    answer.send(pieces())
    assert seen == [1]


def test_pieces_are_closed_also_when_the_client_has_gone() -> None:
    closed: list[bool] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    class Gone(Writes):
        def sendall(self, _: bytes) -> None:
            raise BrokenPipeError

    cfg = Config()
    request = WatchedRequest(cfg, IterUnreader(iter([b"GET / HTTP/1.1\r\n\r\n"])), ("127.0.0.1", 1))
    answer = JoinedAnswer(request, Gone(), cfg)
    answer.start_response("200 OK", UNKNOWN)
    with pytest.raises(BrokenPipeError):
        answer.send(pieces())
    assert closed == [True]


@pytest.mark.enable_socket
def test_a_file_is_sent_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a piece")
    cfg = Config()
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "file").open("rb") as file:
        request = WatchedRequest(cfg, IterUnreader(iter([b"GET / HTTP/1.1\r\n\r\n"])), ("127.0.0.1", 1))
        answer = JoinedAnswer(request, ours, cfg)
        answer.start_response("200 OK", LENGTH)
        answer.send(FileWrapper(file))
        assert theirs.recv(10_000).endswith(b"\r\n\r\na piece") or theirs.recv(100) == b"a piece"
        assert file.closed
