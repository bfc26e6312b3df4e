"""The index of idempotency keys in memory, for tests and trials; it keeps the same contract as that in Redis."""

from __future__ import annotations

from shared.clock import to_ms
from shared.errors import RecordsRebuilding
from shared.jobs.idempotency import KeyMark, KeySlot, KnownRequest, Reservation
from shared.jobs.memory_state import KeyEntry, MemoryState, atomic


class MemoryIdempotencyIndex:
    """Idempotency keys in this process; see `IdempotencyIndex` for what each method does."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def _held(self, slot: KeySlot) -> KeyEntry | None:
        entry = self._state.records.keys.get(slot)
        return entry if entry and entry.until_ms > self._state.clock() else None

    @atomic
    def reserve(self, slot: KeySlot, token: str, *, lock_s: float) -> Reservation | KnownRequest:
        """Hold a key unless it is known or held."""
        if not self._state.records.rebuilt:
            raise RecordsRebuilding("idempotency keys are being rebuilt from storage")
        held = self._held(slot)
        if held and held.known:
            return held.known
        if held and held.token != token:
            return Reservation.IN_FLIGHT
        self._state.records.keys[slot] = KeyEntry(token, self._state.clock() + to_ms(lock_s))
        return Reservation.RESERVED

    @atomic
    def confirm(self, mark: KeyMark, object_id: str, *, until_ms: int) -> bool:
        """Note what the key was used for, if nobody else has it."""
        held = self._held(mark.slot)
        if held and (held.known.object_id != object_id if held.known else held.token != mark.token):
            return False
        self._note(mark, object_id, until_ms)
        return True

    @atomic
    def release(self, slot: KeySlot, token: str) -> None:
        """Forget whatever the holder of `token` noted under the key."""
        entry = self._state.records.keys.get(slot)
        if entry and entry.token == token:
            del self._state.records.keys[slot]

    @atomic
    def restore(self, mark: KeyMark, object_id: str, *, until_ms: int) -> None:
        """Note what a key was used for by what storage says."""
        held = self._held(mark.slot)
        if not (held and held.known and (held.token or held.known.object_id >= object_id)):
            self._note(mark, object_id, until_ms)

    def _note(self, mark: KeyMark, object_id: str, until_ms: int) -> None:
        known = KnownRequest(object_id, mark.fingerprint)
        self._state.records.keys[mark.slot] = KeyEntry(mark.token, until_ms, known)

    @atomic
    def forget(self, object_id: str) -> None:
        """Forget the key that an object was made under."""
        self._state.forget_key(object_id)
