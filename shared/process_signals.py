"""How a process hears a signal, whatever its main thread does at that moment.

A handler runs in the midst of the main thread. One that waits for a lock which that thread holds waits for ever, and
`Event.set` takes one that `Event.wait` holds for a moment. Nor is it certain to run: a signal that comes when the main
thread is about to wait is kept until that wait ends. A busy machine makes both moments long.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection


def on_signals(numbers: Collection[int], heard: Callable[[], object]) -> None:
    """Have `heard` called, on a thread of its own, whenever one of the signals comes.

    To be called once in a process, by its main thread; children that are forked hear nothing.

    Parameters
    ----------
    numbers : collection of int
        The signals.
    heard : callable
        May take its time, and locks.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)  # written to by the interpreter's own handler, which waits for no thread

    def listen() -> None:
        while True:
            for number in os.read(reading, 1):
                if number in numbers:
                    heard()

    threading.Thread(target=listen, daemon=True, name="signals").start()
    for number in numbers:
        signal.signal(number, _do_nothing)


def _do_nothing(*_: object) -> None:
    """Handle a signal: one that has no handler is not written to the pipe."""
