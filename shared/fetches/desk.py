"""The life of a fetch: every order of reads and writes that a photo at a URL rests on is in this file.

The photo is written to storage, then its job is queued, then its ticket is deleted. Each may be the last thing a
fetcher does: the lease ends, the next one finds the photo in storage and goes on from there.
"""

from __future__ import annotations

import logging
import random
from typing import Final

from shared.clock import to_ms
from shared.errors import FetchFailed, ObjectMissing, Rejected
from shared.fetches.schedule import Jitter, failed_attempts, pause_s
from shared.fetches.store import FetchClaim, FetchLimits
from shared.fetches.tickets import PhotoUrl
from shared.jobs.lifecycle import JobLifecycle, Upload
from shared.jobs.record import JobRecord
from shared.storage import layout

logger = logging.getLogger(__name__)

_LATER_S: Final = 10.0
"""When a fetch that storage being away came in the way of is due again."""
_INTERRUPTED: Final = "Fetching the photo was interrupted time and again."


class FetchDesk:
    """Gives out photos that are to be fetched, and takes in what became of them.

    Parameters
    ----------
    jobs : JobLifecycle
        Whose photos they are.
    jitter : callable
        For the pauses between attempts.
    """

    def __init__(self, jobs: JobLifecycle, jitter: Jitter = random.random) -> None:
        self._jobs = jobs
        self._store = jobs.store.fetches
        self._jitter = jitter
        self.settings = jobs.settings
        self.clock = jobs.clock
        self._limits = FetchLimits(
            self.settings.fetch_per_receiver, self.settings.fetch_per_tenant, self.settings.fetch_per_receiver_all
        )

    def claim(self) -> FetchClaim | None:
        """Take a photo that is due; None when there is nothing to fetch now."""
        return self._store.claim(self._limits, lease_s=self.settings.fetch_lease_s)

    def photo_of(self, claim: FetchClaim) -> PhotoUrl | None:
        """Return what to fetch, or None when there is nothing to fetch any more (and the record is set right).

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If it cannot be read now; the claim still stands.
        UnreadableObject
            If what names the URL is not what this service writes.
        """
        record = claim.record
        if not claim.is_first and self._is_settled(record):
            return None
        if pause_s(failed_attempts(claim.step, claim.lost)) is None:
            self.reject(claim, FetchFailed(_INTERRUPTED))
            return None
        try:
            return self._jobs.archive.tickets.photo_of(record)
        except ObjectMissing:
            # A Redis that has gone back a second knows neither of an earlier claim nor of what came of it.
            if self._is_settled(record):
                return None
            # Unless another fetcher was quicker than this one, it was refused with a 503 after a frozen Redis had taken
            # the record, or deleted: nobody waits for it.
            if self._store.renew(claim, lease_s=self.settings.fetch_lease_s):
                logger.warning("dropping %s: it is to be fetched, and nobody knows from where", record.id)
                self._jobs.store.drop(record.id, record.tenant, record.batch_id)
            return None

    def _is_settled(self, record: JobRecord) -> bool:
        """Set a record right whose job has ended, or whose photo is here; False if it has not and is not."""
        if self._jobs.adopt(record):
            return True
        is_here = self._jobs.archive.is_uploaded(record.tenant, record.id)
        if is_here:
            self._queue(record)
        return is_here

    def stored(self, claim: FetchClaim, upload: Upload) -> bool:
        """Take in the photo; False if nobody waits for it any more, and nothing of it is kept.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If it is not known to be queued. In storage or not: the next claim sees.
        """
        if not self._store.renew(claim, lease_s=self.settings.fetch_lease_s):
            return False
        record = claim.record
        key = layout.upload_key(record.tenant, record.id, record.batch_id)
        self._jobs.objects.put(key, upload.body, content_type=upload.content_type)
        return self._queue(record)

    def _queue(self, record: JobRecord) -> bool:
        """Queue a job whose photo is in storage; delete the photo if the job ended or was deleted meanwhile."""
        if self._jobs.store.batches.arrive([record.id]):
            self._jobs.ring(record.queued())
            self._tear_up(record)
            return True
        now = self._jobs.store.get(record.id)
        if now is not None and now.needs_upload:
            return True  # queued by another fetcher, or by the upkeep
        if now is not None or self._jobs.archive.is_deleted(record.tenant, record.id, record.batch_id):
            self._jobs.objects.delete(layout.upload_key(record.tenant, record.id, record.batch_id))
            return False
        return True  # its record was lost with all others, and is made anew from what is in storage

    def _tear_up(self, record: JobRecord) -> None:
        if record.batch_id is None:
            self._jobs.debts.tear_up(record.tenant, record.id)

    def reject(self, claim: FetchClaim, rejection: Rejected) -> None:
        """End the job as its photo's fault, unless it is settled, or the claim over; raises as `stored` does."""
        if self._is_settled(claim.record):
            return
        if self._store.renew(claim, lease_s=self.settings.fetch_lease_s):
            self._jobs.reject(claim.record, rejection)

    def put_off(self, claim: FetchClaim, failure: FetchFailed, *, retry_after_s: float | None = None) -> bool:
        """Have the photo fetched again after a pause, or end its job when there were enough attempts.

        Parameters
        ----------
        failure : FetchFailed
            What the job ends with then.
        retry_after_s : float or None
            What the server asked for [s].

        Returns
        -------
        bool
            Whether there will be another attempt.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If that is not noted; when the lease ends, it is looked at again.
        """
        step = claim.step + 1
        wait_s = pause_s(failed_attempts(step, claim.lost), asked_s=retry_after_s, jitter=self._jitter)
        if wait_s is None:
            self.reject(claim, failure)
            return False
        self._store.put_off(claim, due_ms=self.clock() + to_ms(wait_s), step=step)
        return True

    def give_back(self, claim: FetchClaim) -> None:
        """Put off an attempt that something on our side came in the way of; it does not count."""
        self._store.put_off(claim, due_ms=self.clock() + to_ms(_LATER_S), step=claim.step)
