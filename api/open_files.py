"""How many connections a process has files for; what it opens beside them must not fail for want of one."""

from __future__ import annotations

import logging
import resource
from typing import Final

logger = logging.getLogger(__name__)

_FILES_BESIDE: Final = 1024
"""What a process may have open beside connections: those that end, those to the stores, uploads in the spool folder."""


def room_for_connections(most: int) -> int:
    """Raise this process's limit of open files as far as it may; return how many connections it leaves room for.

    Parameters
    ----------
    most : int
        How many there are to be if the system allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FILES_BESIDE
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return most
    fewer = min(most, soft // 2)
    logger.warning("this process may open %d files alone: it holds %d connections, not %d", soft, fewer, most)
    return fewer
