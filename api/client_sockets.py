"""Answers to clients that do not read them: the thread that sends one must not be kept for ever.

What the system's buffers take is sent at once, and most answers are. A longer one keeps its thread for a moment; after
that it needs one of a few places, and has a time by which it must be taken.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

_GRACE_S: Final = 1.0
"""How long an answer may be waited with before it needs a place."""
_MILLISECONDS: Final = 1000


@dataclass(frozen=True, slots=True)
class SlowReaders:
    """How many clients may be slow to read at once, and for how long.

    Attributes
    ----------
    places : BoundedSemaphore
        One is taken while an answer is waited with.
    answer_s : float
        The longest that one may take [s].
    """

    places: threading.BoundedSemaphore
    answer_s: float


class ClientSocket(socket.socket):
    """A connection whose answers are sent within bounds, unless a time-out was set on it: a report has its own."""

    slow_readers: SlowReaders | None = None

    @classmethod
    def of(cls, accepted: socket.socket, slow_readers: SlowReaders) -> ClientSocket:
        """Return the same connection as one of these; the one given is closed."""
        client = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        client.slow_readers = slow_readers
        return client

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of it.

        Raises
        ------
        TimeoutError
            If the client does not take it in time, or is slow while too many are.
        """
        if self.slow_readers is None or self.gettimeout() is not None:
            super().sendall(data, flags)
            return
        rest = self._send_at_once(memoryview(data).cast("B"), flags, time.monotonic() + _GRACE_S)
        if not rest:
            return
        if not self.slow_readers.places.acquire(blocking=False):
            raise TimeoutError("a client does not read its answer, and too many others do not")
        try:
            if self._send_at_once(rest, flags, time.monotonic() + self.slow_readers.answer_s):
                raise TimeoutError("a client did not read its answer in time")
        finally:
            self.slow_readers.places.release()

    def _send_at_once(self, data: memoryview, flags: int, until_s: float) -> memoryview:
        """Return what was not taken by then."""
        writable = select.poll()
        writable.register(self, select.POLLOUT)
        while data:
            try:
                data = data[self.send(data, flags | socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not writable.poll(left_s * _MILLISECONDS):
                    return data
        return data
