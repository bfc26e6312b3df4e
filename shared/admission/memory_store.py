"""Admissions in memory, for tests and trials; see `AdmissionStore` for what each method does."""

from __future__ import annotations

from shared.admission.limits import LimitKind, TenantLimits
from shared.admission.store import BYTES_WINDOW, NOTHING, PHOTOS_WINDOW, Decision, Take, Usage
from shared.jobs.memory_state import Held, MemoryState, atomic

_WINDOWS = {LimitKind.PHOTOS: PHOTOS_WINDOW, LimitKind.BYTES: BYTES_WINDOW}


class MemoryAdmissionStore:
    """In this process, beside the records of jobs."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    @atomic
    def admit(self, tenant: str, token: str, take: Take, limits: TenantLimits, *, lease_s: float) -> Decision:
        """Take all of it for the caller, or nothing."""
        now = self._state.clock()
        if (before := self._state.records.held[tenant].pop(token, None)) is not None:
            for kind, window in _WINDOWS.items():
                self._count(tenant, kind, window.step_at(before.at_ms), -before.take.of(kind))
        usage = self._usage(tenant)
        over = [
            kind
            for kind in LimitKind
            if limits.of(kind) and take.of(kind) and usage.of(kind) + take.of(kind) > limits.of(kind)
        ]
        if over:
            retry_ms = max(self._free_ms(tenant, kind, take.of(kind), limits.of(kind)) for kind in over)
            return Decision(over[0], retry_ms, usage)
        if take != NOTHING:
            self._state.records.held[tenant][token] = Held(take, now, self._state.after(lease_s))
            for kind, window in _WINDOWS.items():
                self._count(tenant, kind, window.step_at(now), take.of(kind), begins=True)
        return Decision(None, 0, self._usage(tenant))

    @atomic
    def keep(self, tenant: str, token: str, *, lease_s: float) -> bool:
        """Hold what was taken for longer."""
        held = self._state.records.held[tenant].get(token)
        if held is None or held.until_ms <= self._state.clock():
            return False
        held.until_ms = self._state.after(lease_s)
        return True

    @atomic
    def settle(self, tenant: str, token: str, *, size_bytes: int) -> bool:
        """Say that the records of what was taken are written."""
        held = self._state.records.held[tenant].pop(token, None)
        if held is None:
            return False
        too_many = max(0, held.take.size_bytes - size_bytes)
        self._count(tenant, LimitKind.BYTES, BYTES_WINDOW.step_at(held.at_ms), -too_many)
        return held.until_ms > self._state.clock()

    def _count(self, tenant: str, kind: LimitKind, step: int, by: int, *, begins: bool = False) -> None:
        steps = self._state.records.accepted[tenant, kind]
        if by and (begins or step in steps):
            steps[step] = steps.get(step, 0) + by

    def _counted(self, tenant: str, kind: LimitKind) -> list[tuple[int, int]]:
        """Return until when each step counts, and how much is in it, the first to end first."""
        window, now = _WINDOWS[kind], self._state.clock()
        steps = self._state.records.accepted[tenant, kind]
        for step in [step for step, amount in steps.items() if window.ends_ms(step) <= now or amount <= 0]:
            del steps[step]
        return sorted((window.ends_ms(step), amount) for step, amount in steps.items())

    def _free_ms(self, tenant: str, kind: LimitKind, asked: int, limit: int) -> int:
        """Return how long until as much is free as is asked for."""
        if kind not in _WINDOWS:
            return 0
        steps = self._counted(tenant, kind)
        left = sum(amount for _, amount in steps)
        for ends_ms, amount in steps if asked <= limit else ():
            left -= amount
            if left + asked <= limit:
                return ends_ms - self._state.clock()
        return _WINDOWS[kind].span_ms

    def _until_fewer_ms(self, tenant: str, kind: LimitKind) -> int:
        steps = self._counted(tenant, kind)
        return steps[0][0] - self._state.clock() if steps else 0

    def _usage(self, tenant: str) -> Usage:
        records, now = self._state.records, self._state.clock()
        for token in [token for token, held in records.held[tenant].items() if held.until_ms <= now]:
            del records.held[tenant][token]
        jobs = sum(
            entry.record.tenant == tenant and not entry.record.status.is_terminal for entry in records.jobs.values()
        )
        batches = sum(batch.tenant == tenant and batch.completed_ms is None for batch in records.batches.values())
        for held in records.held[tenant].values():
            batch_id = held.take.batch_id or ""
            jobs += max(0, held.take.jobs - len(records.items.get(batch_id, ())))
            batches += held.take.batches if batch_id not in records.batches else 0
        return Usage(
            photos=sum(amount for _, amount in self._counted(tenant, LimitKind.PHOTOS)),
            photos_free_ms=self._until_fewer_ms(tenant, LimitKind.PHOTOS),
            jobs=jobs,
            size_bytes=sum(amount for _, amount in self._counted(tenant, LimitKind.BYTES)),
            bytes_free_ms=self._until_fewer_ms(tenant, LimitKind.BYTES),
            batches=batches,
        )
