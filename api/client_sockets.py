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
"""How long an answer may be waited with, in all, before it needs a place."""
_MILLISECONDS: Final = 1000
_PIECE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class SlowReaders:
    """How many clients may be slow to read at once, and for how long.

    Attributes
    ----------
    places : BoundedSemaphore
        One is taken by each answer that is waited with, until it ends.
    answer_s : float
        The longest that one may take [s].
    """

    places: threading.BoundedSemaphore
    answer_s: float


class ClientSocket(socket.socket):
    """A connection whose answers are sent within bounds, unless a time-out was set on it: a report has its own."""

    slow_readers: SlowReaders | None = None
    is_waited_for = True
    """Whether an answer that is not taken at once is waited with; set anew after each."""
    _grace_s = _GRACE_S
    _until_s: float | None = None

    @classmethod
    def of(cls, accepted: socket.socket, slow_readers: SlowReaders) -> ClientSocket:
        """Return the same connection as one of these; the one given is closed."""
        client = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        client.slow_readers = slow_readers
        return client

    def settimeout(self, value: float | None, /) -> None:
        """Set how long a call may take [s], None without end; the system is asked only where that changes anything."""
        if value != self.gettimeout():
            super().settimeout(value)

    def setblocking(self, flag: bool, /) -> None:
        """Have calls wait, or not."""
        self.settimeout(None if flag else 0.0)

    def end_answer(self) -> None:
        """Have the next answer begin anew, and give back the place that this one had."""
        self._grace_s, self.is_waited_for = _GRACE_S, True
        if self._until_s is not None and self.slow_readers is not None:
            self._until_s = None
            self.slow_readers.places.release()

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of it.

        Raises
        ------
        TimeoutError
            If the client does not take its answer in time, or is slow while too many are.
        """
        if self.slow_readers is None or self.gettimeout() is not None:
            super().sendall(data, flags)
            return
        rest = memoryview(data).cast("B")
        while rest:
            try:
                rest = rest[self.send(rest, flags | socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._wait(self.slow_readers)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file within the same bounds; return how many bytes of it."""
        file.seek(offset)
        sent_bytes = 0
        while count is None or sent_bytes < count:
            piece = file.read(_PIECE_BYTES if count is None else min(_PIECE_BYTES, count - sent_bytes))
            if not piece:
                break
            self.sendall(piece)
            sent_bytes += len(piece)
        return sent_bytes

    def _wait(self, slow_readers: SlowReaders) -> None:
        """Wait until the client takes more."""
        if not self.is_waited_for:
            raise TimeoutError("a client does not read its answer at once")
        began_s = time.monotonic()
        left_s = self._grace_s if self._until_s is None else self._until_s - began_s
        if left_s <= 0:
            if self._until_s is not None:
                raise TimeoutError("a client did not read its answer in time")
            if not slow_readers.places.acquire(blocking=False):
                raise TimeoutError("a client does not read its answer, and too many others do not")
            self._until_s = began_s + slow_readers.answer_s
            left_s = slow_readers.answer_s
        writable = select.poll()
        writable.register(self, select.POLLOUT)
        writable.poll(left_s * _MILLISECONDS)
        if self._until_s is None:
            self._grace_s -= time.monotonic() - began_s
