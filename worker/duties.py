"""How a process learns that it is to end."""

from __future__ import annotations

import signal
import threading

from shared.process_signals import on_signals


def until_told_to_stop() -> threading.Event:
    """Return what SIGTERM and SIGINT set."""
    stop = threading.Event()
    on_signals((signal.SIGTERM, signal.SIGINT), stop.set)
    return stop
