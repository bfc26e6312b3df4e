"""Photos that came in one request are stored several at a time: one waits for storage much longer than for us."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from shared.jobs.lifecycle import Upload

AT_ONCE: Final = 8
"""Photos on their way to storage: two such requests keep half of a process's connections to it."""


class PhotoStorer:
    """Stores photos in threads of its own, those of one batch, and closes them.

    When its block is left, nothing is on its way any more.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="storing")
        self._on_the_way: deque[Future[None]] = deque()

    def store(self, put: Callable[[Upload], None], upload: Upload) -> None:
        """Have a photo stored, soon; wait for an earlier one if too many are on their way, and raise what it raised."""
        self._on_the_way.append(self._threads.submit(_put_and_close, put, upload))
        if len(self._on_the_way) > AT_ONCE:
            self._on_the_way.popleft().result()

    def finish(self) -> None:
        """Wait until all are stored; raise what storing one of them raised."""
        while self._on_the_way:
            self._on_the_way.popleft().result()

    def __enter__(self) -> Self:
        """Return the storer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for what is on its way, whatever becomes of it."""
        self._threads.shutdown()


def _put_and_close(put: Callable[[Upload], None], upload: Upload) -> None:
    with upload.body:
        put(upload)
