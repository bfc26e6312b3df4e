"""A queue in which tenants take turns, in memory: the same order of things as in `lua/take.lua`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Turns:
    """Jobs that wait for their tenant's turn, and jobs that were handed out or put off.

    Attributes
    ----------
    waiting : dict of str to set of str
        By tenant, the jobs that wait; the oldest id is next. No tenant without any.
    rotation : list of str
        The tenants in `waiting`, in order of their turns.
    lines_up_ms : dict of str to int
        When those that are not there for others to take line up again.
    """

    waiting: dict[str, set[str]] = field(default_factory=dict)
    rotation: list[str] = field(default_factory=list)
    lines_up_ms: dict[str, int] = field(default_factory=dict)

    def enter(self, job_id: str, tenant: str) -> None:
        """Line a job up."""
        if tenant not in self.waiting:
            self.waiting[tenant] = set()
            self.rotation.append(tenant)
        self.waiting[tenant].add(job_id)

    def leave(self, job_id: str, tenant: str) -> None:
        """Forget a job."""
        self.lines_up_ms.pop(job_id, None)
        if job_id in self.waiting.get(tenant, ()):
            self.waiting[tenant].remove(job_id)
            self._leave_rotation_if_none(tenant)

    def _leave_rotation_if_none(self, tenant: str) -> None:
        if not self.waiting[tenant]:
            del self.waiting[tenant]
            self.rotation.remove(tenant)

    def take(self, limit: int, now_ms: int, lines_up_ms: int, tenant_of: Callable[[str], str | None]) -> list[str]:
        """Hand out up to `limit` jobs, of each tenant in turn."""
        for job_id in [job_id for job_id, due_ms in self.lines_up_ms.items() if due_ms <= now_ms]:
            del self.lines_up_ms[job_id]
            tenant = tenant_of(job_id)
            if tenant is not None:
                self.enter(job_id, tenant)
        given: list[str] = []
        while self.rotation and len(given) < limit:
            tenant = self.rotation[0]
            given.append(min(self.waiting[tenant]))
            self.waiting[tenant].remove(given[-1])
            self.rotation.append(self.rotation.pop(0))
            self._leave_rotation_if_none(tenant)
        self.lines_up_ms.update(dict.fromkeys(given, lines_up_ms))
        return given

    def in_turn(self) -> int:
        """Return how many jobs wait for their turn."""
        return sum(map(len, self.waiting.values()))

    def overdue(self, now_ms: int) -> int:
        """Return how many jobs line up again at the next hand-out."""
        return sum(due_ms <= now_ms for due_ms in self.lines_up_ms.values())

    def before(self, job_id: str, tenant: str) -> int | None:
        """Return after how many others a job is handed out; None if it waits for nothing."""
        if job_id in self.lines_up_ms:
            return 0
        if job_id not in self.waiting.get(tenant, ()):
            return None
        rank = sum(other < job_id for other in self.waiting[tenant])
        return sum(min(len(jobs), rank + (other != tenant)) for other, jobs in self.waiting.items())
