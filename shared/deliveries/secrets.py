"""The secrets that a tenant's deliveries are signed with: made, changed, and read by senders.

Each is an object of its own in storage, so that two changes at once cannot lose one another. A signature needs the
secret itself, so it cannot be hashed: it is protected as photos and results are, by the store's own key and network.
It is in no record, no log and no answer but the one that makes it.
"""

from __future__ import annotations

import logging
import secrets as stdlib_secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import orjson

from shared.clock import Clock, system_clock, to_ms
from shared.deliveries.store import DeliveryStore
from shared.errors import ObjectMissing, Transient, UnreadableObject
from shared.signing import check_secret, new_secret
from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

SECRETS: Final = "webhook-secrets/"
OVERLAP_S: Final = 86_400.0
"""How long a secret stays valid beside the one that took its place."""
_MAX_FORMER: Final = 3
"""Signatures beside the newest: a header may not grow with whoever asks again and again."""
_CACHED_S: Final = 10.0
"""How long senders go without looking, should they not have heard of a change."""
_TIME_DIGITS: Final = 13
_NEVER_SHOWN: Final = "0" * _TIME_DIGITS + "-never-shown"
"""The key's end of a secret that the service made for itself: it sorts before all others."""


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One secret of a tenant.

    Attributes
    ----------
    created_ms : int
        When it was made; 0 for one that nobody was shown.
    """

    created_ms: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecretAges:
    """What may be told of the secrets of a tenant.

    Attributes
    ----------
    former_until_ms : int or None
        Until when deliveries are signed with the former secret too; None when they are not.
    """

    created_ms: int
    former_until_ms: int | None


@dataclass(frozen=True, slots=True)
class _Cached:
    version: str
    until_ms: int
    found: tuple[WebhookSecret, ...]


class WebhookSecrets:
    """The secrets of all tenants. Safe to share between threads."""

    def __init__(self, objects: ObjectStore, store: DeliveryStore, clock: Clock = system_clock) -> None:
        self._objects = objects
        self._store = store
        self._clock = clock
        self._cache: dict[str, _Cached] = {}
        self._lock = threading.Lock()

    def rotate(self, tenant: str) -> tuple[WebhookSecret, SecretAges]:
        """Make a new secret; each of those before is valid until a day after the next one was made.

        So whoever asks twice, since the first answer was lost, does not end the secret that its receivers have.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If there is no new one.
        """
        self._store.renew_secrets_version(tenant)  # first of all: not later, when the new one is there already
        before = self._stored(tenant)
        newest_ms = max((secret.created_ms for secret in before.values()), default=0)
        made = WebhookSecret(max(self._clock(), newest_ms + 1), new_secret())  # the newest, whatever the clocks say
        key = f"{SECRETS}{tenant}/{made.created_ms:0{_TIME_DIGITS}d}-{stdlib_secrets.token_hex(8)}"
        try:
            self._objects.put(key, orjson.dumps({"secret": made.text}), content_type="application/json")
        except Transient:
            with suppress(Transient):  # it may have been written, and nobody will see it
                self._objects.delete(key)
            raise
        with suppress(Transient):
            self._store.renew_secrets_version(tenant)
            valid = self._valid([made, *before.values()])
            for old, secret in before.items():
                if secret not in valid:
                    self._objects.delete(old)
        return made, self._ages([made, *before.values()])

    def forget_old(self) -> int:
        """Delete those of all tenants that sign nothing any more; return how many."""
        forgotten = 0
        for tenant in list(self._objects.folders(SECRETS)):
            with suppress(UnreadableObject):  # it is told of when it is to sign
                stored = self._stored(tenant)
                valid = self._valid(list(stored.values()))
                old = [key for key, secret in stored.items() if secret not in valid]
                for key in old:
                    self._objects.delete(key)
                forgotten += len(old)
        return forgotten

    def ages(self, tenant: str) -> SecretAges | None:
        """Return how old the secrets of a tenant are; None if none was ever shown."""
        found = list(self._stored(tenant).values())
        return self._ages(found) if found and found[0].created_ms else None

    def _ages(self, newest_first: list[WebhookSecret]) -> SecretAges:
        created_ms = newest_first[0].created_ms
        former_until_ms = created_ms + to_ms(OVERLAP_S)
        has_former = any(secret.created_ms for secret in newest_first[1:]) and former_until_ms > self._clock()
        return SecretAges(created_ms, former_until_ms if has_former else None)

    def signing(self, tenant: str, version: str) -> list[str]:
        """Return the secrets to sign with now, the newest first; makes one for a tenant that has none.

        Parameters
        ----------
        version : str
            As the claim has it: what was read before it changed is read anew.
        """
        now = self._clock()
        with self._lock:
            cached = self._cache.get(tenant)
        if cached is None or cached.version != version or cached.until_ms <= now:
            found = tuple(self._stored(tenant).values()) or (self._first(tenant),)
            cached = _Cached(version, now + to_ms(_CACHED_S), found)
            with self._lock:
                self._cache[tenant] = cached
        return [secret.text for secret in self._valid(list(cached.found))]

    def _valid(self, newest_first: list[WebhookSecret]) -> list[WebhookSecret]:
        """Return those to sign with now: the newest, and what it and its like have replaced within a day."""
        now = self._clock()
        former = [
            older
            for newer, older in pairwise(newest_first)
            if older.created_ms and newer.created_ms + to_ms(OVERLAP_S) > now
        ]
        return newest_first[:1] + former[:_MAX_FORMER]

    def _first(self, tenant: str) -> WebhookSecret:
        """Sign with something from the start; who wants to check asks for a secret, which then takes its place."""
        key = f"{SECRETS}{tenant}/{_NEVER_SHOWN}"
        self._objects.put_if_absent(key, orjson.dumps({"secret": new_secret()}))
        try:
            return self._read(key)
        except ObjectMissing:  # somebody asked for a secret this very moment
            return next(iter(self._stored(tenant).values()))

    def _stored(self, tenant: str) -> dict[str, WebhookSecret]:
        """Return the tenant's secrets by key, the newest first."""
        found = {}
        for key in sorted((info.key for info in self._objects.list(f"{SECRETS}{tenant}/")), reverse=True):
            with suppress(ObjectMissing):  # changed meanwhile
                found[key] = self._read(key)
        return found

    def _read(self, key: str) -> WebhookSecret:
        data = self._objects.get(key)
        try:
            text = orjson.loads(data)["secret"]
            check_secret(text)
            return WebhookSecret(int(key.rsplit("/", 1)[1][:_TIME_DIGITS]), text)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UnreadableObject(key) from None  # what it says is for nobody's log
