"""Long answers, sent piece by piece: how many at once, how long one may stall, and how one breaks off.

A file that lacks its end must not look whole. Over HTTP/1.1 it cannot: the last chunk is lacking too. Over HTTP/1.0, as
some proxies speak it by default, the end of the connection is the end of the file. So while a piece is still to come,
the connection is set to be reset, not ended, whoever closes it: this process, its end, or its being killed.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

from flask import Response

from api.places import Places
from api.problems import unavailable

_PIECE_BYTES: Final = 65_536
"""Lines are gathered into pieces of this size: each is one write, and must be taken within one pause."""
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)
_END_AT_CLOSE: Final = struct.pack("ii", 0, 0)
"""Values of SO_LINGER."""


class Streams:
    """The long answers of one process.

    Parameters
    ----------
    places : int
        How many there may be at once; of one tenant, one fewer.
    pause_s : float
        The longest that a client may take for one piece [s].
    """

    def __init__(self, places: int, pause_s: float) -> None:
        self._places = Places(places)
        self._pause_s = pause_s

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """Take a place for as long as the block lasts.

        Raises
        ------
        ProblemError
            503 when there is none for this tenant.
        """
        with self._places.place(tenant) as is_given:
            if not is_given:
                detail = "As many reports as this service sends at once are being read; ask again in a moment."
                raise unavailable(detail)
            yield

    def response(
        self,
        tenant: str,
        head: bytes,
        lines: Generator[bytes, None, None],
        connection: socket.socket | None,
        headers: dict[str, str],
        *,
        sent: Callable[[], None] = lambda: None,
    ) -> Response:
        """Answer with `head` and then the lines; the first piece is made before this returns.

        Parameters
        ----------
        tenant : str
            Whose place it takes.
        head : bytes
            What comes before the first line.
        lines : generator of bytes
            Closed when the answer has been sent, or cannot be.
        connection : socket, optional
            The client's.
        headers : dict
            Of the answer, `Content-Type` among them.
        sent : callable
            Called when the whole answer has been handed to the connection.

        Raises
        ------
        ProblemError
            503 when too many are being sent.
        Exception
            As the lines of the first piece do: then it can still be told by a status.
        """
        pieces = self._pieces(tenant, head, lines, connection, sent)
        next(pieces)
        return Response(pieces, headers=headers)

    def _pieces(
        self,
        tenant: str,
        head: bytes,
        lines: Generator[bytes, None, None],
        connection: socket.socket | None,
        sent: Callable[[], None],
    ) -> Generator[bytes, None, None]:
        """Yield nothing once the first piece is made, then the whole."""
        with closing(lines), self.place(tenant):
            pieces = _gathered(head, lines)
            first = next(pieces)
            yield b""
            with _broken_off_unless_ended(connection, self._pause_s):
                yield first
                yield from pieces
            sent()


def _gathered(head: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    piece = bytearray(head)
    for line in lines:
        piece += line
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


@contextmanager
def _broken_off_unless_ended(connection: socket.socket | None, pause_s: float) -> Iterator[None]:
    if connection is None:
        yield
        return
    ended = False
    try:
        connection.settimeout(pause_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        yield
        ended = True
    finally:
        with suppress(OSError):  # closed by then
            if ended:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _END_AT_CLOSE)
                connection.settimeout(None)
            else:
                connection.close()
