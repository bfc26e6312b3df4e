"""The photos that are to be fetched, in memory, for tests and trials; see `FetchStore` for what each method does."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from shared.fetches.store import FetchClaim, FetchLimits
from shared.jobs.memory_state import Entry, MemoryState, Pending, atomic
from shared.jobs.record import JobRecord


class MemoryFetchStore:
    """In this process, beside the records of jobs."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    @atomic
    def claim(self, limits: FetchLimits, *, lease_s: float) -> FetchClaim | None:
        """Give a photo that is due to the caller, or None."""
        now, records = self._state.clock(), self._state.records
        waiting = list(self._pending())
        for _, pending in waiting:
            if pending.token and pending.lease_until_ms <= now:
                pending.token, pending.due_ms, pending.lost, pending.is_first = None, now, pending.lost + 1, False
        flying = [entry.record for entry, pending in waiting if pending.token]
        free = [
            (entry, pending)
            for entry, pending in waiting
            if not pending.token
            and pending.due_ms <= now
            and not self._is_cancelled(entry)
            and sum(_source(other) == _source(entry.record) for other in flying) < limits.per_receiver
            and sum(other.tenant == entry.record.tenant for other in flying) < limits.per_tenant
            and sum(_receiver(other) == _receiver(entry.record) for other in flying) < limits.per_receiver_all
        ]
        if not free:
            return None
        turns = records.fetch_turns
        entry, pending = min(
            free,
            key=lambda found: (
                (turns[found[0].record.tenant, ""], found[0].record.tenant),
                (turns[_lane(found[0].record)], _lane(found[0].record)),
                (found[1].due_ms, found[0].record.id),
            ),
        )
        records.fetch_turn += 1
        turns[entry.record.tenant, ""] = turns[_lane(entry.record)] = records.fetch_turn
        pending.token, pending.lease_until_ms = secrets.token_hex(16), self._state.after(lease_s)
        return FetchClaim(entry.record, pending.token, pending.step, pending.lost, pending.is_first)

    def _pending(self) -> Iterator[tuple[Entry, Pending]]:
        for entry in self._state.records.jobs.values():
            if entry.pending is not None:
                yield entry, entry.pending

    def _is_cancelled(self, entry: Entry) -> bool:
        batch = self._state.records.batches.get(entry.record.batch_id or "")
        return batch is not None and batch.cancelled_ms is not None

    def _held(self, claim: FetchClaim) -> Pending | None:
        entry = self._state.records.jobs.get(claim.record.id)
        pending = entry.pending if entry else None
        return pending if pending and pending.token == claim.token else None

    @atomic
    def renew(self, claim: FetchClaim, *, lease_s: float) -> bool:
        """Let the lease begin anew."""
        pending = self._held(claim)
        if pending is not None:
            pending.lease_until_ms = self._state.after(lease_s)
        return pending is not None

    @atomic
    def put_off(self, claim: FetchClaim, *, due_ms: int, step: int) -> bool:
        """Take a claim back; the photo is due again at a time."""
        pending = self._held(claim)
        if pending is not None:
            pending.token, pending.due_ms, pending.step, pending.is_first = None, due_ms, step, False
        return pending is not None


def _receiver(record: JobRecord) -> str:
    return record.fetch.receiver if record.fetch else ""


def _source(record: JobRecord) -> tuple[str, str]:
    return record.tenant, _receiver(record)


def _lane(record: JobRecord) -> tuple[str, str]:
    tenant, receiver = _source(record)
    return tenant, receiver if record.queue.takes_turns else f"{receiver}|single"
