"""Summaries of large batches, kept for a while: making one costs 2 ms for each photo."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

WORTH_KEEPING_ITEMS: Final = 500
"""From so many items on it takes a second and more. One of fewer people is not kept: it says too much about each of
them, and they may be deleted."""
_KEPT_S: Final = 600.0
_KEPT_AT_MOST: Final = 32
"""Of about 10 kB each."""


class KeptSummaries:
    """Answers by what they depend on, in this process alone; the oldest goes first."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = Lock()
        self._kept: dict[str, tuple[float, bytes]] = {}

    def find(self, key: str) -> bytes | None:
        """Return what was kept under `key`, or None."""
        with self._lock:
            self._drop_old()
            return self._kept[key][1] if key in self._kept else None

    def keep(self, key: str, body: bytes) -> None:
        """Keep an answer."""
        with self._lock:
            self._drop_old()
            self._kept[key] = self._clock_s() + _KEPT_S, body
            while len(self._kept) > _KEPT_AT_MOST:
                del self._kept[next(iter(self._kept))]

    def _drop_old(self) -> None:
        now_s = self._clock_s()
        for key in [key for key, (until_s, _) in self._kept.items() if until_s <= now_s]:
            del self._kept[key]
