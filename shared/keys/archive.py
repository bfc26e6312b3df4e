"""Keys in object storage, and nowhere else: what Redis loses are no keys.

| object | meaning |
|---|---|
| `keys/{key}/made` | the key: tenant, name, hash of the secret, times; written once |
| `keys/{key}/expires-{ms}` | it ends then, or earlier; the earliest of all that are there counts |
| `keys/{key}/revoked-{ms}` | it is revoked |

No object is ever written again. Were a key one object, to be read and rewritten, a revocation would be lost to a change
of the expiry that was read before it and written after it; objects beside each other cannot undo one another. And one
listing tells all that can change of all keys, so that only new ones are read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from shared.errors import ObjectMissing, UnreadableObject
from shared.keys.record import ApiKey
from shared.keys.token import KEY_ID_PATTERN
from shared.names import is_tenant
from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

KEYS: Final = "keys/"
_TIME_DIGITS: Final = 13
_OBJECT: Final = re.compile(
    rf"{KEYS}(?P<key>{KEY_ID_PATTERN.pattern})/(?:made|(?P<kind>expires|revoked)-(?P<time>\d{{{_TIME_DIGITS}}}))"
)
_SHA256: Final = re.compile("[0-9a-f]{64}")

Keys = Mapping[str, ApiKey | None]
"""By id; None where a key is there that cannot be read, which opens nothing."""


@dataclass(slots=True)
class _Marks:
    expires_ms: int | None = None
    revoked_ms: int | None = None

    def add(self, kind: str, time_ms: int) -> None:
        if kind == "revoked":
            self.revoked_ms = _earlier(self.revoked_ms, time_ms)
        else:
            self.expires_ms = _earlier(self.expires_ms, time_ms)


class KeyArchive:
    """All keys of a service. Every method raises `StorageUnavailable` when storage does not answer."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def create(self, key: ApiKey) -> None:
        """Write a new key."""
        body = {
            "tenant": key.tenant,
            "name": key.name,
            "secret_sha256": key.secret_sha256,
            "created_ms": key.created_ms,
            "expires_ms": key.expires_ms,
        }
        self._objects.put_if_absent(_made(key.id), orjson.dumps(body))

    def revoke(self, key_id: str, at_ms: int) -> bool:
        """End a key for good; False if there is none. It stays listed: a door that had keys stays closed."""
        return self._mark(key_id, "revoked", at_ms)

    def expire(self, key_id: str, at_ms: int) -> bool:
        """Have a key end at a time; False if there is none. An end that is set can be brought forward, not put off."""
        return self._mark(key_id, "expires", at_ms)

    def _mark(self, key_id: str, kind: str, at_ms: int) -> bool:
        if KEY_ID_PATTERN.fullmatch(key_id) is None or not self._objects.exists(_made(key_id)):
            return False
        self._objects.put_if_absent(f"{KEYS}{key_id}/{kind}-{at_ms:0{_TIME_DIGITS}d}", b"")
        return True

    def any(self) -> bool:
        """Tell whether there is any key, be it revoked or expired."""
        return next(iter(self._objects.list(KEYS)), None) is not None

    def all(self, known: Keys | None = None) -> Keys:
        """Return every key, those that do not open anything any more too.

        Parameters
        ----------
        known : mapping or None
            What this returned before: of these only what can change is looked at.
        """
        found: dict[str, _Marks] = {}
        for key_id, kind, time_ms in self._listed():
            marks = found.setdefault(key_id, _Marks())
            if kind:
                marks.add(kind, time_ms)
        return {key_id: self._with_marks(key_id, marks, (known or {}).get(key_id)) for key_id, marks in found.items()}

    def _listed(self) -> Iterator[tuple[str, str, int]]:
        for info in self._objects.list(KEYS):
            parts = _OBJECT.fullmatch(info.key)
            if parts is None:  # of a later version, perhaps; whatever it is, somebody meant to close the door
                yield info.key, "", 0
            else:
                yield parts["key"], parts["kind"] or "", int(parts["time"] or 0)

    def _with_marks(self, key_id: str, marks: _Marks, known: ApiKey | None) -> ApiKey | None:
        try:
            key = known or self._read(key_id)
        except (ObjectMissing, UnreadableObject) as error:
            logger.error("the API key %s cannot be read and opens nothing: %s", key_id, type(error).__name__)  # noqa: TRY400
            return None
        # What is known has the marks of before already, and an earlier one counts.
        return replace(
            key,
            expires_ms=_earlier(key.expires_ms, marks.expires_ms),
            revoked_ms=_earlier(key.revoked_ms, marks.revoked_ms),
        )

    def _read(self, key_id: str) -> ApiKey:
        data = self._objects.get(_made(key_id))
        try:
            body = orjson.loads(data)
            key = ApiKey(
                id=key_id,
                tenant=str(body["tenant"]),
                name=str(body["name"]),
                secret_sha256=str(body["secret_sha256"]),
                created_ms=int(body["created_ms"]),
                expires_ms=None if body["expires_ms"] is None else int(body["expires_ms"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(_made(key_id)) from error
        if not is_tenant(key.tenant) or _SHA256.fullmatch(key.secret_sha256) is None:
            raise UnreadableObject(_made(key_id))
        return key


def _made(key_id: str) -> str:
    return f"{KEYS}{key_id}/made"


def _earlier(one_ms: int | None, other_ms: int | None) -> int | None:
    return min((time_ms for time_ms in (one_ms, other_ms) if time_ms is not None), default=None)
