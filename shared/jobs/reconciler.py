"""What brings every accepted photo to an end, whatever was lost: doorbells, leases, records, debts, expiry.

Every step may be done twice or by several reconcilers at once: each goes through the same atomic moves as everyone.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from shared.clock import to_ms
from shared.errors import FacefitError, QueueUnavailable, UnreadableObject
from shared.jobs.archive import Traces
from shared.jobs.batch_upkeep import BatchUpkeep
from shared.jobs.batches import BatchLifecycle
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.replays import restore_key_of_job
from shared.jobs.store import Cleanup, CleanupKind
from shared.names import QueueName, job_id_time
from shared.observability import about
from shared.schemas import JobStatus
from shared.storage import layout

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 500
"""Jobs handled of a kind in one round, so that no kind starves another."""
_HALF_DONE_S: Final = 3600.0
"""How old objects must be before they count as left behind, and not as a submission in the middle."""
_TOMBSTONE_EXTRA_S: Final = 86_400.0
"""How much longer than the job itself a tombstone is kept."""


class Reconciler:
    """Compares what is with what was promised, and mends the difference.

    Parameters
    ----------
    hands : int
        Jobs that are compared with storage at once.

    Attributes
    ----------
    batches : BatchUpkeep
        The part of it that looks after batches as a whole.
    """

    def __init__(self, jobs: JobLifecycle, hands: int = 1) -> None:
        self._jobs = jobs
        self._hands = hands
        self._store = jobs.store
        self._archive = jobs.archive
        self._settings = jobs.settings
        self._lineage: str | None = None
        self.batches = BatchUpkeep(BatchLifecycle(jobs))

    def round(self) -> Counter[str]:
        """Do all that is due now, a rebuild included; return how much of each kind was done."""
        return self.rebuild_if_lost() + self.due() + self.batches.due()

    def due(self) -> Counter[str]:
        """Expire, pay debts, return leases, ring: what must not wait for anything longer.

        First what makes room, and each whatever became of the others: a Redis that is full refuses the rest.

        Raises
        ------
        FacefitError
            The first of what went wrong, once all is tried.
        """
        steps: tuple[Callable[[], Counter[str]], ...] = (
            lambda: Counter(expired=self._expire()),
            self._jobs.debts.pay_due,
            lambda: Counter(leases=self._return_leases()),
            *(partial(self._ring, queue) for queue in QueueName),
        )
        done: Counter[str] = Counter()
        troubles: list[FacefitError] = []
        for step in steps:
            try:
                done += step()
            except FacefitError as error:
                troubles.append(error)
        if troubles:
            raise troubles[0]
        return +done

    def _ring(self, queue: QueueName) -> Counter[str]:
        return Counter(rung=self._ring_due(queue))

    def rebuild_if_lost(self) -> Counter[str]:
        """If the records were lost, make every one that storage knows of; then say that they are complete."""
        if self._store.is_rebuilt():
            return Counter()
        token = self._store.begin_rebuild()
        logger.warning("rebuilding the records of jobs from storage")
        # Records of items need that of their batch; those that no outcome tells of are made from the manifests.
        done = self.batches.restore_heads()
        done += self._mend_all(self._archive.survey())
        done += self.batches.restore_items()
        if not self._store.end_rebuild(token):
            logger.warning("records were lost again during the rebuild; it starts anew")
        return done

    def audit(self) -> Counter[str]:
        """Compare everything in storage with the records, as after a loss, and mend what differs."""
        tombstones_for_s = self._settings.retention_s + _TOMBSTONE_EXTRA_S
        done = self.batches.restore_heads()
        done += self._mend_all(self._archive.survey())
        return done + self.batches.audit(tombstones_for_s=tombstones_for_s)

    def audit_if_another_goes_on(self, beside: Callable[[], Counter[str]] = Counter) -> Counter[str]:
        """Audit if the server of the records is not the one it was: changes that it had said yes to may be lost.

        A job that was accepted and ended in that moment has no photo any more that a sweep would find.

        Parameters
        ----------
        beside : callable
            Does the same for other records that are kept there.
        """
        lineage, former = self._store.lineage(), self._lineage
        if former in {None, lineage}:
            self._lineage = lineage
            return Counter()
        logger.warning("another server of the records goes on, or a restarted one; what it may lack is looked for")
        done = self.audit() + beside()
        self._lineage = lineage
        return done

    def sweep(self) -> Counter[str]:
        """Look for what an API left half-done that died: photos without a record, records with a tombstone."""
        done = self.batches.sweep()
        for owners in _in_parts(self._archive.owners(layout.UPLOADS)):
            lost = self._store.missing(list(owners))
            done += self._mend_all(self._archive.traces(owners[job_id], job_id) for job_id in lost)
        done += self._sweep_tickets()
        done += self._sweep_items()
        for owners in _in_parts(self._archive.owners(layout.DELETED)):
            undead = owners.keys() - set(self._store.missing(list(owners)))
            done += self._mend_all(self._archive.traces(owners[job_id], job_id) for job_id in sorted(undead))
        return done

    def _sweep_tickets(self) -> Counter[str]:
        """Look for photos to be fetched that have no record; delete tickets of those that nobody waits for any more."""
        done: Counter[str] = Counter()
        for owners in _in_parts(self._archive.owners(layout.TICKETS)):
            lost = set(self._store.missing(list(owners)))
            done += self._mend_all(self._archive.traces(owners[job_id], job_id) for job_id in sorted(lost))
            for job_id in owners.keys() - lost:
                record = self._store.get(job_id)
                if record is not None and record.status is not JobStatus.AWAITING_UPLOAD:
                    self._jobs.debts.tear_up(owners[job_id], job_id)
                    done["tickets_deleted"] += 1
        return done

    def _sweep_items(self) -> Counter[str]:
        """Delete photos of batches that were never accepted, and such as nobody waits for any more.

        Those of one in the making are left alone.
        """
        done: Counter[str] = Counter()
        accepted: dict[str, bool] = {}
        uploaded: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for tenant, job_id, batch_id in self._archive.item_uploads():
            uploaded[tenant, batch_id].add(job_id)
            if not self._is_older_than(job_id, _HALF_DONE_S):
                continue
            if batch_id not in accepted:
                accepted[batch_id] = self._archive.batches.exists(tenant, batch_id)
            if not accepted[batch_id]:
                self._archive.purge(tenant, job_id, batch_id)
                done["orphans_deleted"] += 1
        for (tenant, batch_id), job_ids in uploaded.items():
            done["uploads_deleted"] += self.batches.delete_late_uploads(tenant, batch_id, job_ids)
        return +done

    def _mend_all(self, surveyed: Iterable[Traces]) -> Counter[str]:
        """Set jobs right; most of the time goes by waiting for storage, so several wait at once."""
        rest = iter(surveyed)
        done: Counter[str] = Counter()
        with ThreadPoolExecutor(self._hands, thread_name_prefix="mend") as pool:
            while part := list(itertools.islice(rest, _AT_ONCE)):
                # One after the other where there is one hand: tests replay what they find.
                done.update(map(self._mended, part) if self._hands == 1 else pool.map(self._mended, part))
        del done["right"]
        return done

    def _mended(self, traces: Traces) -> str:
        with about(job=traces.job_id, batch=traces.batch_id, tenant=traces.tenant), _damage_is_logged(traces.job_id):
            return self._mend(traces)
        return "unreadable"

    def _mend(self, traces: Traces) -> str:
        """Set one job right; return what was wrong with it."""
        if traces.deleted:
            return self._mend_deleted(traces)
        restore_key_of_job(self._jobs, traces)
        record = self._store.get(traces.job_id)
        if record is None:
            return self._restore(traces)
        if traces.last_outcome > record.run or (traces.last_outcome == record.run and not record.status.is_terminal):
            return self._adopt_last(traces)
        if record.status is JobStatus.FAILED and traces.uploaded and traces.last_rerun > record.run:
            if self._store.reopen(record.id, run=traces.last_rerun):
                self._jobs.ring(record)
            return "reopened"
        if traces.uploaded and record.status.is_terminal and not record.needs_upload:
            self._jobs.debts.clean(Cleanup(CleanupKind.UPLOAD, traces.tenant, traces.job_id, traces.batch_id))
            return "uploads_deleted"
        return "right"

    def _adopt_last(self, traces: Traces) -> str:
        """End a record as its last run ended; a Redis that has gone back may know of an earlier one."""
        ended = self._archive.outcome(traces.tenant, traces.job_id, traces.last_outcome)
        if ended is None:
            return "right"
        self._jobs.settle(ended)
        return "adopted"

    def _mend_deleted(self, traces: Traces) -> str:
        left_over = traces.has_objects or self._store.get(traces.job_id) is not None
        if left_over:
            self._jobs.forget(traces.tenant, traces.job_id, traces.batch_id)
        is_over = self._is_older_than(traces.job_id, self._settings.retention_s + _TOMBSTONE_EXTRA_S)
        # The setting may have been longer when a batch was made, whose manifest then promises the item still.
        if is_over and self._archive.batches.find_item(traces.tenant, traces.job_id) is None:
            self._jobs.objects.delete(layout.tombstone_key(traces.tenant, traces.job_id))
            return "tombstones_expired"
        return "deleted_again" if left_over else "right"

    def _is_older_than(self, job_id: str, age_s: float) -> bool:
        return self._jobs.clock() > to_ms(job_id_time(job_id).timestamp() + age_s)

    def _restore(self, traces: Traces) -> str:
        record = self._archive.restore(traces)
        batch_id = record.batch_id if record else traces.batch_id
        if record is None or not (self._store.create(record, restored=True) or self._store.get(record.id)):
            # Options without a photo, a preview without a result, an item whose batch is not there: nobody comes for
            # them. A batch that has a manifest looks after its items by itself.
            if batch_id is not None and self._archive.batches.exists(traces.tenant, batch_id):
                return "right"
            if not self._is_older_than(traces.job_id, _HALF_DONE_S):
                return "right"
            return self._purge_orphan(traces, batch_id)
        # A DELETE writes the tombstone and then drops the record: one of the two sees the other.
        if self._archive.is_deleted(record.tenant, record.id, batch_id):
            self._jobs.forget(record.tenant, record.id, batch_id)
            return "right"
        if not record.status.is_terminal:
            self._jobs.ring(record)
        elif traces.uploaded and not record.needs_upload:
            self._jobs.debts.clean(Cleanup(CleanupKind.UPLOAD, record.tenant, record.id, batch_id))
        return "restored"

    def _purge_orphan(self, traces: Traces, batch_id: str | None) -> str:
        """Delete what is left of a job that was never accepted, if a second look finds no more than the first."""
        found = self._archive.traces(traces.tenant, traces.job_id)
        restored = self._archive.restore(found)
        if restored is not None and found != traces:
            return self._mend(found)
        if restored is not None and restored.batch_id is None:
            return "right"  # its record was lost this very moment; the next look makes it anew
        self._archive.purge(traces.tenant, traces.job_id, batch_id)
        return "orphans_deleted"

    def _ring_due(self, queue: QueueName) -> int:
        """Ring again for jobs that nobody came for.

        Messages that still wait at the broker are not lost, so only as many are sent as are lacking: a long queue
        with no worker does not grow by its own length in every round.
        """
        try:
            if queue.takes_turns:
                return self._jobs.call_workers(queue)
            lacking = self._store.queued_count(queue) - self._jobs.doorbell.depth(queue)
            if lacking <= 0:
                return 0
            due = self._store.due_doorbells(queue, min(lacking, _AT_ONCE))
            for job_id in due:
                self._jobs.doorbell.ring(queue, job_id)
        except QueueUnavailable as error:
            logger.warning("no doorbell rings now: %s", error)
            return 0
        self._store.rung(queue, due, grace_s=self._settings.doorbell_grace_s)
        return len(due)

    def _return_leases(self) -> int:
        """Look after jobs whose worker did not come back in time."""
        expired = self._store.expired_leases(_AT_ONCE, grace_s=self._settings.doorbell_grace_s)
        for job_id in expired:
            with _damage_is_logged(job_id):
                self._return_lease(job_id)
        return len(expired)

    def _return_lease(self, job_id: str) -> None:
        record = self._store.get(job_id)
        if record is None:
            return
        with about(**record.log_context):
            if self._jobs.give_up_if_exhausted(job_id):
                return
            if not record.status.is_terminal and not self._jobs.adopt(record):
                logger.warning("the lease of %s ran out in attempt %d", job_id, record.attempts)
                self._jobs.ring(record)

    def _expire(self) -> int:
        """Forget jobs whose time is over, and their objects."""
        expired = self._store.expired_jobs(_AT_ONCE)
        for job_id in expired:
            with _damage_is_logged(job_id):
                record = self._store.get(job_id)
                if record:
                    self._jobs.expire(record)
        return len(expired)


def _in_parts(owners: Iterator[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Yield tenants by job id, a bounded number at a time."""
    while part := {job_id: tenant for tenant, job_id in itertools.islice(owners, _AT_ONCE)}:
        yield part


@contextmanager
def _damage_is_logged(job_id: str) -> Iterator[None]:
    """Leave a job as it is whose objects cannot be read, so that one of them does not stop all others."""
    try:
        yield
    except UnreadableObject:
        logger.exception("left as it is: %s", job_id)
