"""A store that stood still: what was given up is written once what came later is answered."""

from __future__ import annotations

from typing import BinaryIO

from shared.errors import StorageUnavailable
from shared.storage.memory import MemoryObjectStore


class WritesLate(MemoryObjectStore):
    """Gives up on one write, and does it all the same once a deletion that came later is answered."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix: str | None = prefix
        self._late: tuple[str, bytes] | None = None

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        if self._prefix is None or not key.startswith(self._prefix):
            super().put(key, body, content_type=content_type)
            return
        self._prefix, self._late = None, (key, body if isinstance(body, bytes) else body.read())
        raise StorageUnavailable(key)

    def delete(self, *keys: str) -> None:
        super().delete(*keys)
        if self._late and self._late[0] in keys:
            late, self._late = self._late, None
            super().put(*late)
