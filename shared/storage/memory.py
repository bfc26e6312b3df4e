"""An object store in memory, for tests and trials; it keeps the same contract as the real one."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, Final

import orjson

from shared.errors import ObjectMissing, StorageUnavailable
from shared.storage.base import ObjectInfo
from shared.storage.post_policy import Signer, UploadForm, UploadPermit

_CHUNK_BYTES: Final = 1000
"""Small, so that tests see pieces."""
_SIGNER: Final = Signer("memory://objects", "objects", "memory", "an id", "a key")


class MemoryObjectStore:
    """Objects in a dictionary.

    Attributes
    ----------
    away : bool
        Set to make every call raise `StorageUnavailable`, as a stopped store would.
    """

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self.away = False

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write an object; `content_type` has no meaning in memory."""
        del content_type
        self.check()
        data = body if isinstance(body, bytes) else body.read()
        with self._lock:
            self._objects[key] = data

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless the key exists; tell whether it was written."""
        self.check()
        with self._lock:
            if key in self._objects:
                return False
            self._objects[key] = body
            return True

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        """Return an object or its first bytes; raise `ObjectMissing` if there is none."""
        self.check()
        try:
            return self._objects[key][:first_bytes]
        except KeyError:
            raise ObjectMissing(key) from None

    def get_part(self, key: str, start: int, n_bytes: int) -> bytes:
        """Return a part of an object; raise `ObjectMissing` if there is none."""
        return self.get(key)[start : start + n_bytes]

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces; raise `ObjectMissing` if there is none."""
        data = self.get(key)
        for start in range(0, len(data), _CHUNK_BYTES):
            yield data[start : start + _CHUNK_BYTES]

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        self.check()
        return key in self._objects

    def delete(self, *keys: str) -> None:
        """Delete objects, those that are there."""
        self.check()
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, folder by folder as SeaweedFS does, and not as S3 does."""
        self.check()
        with self._lock:
            found = [(key, len(data)) for key, data in self._objects.items() if key.startswith(prefix)]
        yield from (ObjectInfo(key, size) for key, size in sorted(found, key=lambda entry: entry[0].split("/")))

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders right below `prefix`."""
        self.check()
        with self._lock:
            below = (key.removeprefix(prefix) for key in self._objects if key.startswith(prefix))
            found = {name for name, slash, _ in (rest.partition("/") for rest in below) if slash}
        yield from sorted(found)

    def upload_form(self, permit: UploadPermit) -> UploadForm:
        """Return a form that `post` takes."""
        return _SIGNER.form(permit)

    def post(self, fields: Mapping[str, str], body: bytes) -> bool:
        """Take what somebody posts by a form, as a store does; tell whether the form allows it."""
        self.check()
        sent = {name: value for name, value in fields.items() if name not in {"policy", "x-amz-signature"}}
        try:
            signed_at = datetime.strptime(fields["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            signature = _SIGNER.signature(fields["policy"], signed_at)
            policy = orjson.loads(base64.b64decode(fields["policy"]))
        except (KeyError, ValueError):
            return False
        *equal, (_, least_bytes, most_bytes) = policy["conditions"]
        allowed = {name: value for condition in equal for name, value in condition.items() if name != "bucket"}
        is_allowed = (
            signature == fields.get("x-amz-signature")
            and datetime.now(UTC) < datetime.fromisoformat(policy["expiration"])
            and sent == allowed
            and least_bytes <= len(body) <= most_bytes
        )
        if is_allowed:
            self.put(fields["key"], body)
        return is_allowed

    def check(self) -> None:
        """Return if the store is not set to be away."""
        if self.away:
            message = "the store in memory is set to be away"
            raise StorageUnavailable(message)
