"""The index of idempotency keys in Redis."""

from __future__ import annotations

from shared.clock import Clock, to_ms
from shared.errors import RecordsRebuilding
from shared.jobs.idempotency import KeyMark, KeySlot, KnownRequest, Reservation
from shared.jobs.redis_link import RedisLink

_KNOWN = "known"
_REBUILDING = "rebuilding"


def _name(slot: KeySlot) -> str:
    return f"{slot.tenant}:{slot.key_hash}"


class RedisIdempotencyIndex:
    """Idempotency keys, shared by every process; see `IdempotencyIndex` for what each method does."""

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    def reserve(self, slot: KeySlot, token: str, *, lock_s: float) -> Reservation | KnownRequest:
        """Hold a key unless it is known or held."""
        now = self._clock()
        answer: list[bytes] = self._link.run("reserve_key", _name(slot), now, token, now + to_ms(lock_s))
        state, *known = [part.decode() for part in answer]
        if state == _REBUILDING:
            raise RecordsRebuilding("idempotency keys are being rebuilt from storage")
        return KnownRequest(*known) if state == _KNOWN else Reservation(state)

    def confirm(self, mark: KeyMark, object_id: str, *, until_ms: int) -> bool:
        """Note what the key was used for, if nobody else has it."""
        return bool(self._note("confirm_key", mark, object_id, until_ms))

    def release(self, slot: KeySlot, token: str) -> None:
        """Forget whatever the holder of `token` noted under the key."""
        self._link.run("release_key", _name(slot), token)

    def restore(self, mark: KeyMark, object_id: str, *, until_ms: int) -> None:
        """Note what a key was used for by what storage says."""
        self._note("restore_key", mark, object_id, until_ms)

    def _note(self, script: str, mark: KeyMark, object_id: str, until_ms: int) -> int:
        name, now = _name(mark.slot), self._clock()
        return int(self._link.run(script, name, now, mark.token, until_ms, object_id, mark.fingerprint))

    def forget(self, object_id: str) -> None:
        """Forget the key that an object was made under."""
        self._link.run("forget_key", object_id)
