"""What is owed after a record changed: objects to delete, receivers to tell. Paid at once, or later by the upkeep."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from shared.config import Settings
from shared.errors import Transient, UnreadableObject
from shared.jobs.announcements import Announcement, Announcer
from shared.jobs.archive import JobArchive
from shared.jobs.record import JobRecord
from shared.jobs.store import Cleanup, CleanupKind, JobStore, Settlement
from shared.storage import layout

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 500
"""Debts of a kind paid in one round, so that no kind starves another."""
_ANNOUNCE_GRACE_S: Final = 5.0
"""How long whoever ended a job or batch is left to announce it: more than it takes when nothing is away."""


class Debts:
    """Pays what is owed. Every payment may be made twice; the store notes a debt in the step that brings it about."""

    def __init__(self, store: JobStore, archive: JobArchive, announcer: Announcer, settings: Settings) -> None:
        self._store = store
        self._archive = archive
        self._announcer = announcer
        self._cleanup_grace_s = settings.lease_s + settings.photo_time_limit_s

    def pay(self, ended: JobRecord, settlement: Settlement, put_off: list[Cleanup] | None = None) -> None:
        """Pay what the end of a job brought about.

        Parameters
        ----------
        ended : JobRecord
            The job.
        settlement : Settlement
            What its end was.
        put_off : list of Cleanup or None
            Where the deletion of its photo is put, for whoever will `clean_uploads`; None has it deleted at once.
        """
        if not ended.needs_upload:
            upload = Cleanup(CleanupKind.UPLOAD, ended.tenant, ended.id, ended.batch_id)
            if put_off is None:
                self.clean_uploads([upload])
            else:
                put_off.append(upload)
        if ended.fetch is not None and ended.batch_id is None:
            self.tear_up(ended.tenant, ended.id)
        if ended.announced_event is not None:
            self.announce(Announcement(ended.tenant, ended.id))
        if settlement is Settlement.LAST and ended.batch_id is not None:
            self.announce(Announcement(ended.tenant, ended.batch_id))

    def clean(self, cleanup: Cleanup) -> None:
        """Delete what a change of a record left behind; what fails is done by the upkeep later."""
        if cleanup.kind is CleanupKind.UPLOAD:
            self.clean_uploads([cleanup])
            return
        try:
            self.purge(cleanup.tenant, cleanup.job_id, cleanup.batch_id)
            self._store.cleaned(cleanup)
        except Transient as error:
            logger.warning("cleanup of %s is put off: %s", cleanup.job_id, error)

    def clean_uploads(self, cleanups: Sequence[Cleanup]) -> None:
        """Delete the photos of jobs that ended, in one call; what fails is done by the upkeep later, one by one."""
        if not cleanups:
            return
        keys = (layout.upload_key(owed.tenant, owed.job_id, owed.batch_id) for owed in cleanups)
        try:
            self._archive.objects.delete(*keys)
            self._store.cleaned(*cleanups)
        except Transient as error:
            logger.warning("deleting %d photos that were measured is put off: %s", len(cleanups), error)

    def tear_up(self, tenant: str, job_id: str) -> None:
        """Delete the ticket of a job that waits for its photo no more; what fails is done by the next sweep."""
        try:
            self._archive.tickets.delete(tenant, job_id)
        except Transient as error:
            logger.warning("tearing up the ticket of %s is put off: %s", job_id, error)

    def purge(self, tenant: str, job_id: str, batch_id: str | None = None) -> None:
        """Delete every object of a job but its tombstone, and what is told of it; raises as storage does.

        What is told goes first: its records are in Redis, so that none is shown or sent even when storage is away.
        """
        self._announcer.forget_about(tenant, job_id)
        self._archive.purge(tenant, job_id, batch_id)

    def forget_told(self, tenant: str, object_id: str) -> None:
        """Forget what is told of a job, or of a batch, but for objects that lie with its items; raises as storage."""
        self._announcer.forget_about(tenant, object_id)

    def announce(self, announcement: Announcement) -> None:
        """Owe a receiver what ended; what fails is done by the upkeep later."""
        try:
            # Before anything is read: what ends while this is told is a debt of its own, and stays.
            noted_ms = self._store.noted_ms(announcement)
            if noted_ms is not None:
                self._announcer.announce(announcement)
                self._store.announced(announcement, noted_ms)
        except Transient as error:
            logger.warning("announcing %s is put off: %s", announcement.object_id, error)
        except UnreadableObject:
            logger.exception("not announced: %s", announcement.object_id)

    def pay_due(self) -> Counter[str]:
        """Pay what those who were to pay did not come to."""
        cleanups = self._store.due_cleanups(_AT_ONCE, grace_s=self._cleanup_grace_s)
        for cleanup in cleanups:
            self.clean(cleanup)
        announcements = self._store.due_announcements(_AT_ONCE, grace_s=_ANNOUNCE_GRACE_S)
        for announcement in announcements:
            self.announce(announcement)
        return Counter(cleaned=len(cleanups), announced=len(announcements))
