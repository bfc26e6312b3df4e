"""Connections that end after their answer: what the client still sends is thrown away, so that the answer is received.

A connection that is closed while bytes lie unread is reset, and what was sent last is lost with it. So the end is
announced first, and what comes is read for a while (RFC 9112, 9.6): here, by the one thread that watches connections.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, BaseSelector
from typing import Final

_SILENCE_S: Final = 2.0
_WHOLE_S: Final = 30.0
"""So that most of those that send too much hear why."""
MOST_CONNECTIONS: Final = 256
_CHUNK_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class _Ending:
    silent_until_s: float
    until_s: float


class Lingering:
    """Those that a process has; used from one thread.

    Parameters
    ----------
    poller : BaseSelector
        Which calls what is registered with it, with the socket.
    """

    def __init__(self, poller: BaseSelector) -> None:
        self._poller = poller
        self._endings: dict[socket.socket, _Ending] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._endings)

    def add(self, connection: socket.socket) -> None:
        """End a connection; it is not to be used any more."""
        if len(self._endings) >= MOST_CONNECTIONS:
            self._close(next(iter(self._endings)))
        try:
            connection.setblocking(False)
            connection.shutdown(socket.SHUT_WR)
            self._poller.register(connection, EVENT_READ, self._throw_away)
        except (OSError, ValueError):  # the client has gone, or it was closed already
            connection.close()
            return
        now_s = time.monotonic()
        self._endings[connection] = _Ending(now_s + _SILENCE_S, now_s + _WHOLE_S)

    def expire(self) -> None:
        """Close those whose time is up."""
        now_s = time.monotonic()
        for connection in [
            each for each, ending in self._endings.items() if min(ending.until_s, ending.silent_until_s) <= now_s
        ]:
            self._close(connection)

    def _throw_away(self, connection: socket.socket) -> None:
        ending = self._endings[connection]
        try:
            taken_bytes = len(connection.recv(_CHUNK_BYTES))
        except BlockingIOError:
            return
        except OSError:
            taken_bytes = 0
        ending.silent_until_s = time.monotonic() + _SILENCE_S
        if not taken_bytes:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        del self._endings[connection]
        with suppress(OSError, KeyError, ValueError):
            self._poller.unregister(connection)
        with suppress(OSError):
            connection.close()
