"""Which deletions are ready to be purged, and which purges are done; in storage, so that any process may do its part.

A purge covers every deletion up to a time. That time and when the purge ended are in its key, so that a listing tells
all; neither is anybody's secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import ObjectMissing
from shared.storage.base import ObjectStore
from shared.storage.layout import PURGES

_WANTED: Final = f"{PURGES}wanted"
_KEY: Final = re.compile(rf"{PURGES}[a-z]+/(?P<covers>\d{{15}})-(?P<ended>\d{{15}})")


class PurgeKind(StrEnum):
    """What is purged."""

    RECORDS = "records"
    """Redis and its append-only file."""
    STORAGE = "storage"
    """The object store and its volumes."""


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge that is done: of all deletions up to `covers_ms`, at `ended_ms`; both since the epoch."""

    covers_ms: int
    ended_ms: int


class PurgeLedger:
    """Reads and writes the objects below `purges/`."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def want(self, covers_ms: int) -> None:
        """Ask for a purge of each kind: nothing that was deleted up to `covers_ms` is written any more."""
        self._objects.put(_WANTED, str(covers_ms).encode())

    def wanted_ms(self) -> int:
        """Return up to when deletions are to be purged, 0 if nobody has asked yet."""
        with suppress(ObjectMissing, ValueError):
            return int(self._objects.get(_WANTED))
        return 0

    def note(self, kind: PurgeKind, purge: Purge) -> None:
        """Write down that a purge is done."""
        self._objects.put(f"{_prefix(kind)}{purge.covers_ms:015d}-{purge.ended_ms:015d}", b"")

    def done(self, kind: PurgeKind) -> Iterator[Purge]:
        """Yield the purges that are done, in order of what they cover."""
        for found in self._objects.list(_prefix(kind)):
            if parts := _KEY.fullmatch(found.key):
                yield Purge(int(parts["covers"]), int(parts["ended"]))

    def purged_ms(self, kind: PurgeKind, deleted_ms: int) -> int | None:
        """Return when what was deleted at `deleted_ms` was purged, or None if it has not been."""
        return min((purge.ended_ms for purge in self.done(kind) if purge.covers_ms >= deleted_ms), default=None)

    def covered_ms(self, kind: PurgeKind) -> int:
        """Return up to when deletions have been purged, 0 if there was no purge yet."""
        return max((purge.covers_ms for purge in self.done(kind)), default=0)

    def forget_before(self, time_ms: int) -> int:
        """Delete what is known of purges that ended before a time; return of how many."""
        forgotten = 0
        for kind in PurgeKind:
            for purge in list(self.done(kind)):
                if purge.ended_ms < time_ms:
                    self._objects.delete(f"{_prefix(kind)}{purge.covers_ms:015d}-{purge.ended_ms:015d}")
                    forgotten += 1
        return forgotten


def _prefix(kind: PurgeKind) -> str:
    return f"{PURGES}{kind}/"
