"""What brings every accepted photo to an end, whatever was lost: doorbells, leases, records, debts, expiry.

Every step may be done twice or by several reconcilers at once: each goes through the same atomic moves as everyone.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Final

from shared.clock import to_ms
from shared.errors import QueueUnavailable, UnreadableOutcome
from shared.jobs.archive import Traces
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.store import Cleanup, CleanupKind
from shared.names import QueueName, job_id_time
from shared.schemas import JobStatus
from shared.storage import layout

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 500
"""Jobs handled of a kind in one round, so that no kind starves another."""
_TOMBSTONE_EXTRA_S: Final = 86_400.0
"""How much longer than the job itself a tombstone is kept."""


class Reconciler:
    """Compares what is with what was promised, and mends the difference."""

    def __init__(self, jobs: JobLifecycle) -> None:
        self._jobs = jobs
        self._store = jobs.store
        self._archive = jobs.archive
        self._settings = jobs.settings

    def round(self) -> Counter[str]:
        """Do all that is due now; return how much of each kind was done."""
        done: Counter[str] = Counter()
        if not self._store.is_rebuilt():
            done += self.rebuild()
        for queue in QueueName:
            done["rung"] += self._ring_due(queue)
        done["leases"] = self._return_leases()
        done["expired"] = self._expire()
        done["cleaned"] = self._pay_debts()
        return +done

    def rebuild(self) -> Counter[str]:
        """Make every record that storage knows of and the records lack; then say that they are complete."""
        token = self._store.begin_rebuild()
        logger.warning("rebuilding the records of jobs from storage")
        done = self._mend_all(self._archive.survey())
        if not self._store.end_rebuild(token):
            logger.warning("records were lost again during the rebuild; it starts anew")
        return done

    def audit(self) -> Counter[str]:
        """Compare everything in storage with the records, as after a loss, and mend what differs."""
        return self._mend_all(self._archive.survey())

    def sweep(self) -> Counter[str]:
        """Look for photos that were stored by an API that died before it wrote their record."""
        uploads = self._archive.uploads()
        done: Counter[str] = Counter()
        while owners := {job_id: tenant for tenant, job_id in itertools.islice(uploads, _AT_ONCE)}:
            lost = self._store.missing(list(owners))
            done += self._mend_all(self._archive.traces(owners[job_id], job_id) for job_id in lost)
        return done

    def _mend_all(self, surveyed: Iterable[Traces]) -> Counter[str]:
        done: Counter[str] = Counter()
        for traces in surveyed:
            try:
                done[self._mend(traces)] += 1
            except UnreadableOutcome:
                logger.exception("left as it is: %s", traces.job_id)
                done["unreadable"] += 1
        del done["right"]
        return done

    def _mend(self, traces: Traces) -> str:
        """Set one job right; return what was wrong with it."""
        if traces.deleted:
            return self._mend_deleted(traces)
        record = self._store.get(traces.job_id)
        if record is None:
            return self._restore(traces)
        if not record.status.is_terminal:
            return "adopted" if traces.last_outcome >= record.run and self._jobs.adopt(record) else "right"
        kept = record.options.keep_image or record.status is JobStatus.FAILED
        if traces.uploaded and not kept:
            self._jobs.clean(Cleanup(CleanupKind.UPLOAD, traces.tenant, traces.job_id))
            return "uploads_deleted"
        return "right"

    def _mend_deleted(self, traces: Traces) -> str:
        left_over = traces.uploaded or traces.last_outcome or traces.last_rerun
        if left_over or self._store.get(traces.job_id):
            self._store.drop(traces.job_id, traces.tenant)
            self._jobs.clean(Cleanup(CleanupKind.EVERYTHING, traces.tenant, traces.job_id))
        made_ms = to_ms(job_id_time(traces.job_id).timestamp())
        if self._jobs.clock() > made_ms + to_ms(self._settings.retention_s + _TOMBSTONE_EXTRA_S):
            self._jobs.objects.delete(layout.tombstone_key(traces.tenant, traces.job_id))
            return "tombstones_expired"
        return "deleted_again" if left_over else "right"

    def _restore(self, traces: Traces) -> str:
        record = self._archive.restore(traces)
        if record is None:
            return "right"
        self._store.create(record)
        # A DELETE writes the tombstone and then drops the record: one of the two sees the other.
        if self._archive.is_deleted(record.tenant, record.id):
            self._store.drop(record.id, record.tenant)
            return "right"
        if record.status.is_terminal:
            if traces.uploaded and not (record.options.keep_image or record.status is JobStatus.FAILED):
                self._jobs.clean(Cleanup(CleanupKind.UPLOAD, record.tenant, record.id))
        else:
            self._jobs.ring(record)
        return "restored"

    def _ring_due(self, queue: QueueName) -> int:
        """Ring again for jobs that nobody came for.

        Messages that still wait at the broker are not lost, so only as many are sent as are lacking: a long queue
        with no worker does not grow by its own length in every round.
        """
        try:
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
            record = self._store.get(job_id)
            if record is None or record.status.is_terminal:
                continue
            logger.warning("the lease of %s ran out in attempt %d", job_id, record.attempts)
            if record.attempts >= self._settings.max_attempts:
                self._jobs.give_up(job_id)
            elif not self._jobs.adopt(record):
                self._jobs.ring(record)
        return len(expired)

    def _expire(self) -> int:
        """Forget jobs whose time is over, and their objects."""
        expired = self._store.expired_jobs(_AT_ONCE)
        for job_id in expired:
            record = self._store.get(job_id)
            if record:
                self._store.drop(job_id, record.tenant)
                self._jobs.clean(Cleanup(CleanupKind.EVERYTHING, record.tenant, job_id))
        return len(expired)

    def _pay_debts(self) -> int:
        """Delete what those who were to delete it did not come to."""
        grace_s = self._settings.lease_s + self._settings.photo_time_limit_s
        due = self._store.due_cleanups(_AT_ONCE, grace_s=grace_s)
        for cleanup in due:
            self._jobs.clean(cleanup)
        return len(due)
