"""The keys as one process knows them: asked at every request, read from storage every few seconds.

The last keys that were read stay in force while storage is away, but not for long: a key may be revoked meanwhile. A
process that has not read them yet lets nobody in.
"""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.clock import Clock, system_clock
from shared.errors import KeyRefused, KeysUnavailable, Transient
from shared.keys.archive import KeyArchive, Keys
from shared.keys.record import KeyState
from shared.keys.token import new_token, read_token
from shared.names import LOCAL_TENANT

logger = logging.getLogger(__name__)

_SEEK_PAUSE_S: Final = 1.0
"""A key that is not known may be new; but whoever makes keys up must not make this process list without a pause."""
_PATIENCE_S: Final = 2.0
"""How long a request waits for storage to answer before it goes by the keys that were read last."""


@dataclass(frozen=True, slots=True)
class _Ring:
    keys: Keys
    read_at_s: float


class Keyring:
    """Whom a key lets in. Safe to share between threads; build one in each process.

    Parameters
    ----------
    refresh_s : float
        How old what is known of the keys may be while storage answers.
    max_age_s : float
        And how old while it does not.
    monotonic : callable
        The time in seconds by which these are judged: a clock that is set must not keep a revoked key alive.
    """

    def __init__(
        self,
        archive: KeyArchive,
        *,
        refresh_s: float,
        max_age_s: float,
        clock: Clock = system_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._refresh_s = refresh_s
        self._max_age_s = max_age_s
        self._clock = clock
        self._monotonic = monotonic
        self._ring: _Ring | None = None
        self._tried_at_s = float("-inf")
        self._done = threading.Event()
        self._done.set()
        self._lock = threading.Lock()
        self._nobodys = new_token().secret_sha256
        """What the secret of a key that is not there is compared with, so that its refusal takes as long."""

    @property
    def is_open(self) -> bool:
        """Whether there are no keys, as far as is known now; nothing is read."""
        return self._ring is not None and not self._ring.keys

    def tenant_of(self, text: str | None) -> str:
        """Return whom a key lets in; `local` for none where there are no keys.

        Raises
        ------
        KeyRefused
            If it lets nobody in: missing, malformed, unknown, revoked or expired. Which of these is not told.
        KeysUnavailable
            If it is not known which keys there are.
        """
        ring = self._current(self._refresh_s)
        token = None if text is None else read_token(text)
        if token is not None and ring.keys.get(token.key_id) is None:
            ring = self._current(_SEEK_PAUSE_S)
        if text is None and not ring.keys:
            return LOCAL_TENANT
        if token is None:
            raise KeyRefused
        key = ring.keys.get(token.key_id)
        expected = self._nobodys if key is None else key.secret_sha256
        is_right = hmac.compare_digest(token.secret_sha256, expected)
        if key is None or not is_right or key.state(self._clock()) is not KeyState.ACTIVE:
            raise KeyRefused
        return key.tenant

    def _current(self, at_most_s: float) -> _Ring:
        """Return the keys, read anew if that was longer ago, unless storage is away or was asked a moment ago."""
        began_s = self._begin_if_older(at_most_s)
        if began_s is not None:
            self._done.wait(max(0.0, began_s + _PATIENCE_S - self._monotonic()))
        ring = self._ring
        if ring is None or self._monotonic() - ring.read_at_s > self._max_age_s:
            message = "the API keys cannot be read"
            raise KeysUnavailable(message)
        return ring

    def _begin_if_older(self, at_most_s: float) -> float | None:
        """Have the keys read if need be; return when reading them began if that is to be waited for."""
        now_s = self._monotonic()
        with self._lock:
            if self._ring is not None and now_s - self._ring.read_at_s < at_most_s:
                return None
            pause_s = min(at_most_s, self._refresh_s) if self._ring else 0.0
            if self._done.is_set() and now_s - self._tried_at_s >= pause_s:
                self._tried_at_s = now_s
                self._done.clear()
                # On a thread of its own: the store's time-outs are longer than a client's patience.
                threading.Thread(target=self._read, args=(now_s,), name="keys", daemon=True).start()
            return self._tried_at_s

    def _read(self, began_s: float) -> None:
        former = self._ring
        try:
            keys = self._archive.all(former.keys if former else None)
            if former and former.keys and not keys:
                logger.error("every API key is gone from storage; the door stays closed")
                keys = dict.fromkeys(former.keys)
            # As old as its beginning: what was revoked while it was listed may not be in it.
            self._ring = _Ring(keys, began_s)
        except Transient as error:
            logger.warning("the API keys cannot be read: %s", error)
        finally:
            self._done.set()
