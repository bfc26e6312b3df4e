"""What has ended and is to be told to a receiver; how it is told is somebody else's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Announcement:
    """A job or batch that ended and whose client asked to be told: a debt until somebody owes it durably."""

    tenant: str
    object_id: str


class Announcer(Protocol):
    """Sees to it that receivers hear of what ended."""

    def announce(self, announcement: Announcement) -> None:
        """Owe the receiver every end there has been, each once however often this is called.

        Nothing is owed of a batch that is open again: when it ends, that is another announcement.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If it is not known to be owed; whoever calls does so again.
        UnreadableObject
            If storage holds what this service does not write.
        """
        ...

    def forget_about(self, tenant: str, object_id: str) -> None:
        """Forget what was told and what is still to be told of a job, or of a batch and its items.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If that is not done; whoever calls does so again.
        """
        ...


class Silence:
    """Tells nobody anything."""

    def announce(self, _: Announcement) -> None:
        """Count everything as told."""

    def forget_about(self, tenant: str, object_id: str) -> None:
        """Do nothing: nothing is known."""
