"""A body is read as it came, whatever of it came with the head, and not a byte of what follows it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wsgi import LimitedStream

from api.connections import WatchedBody

BODY = bytes(range(256)) * 8
NEXT = b"GET / HTTP/1.1\r\n"


def body_of(wire: socket.socket, with_head: bytes, n_bytes: int) -> WatchedBody:
    unreader = SocketUnreader(wire)
    unreader.unread(with_head)
    return WatchedBody(LengthReader(unreader, n_bytes))


@pytest.fixture
def wires() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        server.settimeout(5)
        yield client, server


@given(n_with_head=st.integers(0, len(BODY)), piece=st.integers(1, len(BODY) + 9), mixed=st.booleans())
def test_a_body_is_read_whole_and_nothing_behind_it(n_with_head: int, piece: int, mixed: bool) -> None:
    client, server = socket.socketpair()
    with client, server:
        server.settimeout(0.5)
        client.sendall(BODY[n_with_head:] + NEXT)
        body = body_of(server, BODY[:n_with_head], len(BODY))
        stream = LimitedStream(body, len(BODY))
        pieces = [body.read(1)] if mixed else []  # as whoever reads without the framework
        stream._pos = len(b"".join(pieces))
        pieces += list(iter(lambda: stream.read(piece), b""))
        assert b"".join(pieces) == BODY
        assert body.is_at_end
        held = body.reader.unreader.buf.getvalue()
        assert held + (server.recv(len(NEXT)) if held != NEXT else b"") == NEXT


def test_a_body_that_is_cut_short_leaves_no_place_for_a_next_request(
    wires: tuple[socket.socket, socket.socket],
) -> None:
    client, server = wires
    client.sendall(BODY[:100])
    client.shutdown(socket.SHUT_WR)
    body, buffer = body_of(server, b"", len(BODY)), bytearray(len(BODY))
    assert body.readinto(buffer) == 100
    assert not body.is_at_end
    assert body.readinto(buffer) == 0
    assert (body.failed, body.is_at_end) == (True, False)


@pytest.mark.parametrize("n_with_head", [0, 1, 100])
def test_a_body_that_ends_early_while_it_is_read_in_pieces_is_not_at_its_end(
    wires: tuple[socket.socket, socket.socket], n_with_head: int
) -> None:
    """After a deadline has ended its reading, what comes all the same must not be the next request."""
    client, server = wires
    client.sendall(BODY[n_with_head:100])
    client.shutdown(socket.SHUT_WR)
    body = body_of(server, BODY[:n_with_head], len(BODY))
    assert b"".join(iter(lambda: body.read(64), b"")) == BODY[:100]
    assert (body.failed, body.is_at_end) == (True, False)


def test_a_body_that_stalls_is_given_up(wires: tuple[socket.socket, socket.socket]) -> None:
    _, server = wires
    server.settimeout(0.01)
    body = body_of(server, b"", 10)
    with pytest.raises(TimeoutError):
        body.readinto(bytearray(10))
    assert (body.failed, body.is_at_end) == (True, False)
