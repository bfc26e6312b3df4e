"""Notices a store that stays shut once its disk has room again.

SeaweedFS' index keeps the error of a write that found the disk full, for an eighth of all folders, and answers with it
until it is started again. Its volumes open by themselves, but only a minute later.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

from shared.errors import StorageUnavailable
from shared.storage import layout
from shared.storage.base import ObjectStore

LOOK_EVERY_S: Final = 1.0
"""How often to look; a disk that was full for less was hardly noticed by anybody."""
ROOM_BYTES: Final = 8_000_000
"""A disk with less is full."""
_TRY_EVERY_S: Final = 5.0
_SHUT_FOR_S: Final = 20.0
"""How long writes may fail although there is room. A restart takes three seconds."""
_STARTS_WITHIN_S: Final = 60.0
_INDEX_PARTS: Final = 8
"""Parts of the index of folders; which one a folder is in follows from its name."""


class FullDisk:
    """Looks after the disk that a store writes to, and tries the store once there was no room for a while.

    Parameters
    ----------
    folder : Path
        Where the store keeps its files.
    bucket : str
        The bucket whose folders are tried.
    connect : callable
        Makes the door to the store, the first time that it is needed.
    clock_s : callable
        Returns seconds that only ever grow.
    """

    def __init__(
        self,
        folder: Path,
        bucket: str,
        connect: Callable[[], ObjectStore],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._bucket = bucket
        self._connect = connect
        self._clock_s = clock_s
        self._was_full = False
        self._next_s = self._shut_since_s = 0.0

    @cached_property
    def _objects(self) -> ObjectStore:
        return self._connect()

    def store_is_shut(self) -> bool:
        """Tell whether the store must be started again; to be asked every `LOOK_EVERY_S`."""
        now_s = self._clock_s()
        if shutil.disk_usage(self._folder).free < ROOM_BYTES:
            self._was_full, self._next_s, self._shut_since_s = True, now_s, now_s
        elif self._was_full and now_s >= self._next_s:
            self._next_s = now_s + _TRY_EVERY_S
            self._was_full = not self._takes_writes()
            if self._was_full and now_s - self._shut_since_s >= _SHUT_FOR_S:
                self._next_s = self._shut_since_s = now_s + _STARTS_WITHIN_S
                return True
        return False

    def _takes_writes(self) -> bool:
        try:
            for key in trial_keys(self._bucket):
                self._objects.put(key, b"x")
                self._objects.delete(key)
        except StorageUnavailable:
            return False
        return True


def trial_keys(bucket: str) -> Iterator[str]:
    """Yield a key in a folder of each part of the index."""
    found = set()
    for number in itertools.count():
        folder = f"{layout.TRIALS}{number}"
        part = hashlib.md5(f"/buckets/{bucket}/{folder}".encode(), usedforsecurity=False).digest()[-1] % _INDEX_PARTS
        if part not in found:
            found.add(part)
            yield f"{folder}/x"
        if len(found) == _INDEX_PARTS:
            return
