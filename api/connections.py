"""What the server keeps of one connection, and of the body that comes over it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from copy import copy
from typing import Any, Final

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import InvalidHeader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from api.request_heads import MAX_HEAD_BYTES, Progress, progress_of

UPLOAD_IS_OVER: Final = "facefit.upload_is_over"
"""In the environment of a request with a body: to be called once the body is no more needed, if the request goes on."""


class WatchedBody(Body):  # type: ignore[misc]
    """A body that knows whether it has been read to its end."""

    failed: bool

    @property
    def is_at_end(self) -> bool:
        """Whether the next request begins where reading has come to."""
        if self.failed:
            return False
        if isinstance(self.reader, LengthReader):
            return bool(self.reader.length == 0)
        return self.reader.parser is None

    def _read_reader(self, size: int) -> bytes:
        """Take a piece; note where the body ends before it should, which the vendor counts as if all of it had come."""
        expected = min(size, self.reader.length) if isinstance(self.reader, LengthReader) else 0
        data: bytes = super()._read_reader(size)
        self.failed = self.failed or len(data) < expected
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Take what has come, straight from the connection where that is all there is to it; 0 at the end.

        The way through `read` copies what lies behind the piece that is asked for, again with each piece: five times
        the CPU for a photo of 3 MB.
        """
        if isinstance(self.reader, LengthReader) and not (self.buf.tell() or self._n_held_bytes):
            return self._received_into(buffer)
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @property
    def _n_held_bytes(self) -> int:
        """How much came with the head and lies here."""
        return int(self.reader.unreader.buf.getbuffer().nbytes)

    def _received_into(self, buffer: bytearray | memoryview) -> int:
        wanted = min(len(buffer), self.reader.length)
        if not wanted:
            return 0
        try:
            n_came: int = self.reader.unreader.sock.recv_into(buffer, wanted)
        except OSError:
            self.failed = True
            raise
        self.failed = not n_came  # the client has gone
        self.reader.length -= n_came
        return n_came


class WatchedRequest(Request):  # type: ignore[misc]
    """A request whose connection ends with its answer unless all of it was read, or lies here to be passed over.

    To read on, only to throw away what comes, would keep a thread for as long as the client likes.
    """

    body: Any
    _expected_100_continue: bool

    def set_body_reader(self) -> None:
        """Have the body watched, once the head is known to be in order."""
        self._check_target()
        super().set_body_reader()
        self.body = WatchedBody(self.body.reader)

    def takes_expectation(self) -> bool:
        """Tell whether the client waits to be told to go on; the caller then says so, within bounds."""
        is_awaited, self._expected_100_continue = self._expected_100_continue, False
        return is_awaited

    def _check_target(self) -> None:
        """Refuse a target with a host of its own that is not `Host`: what is checked must be what is meant."""
        if self.uri.startswith("/"):
            return
        _, separator, rest = self.uri.partition("://")
        hosts = [value for name, value in self.headers if name == "HOST"]
        if separator and [rest.partition("/")[0].lower()] != [host.lower() for host in hosts]:
            raise InvalidHeader("HOST", req=self)

    def should_close(self) -> bool:
        """Tell whether this is the connection's last request; asked when the head of the answer is sent."""
        return bool(super().should_close() or not self._is_passed_over_easily())

    def _is_passed_over_easily(self) -> bool:
        if self.body.is_at_end:
            return True
        if self.body.failed or not isinstance(self.body.reader, LengthReader):
            return False
        return bool(self.body.reader.length <= self.unreader.buf.getbuffer().nbytes)


class WatchedParser(RequestParser):  # type: ignore[misc]
    """Makes such requests."""

    mesg_class = WatchedRequest


def settled(cfg: Any) -> Any:
    """Return gunicorn's settings as they are now, as plain attributes.

    Each is looked up behind two calls else, some twenty for a request: a quarter of what it takes to parse one and to
    write its answer. No process changes its settings; others get new ones.
    """
    now = copy(cfg)
    vars(now).update({name: setting.get() for name, setting in cfg.settings.items()})
    return now


class Connection(TConn):  # type: ignore[misc]
    """A client's connection, and what has come of its next request.

    Attributes
    ----------
    received : bytearray
        Not given to the parser yet.
    until_s : float
        When it is given up, on the monotonic clock [s].
    """

    def __init__(
        self, cfg: Any, sock: socket.socket, client: Any, server: Any, linger: Callable[[socket.socket], None]
    ) -> None:
        super().__init__(cfg, sock, client, server)
        self.received = bytearray()
        self.until_s = 0.0
        self.parser = WatchedParser(cfg, sock, client)
        self.initialized = True  # no TLS and no HTTP/2: nothing is left to be settled in a thread
        self._linger = linger

    def receive(self) -> Progress | None:
        """Take what has come, without waiting, and tell how far the head is; None if the client has gone."""
        progress = progress_of(self.received)
        if progress is not Progress.INCOMPLETE:
            return progress
        try:
            data = self.sock.recv(MAX_HEAD_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return progress
        except OSError:
            return None
        self.received += data
        return progress_of(self.received) if data else None

    def close(self, graceful: bool = False) -> None:
        """End the connection; where an answer was sent, so that it is received."""
        if graceful:
            self._linger(self.sock)
        else:
            super().close()
