"""The threads that answer requests: as many as are needed at once, up to a number.

`concurrent.futures` makes a future with a condition for each call, which nobody here waits for: that and its locks cost
a request more than its parsing. The thread that was idle last is the first to get work again: its memory is still in
the processor's cache, and no more threads are ever begun than requests came at once.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

Work = Callable[[], None]

_END: Final = None


class RequestThreads:
    """Runs what it is given, each on a thread of its own, in the order it came where all are busy.

    When the process ends, what was given is done first, as by `concurrent.futures`.

    Parameters
    ----------
    at_most : int
        How many threads there may be.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._lock = threading.RLock()  # SIGQUIT has the thread that gives work shut down, wherever it is
        self._threads: list[threading.Thread] = []
        self._idle: list[SimpleQueue[Work | None]] = []
        self._waiting: deque[Work] = deque()
        self._is_closed = False
        atexit.register(self.shutdown)

    def give(self, work: Work) -> None:
        """Have something done soon; it must not raise.

        Raises
        ------
        RuntimeError
            If the threads were told to end.
        """
        with self._lock:
            if self._is_closed:
                message = "the threads that answer requests have ended"
                raise RuntimeError(message)
            if self._idle:
                self._idle.pop().put(work)
            elif len(self._threads) >= self._at_most or not self._begin(work):
                self._waiting.append(work)

    def _begin(self, work: Work) -> bool:
        """Begin a thread; tell whether there is one, for the system may have no more to give."""
        # A daemon, so that the interpreter comes to `shutdown`, which waits for it.
        thread = threading.Thread(target=self._run, args=(work,), name="request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
            return False  # those that are there take turns
        self._threads.append(thread)
        return True

    def shutdown(self, wait: bool = True) -> None:
        """Take no more; the threads end when all that was given is done, which is waited for if asked."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._idle.pop().put(_END)
        if wait:
            for thread in self._threads:
                thread.join()

    def _run(self, work: Work | None) -> None:
        given: SimpleQueue[Work | None] = SimpleQueue()
        while work is not _END:
            work()
            work = self._next(given)

    def _next(self, given: SimpleQueue[Work | None]) -> Work | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._is_closed:
                return _END
            self._idle.append(given)
        return given.get()
