"""Admissions in Redis; see `AdmissionStore` for what each method does and `shared/jobs/lua/admit.lua` for how."""

from __future__ import annotations

from typing import Final

from shared.admission.limits import LimitKind, TenantLimits
from shared.admission.store import BYTES_WINDOW, PHOTOS_WINDOW, Decision, Take, Usage
from shared.clock import Clock, to_ms
from shared.jobs.redis_link import RedisLink

_ORDER: Final = (LimitKind.PHOTOS, LimitKind.JOBS, LimitKind.BYTES, LimitKind.BATCHES)
_WINDOWS: Final = tuple(part for window in (PHOTOS_WINDOW, BYTES_WINDOW) for part in (window.span_ms, window.step_ms))


class RedisAdmissionStore:
    """Shared by every process, beside the records of jobs."""

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def admit(self, tenant: str, token: str, take: Take, limits: TenantLimits, *, lease_s: float) -> Decision:
        """Take all of it for the caller, or nothing."""
        refused, retry_ms, *usage = self._link.run(
            "admit",
            *(tenant, token, self._clock(), self._in(lease_s), take.batch_id or ""),
            *(take.photos, take.jobs, take.size_bytes, take.batches),
            *(limits.of(kind) for kind in _ORDER),
            *_WINDOWS,
        )
        return Decision(_ORDER[refused - 1] if refused else None, retry_ms, Usage(*usage))

    def keep(self, tenant: str, token: str, *, lease_s: float) -> bool:
        """Hold what was taken for longer."""
        return bool(self._link.run("keep_admission", tenant, token, self._clock(), self._in(lease_s)))

    def settle(self, tenant: str, token: str, *, size_bytes: int) -> bool:
        """Say that the records of what was taken are written."""
        return bool(self._link.run("settle_admission", tenant, token, self._clock(), size_bytes))
