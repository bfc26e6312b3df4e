"""Answers whose head and first piece leave in one write: a client that the head alone wakes waits again at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gunicorn.http.wsgi import FileWrapper, Response


class JoinedAnswer(Response):  # type: ignore[misc]
    """gunicorn's way to write an answer, with its first write gathered."""

    sock: Any

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send what an app answers with, all of it, and close that whatever comes in between."""
        try:
            if isinstance(pieces, FileWrapper):
                self.write_file(pieces)
            else:
                for piece in pieces:
                    self.write(piece)
            self.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def write(self, arg: bytes) -> None:
        """Send a piece of the body, behind the head if that was not sent."""
        if self.headers_sent:
            super().write(arg)
            return
        connection, gathered = self.sock, _Gathered()
        self.sock = gathered
        try:
            super().write(arg)
        finally:
            self.sock = connection
        connection.sendall(b"".join(gathered.pieces))


class _Gathered:
    """Stands in for a connection while what is to be sent over it is gathered."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Keep a piece."""
        self.pieces.append(data)
