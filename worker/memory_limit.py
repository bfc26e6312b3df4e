"""A limit on the memory of a process that measures, so that one photo cannot take the machine's.

The limit is on address space, which native code cannot get around either. What happens there: Python raises
`MemoryError`, libheif, libavif, libwebp and libjpeg give up with errors of their own, and mediapipe ends the process.
The first costs the photo one of its attempts, as its process does by ending. The second cannot be told from damage and
is called that, so each photo must begin with room for an honest one: that is what `has_room` is asked before.
"""

from __future__ import annotations

import logging
import resource
import sys
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

IS_SUPPORTED: Final = sys.platform == "linux"
"""macOS takes the limit and does not keep it."""

_STATM: Final = Path("/proc/self/statm")
_ROOM_SHARE: Final = 0.5
"""Of the limit, what must be left for the next photo; `docs/hostile-input.md` has what honest ones take."""


class MemoryLimit:
    """How much more address space this process may take; none where the system keeps no such limit.

    Parameters
    ----------
    beyond_bytes : int
        Beyond what the process has now; 0 for no limit.
    """

    def __init__(self, beyond_bytes: int) -> None:
        self._beyond_bytes = beyond_bytes if IS_SUPPORTED else 0
        self._ready_bytes = 0
        self._ran_out = False
        if beyond_bytes and not IS_SUPPORTED:
            logger.warning("this system keeps no limit on address space: photos are measured without")
        if self._beyond_bytes:
            self._ready_bytes = address_space_bytes()
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            wanted = self._ready_bytes + self._beyond_bytes
            resource.setrlimit(
                resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
            )

    def note_shortage(self) -> None:
        """Take note that memory ran out: nobody knows in what state that left the process."""
        self._ran_out = True

    def has_room(self) -> bool:
        """Tell whether the next photo would find the memory that it may need."""
        if self._ran_out:
            return False
        taken_bytes = address_space_bytes() - self._ready_bytes if self._beyond_bytes else 0
        return taken_bytes <= self._beyond_bytes * (1 - _ROOM_SHARE)


def address_space_bytes() -> int:
    """Return the address space of this process, on Linux."""
    return int(_STATM.read_bytes().split()[0]) * resource.getpagesize()
