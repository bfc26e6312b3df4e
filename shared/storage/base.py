"""What the service asks of an object store: eleven verbs, two errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from shared.storage.post_policy import UploadForm, UploadPermit

HELD_WHOLE_BYTES: Final = 6 * 1024 * 1024
"""A file up to this long, as a phone makes them, is held in memory on its way to storage. By way of a temporary file
one of 3 MB costs twice the CPU; longer ones are few, and would take too much memory."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object in a listing: its key and its size."""

    key: str
    size_bytes: int


class ObjectStore(Protocol):
    """A flat, strongly consistent store of bytes by key.

    Every method raises `StorageUnavailable` when the store does not answer in time.
    """

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write an object, over any that was there. A file is read from where it stands."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless the key exists; tell whether it was written. One of many callers wins."""
        ...

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        """Return an object, or its first bytes.

        Raises
        ------
        ObjectMissing
            If there is no such key.
        """
        ...

    def get_part(self, key: str, start: int, n_bytes: int) -> bytes:
        """Return `n_bytes` (at least 1) of an object from `start`, fewer where it ends before; raises as `get` does."""
        ...

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces of bounded size; raise `ObjectMissing` at the first if there is none."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        ...

    def delete(self, *keys: str) -> None:
        """Delete objects, in one call if there are many; a key that is not there is no error."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, those of one folder in the order of their names.

        In which order folders come is the store's own: S3 has `a-b/` before `a/`, since it compares whole keys, and
        SeaweedFS has it after, since it walks folders.
        """
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders right below `prefix`, which ends with a slash; they have none."""
        ...

    def upload_form(self, permit: UploadPermit) -> UploadForm:
        """Return a form by which somebody without a key of the store may write this one object.

        The store is not asked; it judges the form when it is posted.
        """
        ...

    def check(self) -> None:
        """Return if the store answers."""
        ...
