"""A limit that native code cannot outlast: the process ends, and with it whatever hangs in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def process_ends_after(seconds: float) -> Iterator[None]:
    """End this process, by a signal that no Python code handles, if the block takes longer than `seconds`.

    A Python handler would wait for native code to return, which is what hangs. The job's lease brings its photo back,
    and the parent starts another process. Only for the main thread of a worker process.
    """
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
