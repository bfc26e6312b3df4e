"""One connection to one address, and one deadline for all that happens on it.

Time-outs of sockets are for each read or write: who sends a byte a second is never too late. Here each look-up,
connection, handshake, read and write gets what is left of the whole, and whatever goes wrong has one name.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from enum import StrEnum
from threading import Thread
from typing import TypeVar

from urllib3.exceptions import HTTPError, ReadTimeoutError

from shared.errors import FacefitError
from shared.targets import Address, Target

T = TypeVar("T")


class Trouble(StrEnum):
    """What came in the way of an answer."""

    LOOK_UP = "look_up"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BROKEN = "broken"


class TargetUnreachable(FacefitError):
    """Raised when no answer, or no whole photo, comes from a target that may be asked.

    Attributes
    ----------
    trouble : Trouble
        What came in the way.
    """

    def __init__(self, message: str, trouble: Trouble) -> None:
        super().__init__(message)
        self.trouble = trouble


@contextmanager
def troubles_named(otherwise: Trouble = Trouble.BROKEN) -> Iterator[None]:
    """Turn what sockets, TLS and HTTP raise into `TargetUnreachable`; no address and no path is in its message."""
    try:
        yield
    except (TimeoutError, ReadTimeoutError) as error:
        raise TargetUnreachable("it took too long", Trouble.TIMEOUT) from error
    except ssl.SSLCertVerificationError as error:
        raise TargetUnreachable(f"its certificate: {error.verify_message}", Trouble.TLS) from error
    except (OSError, ValueError, http.client.HTTPException, HTTPError) as error:
        raise TargetUnreachable(f"{otherwise}: {type(error).__name__}", otherwise) from error


class Deadline:
    """The end of an attempt that starts now and may take `total_s` seconds."""

    def __init__(self, total_s: float) -> None:
        self._started_s = time.monotonic()
        self._total_s = total_s

    def spent_s(self) -> float:
        """Return how long the attempt has taken so far."""
        return time.monotonic() - self._started_s

    def left_s(self) -> float:
        """Return how long it may still take, more than nothing; raise `TimeoutError` when it is over."""
        left_s = self._total_s - self.spent_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class Wire(io.RawIOBase):
    """A connected socket as an HTTP library uses one, where no read or write outlasts the deadline.

    Attributes
    ----------
    has_ended : bool
        Whether the other side has said its last.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self.has_ended = False

    def readable(self) -> bool:
        """Tell that there is something to read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is there, or wait for it."""
        self._sock.settimeout(self._deadline.left_s())
        n_bytes = self._sock.recv_into(buffer)
        self.has_ended = n_bytes == 0
        return n_bytes

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.left_s())
            view = view[self._sock.send(view) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader with a buffer."""
        return io.BufferedReader(self)

    def settimeout(self, _timeout_s: object) -> None:
        """Pass over what the library would allow."""

    def close(self) -> None:
        """Leave the socket open, for the body is read after the library is done; who opened it closes it."""


def in_time(call: Callable[[], T], deadline: Deadline) -> T:
    """Call what takes no time-out, a look-up, in a thread; one that hangs is left to end by the system's own limits.

    Raises
    ------
    TimeoutError
        When the deadline comes first.
    OSError, ValueError, FacefitError
        As the call does.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except (OSError, ValueError, FacefitError) as error:
            future.set_exception(error)

    Thread(target=run, name="look-up", daemon=True).start()
    return future.result(deadline.left_s())


def connected(target: Target, addresses: Sequence[Address], deadline: Deadline, tls: ssl.SSLContext) -> socket.socket:
    """Connect to the first of the addresses that answers, each within its share of the time, and shake hands.

    Raises
    ------
    TargetUnreachable
        If none answers, or the certificate is not the name's.
    """
    for n_left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            with troubles_named(Trouble.CONNECT):
                sock = socket.create_connection((str(address), target.port), timeout=deadline.left_s() / n_left)
            break
        except TargetUnreachable:
            if n_left == 1:
                raise
    if target.scheme == "http":
        return sock
    try:
        with troubles_named(Trouble.TLS):
            sock.settimeout(deadline.left_s())
            return tls.wrap_socket(sock, server_hostname=target.host)
    except TargetUnreachable:
        sock.close()
        raise
