"""What a purge does: has a store rewrite its files without what was deleted from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from shared.config import Settings
from shared.errors import RecordsUnavailable
from shared.jobs.redis_link import RedisLink
from shared.storage.seaweedfs import Volumes

_LOOK_S: Final = 0.2
_REWRITE_LIMIT_S: Final = 300.0
"""How long Redis may take: it writes some 100 MB in a second."""
_DELETED_BY_NOW_S: Final = 5.0
"""SeaweedFS answers a deletion first and tells its volumes after: 0.8 s later, as measured."""


class Eraser(Protocol):
    """A store whose files may hold what was deleted from it."""

    def erase(self) -> None:
        """Have everything that was deleted before this call leave the store's files.

        Raises
        ------
        RecordsUnavailable, StorageUnavailable
            If that is not known to have happened.
        """
        ...


class NothingToErase:
    """A store that has no such files, or sees to them by itself."""

    def erase(self) -> None:
        """Return."""


class RedisFiles:
    """The append-only file of Redis, and its memory of slow commands, which keeps their arguments."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._link = RedisLink(settings)
        self._sleep = sleep

    def erase(self) -> None:
        """Have the file written anew from what is in memory; see `Eraser`."""
        with self._link.commands() as redis:
            redis.slowlog_reset()
            if not redis.info("persistence")["aof_enabled"]:
                return
            self._wait()  # one that is under way began before now
            redis.bgrewriteaof()
            self._wait()
            if redis.info("persistence")["aof_last_bgrewrite_status"] != "ok":
                raise RecordsUnavailable("Redis could not rewrite its append-only file")

    def _wait(self) -> None:
        until_s = time.monotonic() + _REWRITE_LIMIT_S
        while time.monotonic() < until_s:
            with self._link.commands() as redis:
                now = redis.info("persistence")
            if not (now["aof_rewrite_in_progress"] or now["aof_rewrite_scheduled"]):
                return
            self._sleep(_LOOK_S)
        raise RecordsUnavailable("Redis did not finish rewriting its append-only file")


class SeaweedFiles:
    """The volumes of SeaweedFS."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._volumes = Volumes(settings)
        self._sleep = sleep

    def erase(self) -> None:
        """Have the volumes written anew that something was deleted from; see `Eraser`."""
        self._sleep(_DELETED_BY_NOW_S)
        self._volumes.vacuum()
