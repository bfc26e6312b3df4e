"""Has what was deleted purged in time: says up to when deletions are complete, and has each store erase them.

A deletion is complete when none of its objects is left and nobody can write one any more: when every lease has run out,
and the debts are paid that it brought about. Both can be told of all deletions up to a time, without looking at each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from shared.clock import Clock, system_clock, to_ms
from shared.config import Settings
from shared.jobs.lifecycle import JobLifecycle
from shared.purges.erasers import Eraser
from shared.purges.ledger import Purge, PurgeKind, PurgeLedger
from shared.storage import layout
from shared.storage.base import ObjectStore

_REMEMBERED_LONGER_S: Final = 2 * 86_400.0
"""How much longer than a job purges are remembered: longer than the tombstones that they are read with."""


class PurgeRequests:
    """Asks for purges when there were deletions."""

    def __init__(self, jobs: JobLifecycle) -> None:
        self._jobs = jobs
        self._ledger = PurgeLedger(jobs.objects)
        settings = jobs.settings
        self._grace_ms = to_ms(
            max(settings.lease_s + settings.photo_time_limit_s, settings.delivery_lease_s, settings.fetch_lease_s)
        )
        self._known: set[str] = set()
        self._awaited_ms: list[int] = []

    def ask(self, swept_from_ms: int) -> Counter[str]:
        """Ask for a purge if one is due that nobody has asked for.

        Parameters
        ----------
        swept_from_ms : int
            When the sweep began that has just ended well: no deletion from before that is half-begun.
        """
        if not self._jobs.store.is_rebuilt():
            return Counter()  # what is owed was lost with the records
        found = {info.key for info in self._jobs.objects.list(layout.DELETED)}
        is_new = not found <= self._known
        self._known = found
        if is_new:
            self._awaited_ms.append(self._jobs.clock())
        covers_ms = self._complete_ms(swept_from_ms)
        waiting = [at_ms for at_ms in self._awaited_ms if at_ms > covers_ms]
        if len(waiting) == len(self._awaited_ms):
            return Counter()
        self._ledger.want(covers_ms)
        self._awaited_ms = waiting
        return Counter(purges_wanted=1)

    def _complete_ms(self, swept_from_ms: int) -> int:
        """Return up to when deletions are complete."""
        bounds = [swept_from_ms - self._grace_ms]
        oldest_debt_ms = self._jobs.store.oldest_cleanup_ms()
        if oldest_debt_ms is not None:
            bounds.append(oldest_debt_ms - 1)
        archive = self._jobs.archive.batches
        for tenant, batch_id in archive.tombstones():
            if archive.has_objects(tenant, batch_id):
                bounds.append((archive.deleted_ms(tenant, batch_id) or 0) - 1)
        return max(0, min(bounds))

    def forget_old(self) -> Counter[str]:
        """Forget purges of which no deletion is left to tell."""
        kept_s = self._jobs.settings.retention_s + _REMEMBERED_LONGER_S
        return +Counter(purges_forgotten=self._ledger.forget_before(self._jobs.clock() - to_ms(kept_s)))


@dataclass(slots=True)
class PurgeDuty:
    """One store's purges, no closer to each other than an interval.

    Parameters
    ----------
    objects : ObjectStore
        Where the ledger is.
    kind : PurgeKind
        Which store's purges these are.
    eraser : Eraser
        That store.
    unasked : bool
        Whether to erase also when nobody deleted a job: photos are deleted all the time, as soon as they are measured.
    """

    objects: ObjectStore
    settings: Settings
    kind: PurgeKind
    eraser: Eraser
    clock: Clock = system_clock
    unasked: bool = False
    _ledger: PurgeLedger = field(init=False)
    _covered_ms: int | None = None
    _next_ms: int = 0

    def __post_init__(self) -> None:
        self._ledger = PurgeLedger(self.objects)

    def run(self) -> Counter[str]:
        """Erase if it is time and there is something to erase; raises as the eraser does."""
        if self.clock() < self._next_ms:
            return Counter()
        wanted_ms = self._ledger.wanted_ms()
        if self._covered_ms is None:
            self._covered_ms = self._ledger.covered_ms(self.kind)
        is_wanted = wanted_ms > self._covered_ms
        if not (is_wanted or self.unasked):
            return Counter()
        self.eraser.erase()
        self._next_ms = self.clock() + to_ms(self.settings.purge_interval_s)
        if not is_wanted:
            return Counter()
        self._ledger.note(self.kind, Purge(wanted_ms, self.clock()))
        self._covered_ms = wanted_ms
        return Counter({f"{self.kind}_purged": 1})
