"""Servers on loopback that answer a request as badly as a test wants, and the client that asks them."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from shared.outbound import OutboundClient
from shared.targets import OutboundPolicy

NAME = "receiver.example"
HERE = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S = 10.0
PAUSE_S = 0.02
_ROOM = 65_536

Behaviour = Callable[[socket.socket], None]


class Receiver:
    """Takes one connection after the other, reads a request, and behaves."""

    def __init__(
        self, behaviour: Behaviour, tls: ssl.SSLContext | None, address: tuple[str, int], *, reads: bool
    ) -> None:
        self._behaviour = behaviour
        self._reads = reads
        self._tls = tls
        self._server = socket.create_server(address)
        self.port: int = self._server.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.finished = threading.Event()
        """Whether the behaviour came to its end, as it does not when the client leaves before."""
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self.stopped.is_set():
            with suppress(OSError):
                connection, _ = self._server.accept()
                self.connections += 1
                connection.settimeout(PATIENCE_S)
                with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as wire:
                    if self._reads:
                        self.requests.append(_request(wire))
                    self._behaviour(wire)
                    self.finished.set()


def _request(wire: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(wire)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += _some(wire)
    return head + b"\r\n\r\n" + body


def _some(wire: socket.socket) -> bytes:
    data = wire.recv(_ROOM)
    if not data:
        raise ConnectionError
    return data


@contextmanager
def receiving(
    behaviour: Behaviour,
    *,
    tls: ssl.SSLContext | None = None,
    address: tuple[str, int] = (HERE, 0),
    reads: bool = True,
) -> Iterator[Receiver]:
    receiver = Receiver(behaviour, tls, address, reads=reads)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


# The client


def client_of(
    found: Receiver,
    *,
    total_s: float = PATIENCE_S,
    resolve: Callable[[str, int], list[str]] = lambda *_: [HERE],
    tls: ssl.SSLContext | None = None,
) -> OutboundClient:
    policy = OutboundPolicy(
        total_s=total_s,
        max_answer_bytes=100,
        allow_http=True,
        ports=frozenset({found.port}),
        allowed_hosts=frozenset({NAME}),
    )
    return OutboundClient(policy, resolve=resolve, tls=tls)


def url_of(found: Receiver, path: str = "/hook?token=secret", scheme: str = "http") -> str:
    return f"{scheme}://{NAME}:{found.port}{path}"


# Behaviours


def says(data: bytes) -> Behaviour:
    return lambda wire: wire.sendall(data)


def then(*behaviours: Behaviour) -> Behaviour:
    def behave(wire: socket.socket) -> None:
        for behaviour in behaviours:
            behaviour(wire)

    return behave


def hangs(wire: socket.socket) -> None:
    """Wait for the client to leave."""
    _some(wire)


def drips(data: bytes) -> Behaviour:
    """Send a byte at a time, again and again, for as long as a patient client would wait."""

    def behave(wire: socket.socket) -> None:
        ends_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s:
            for at in range(len(data)):
                wire.sendall(data[at : at + 1])
                time.sleep(PAUSE_S)

    return behave


def floods(data: bytes) -> Behaviour:
    """Send without an end."""

    def behave(wire: socket.socket) -> None:
        ends_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s:
            wire.sendall(data)

    return behave


def sips(wire: socket.socket) -> None:
    """Read steadily, but for longer than anyone would wait."""
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        _some(wire)
        time.sleep(PAUSE_S)
