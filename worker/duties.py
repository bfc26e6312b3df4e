"""How a process learns that it is to end."""

from __future__ import annotations

import signal
import threading
from typing import Any


def until_told_to_stop() -> threading.Event:
    """Return what SIGTERM and SIGINT set."""
    stop = threading.Event()

    def set_stop(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, set_stop)
    signal.signal(signal.SIGINT, set_stop)
    return stop
