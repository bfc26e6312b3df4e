"""What brings every delivery to an end, whatever was lost: leases, targets, debts to storage, expiry, records.

Every step may be done twice or by several processes at once: each goes through the same atomic moves as everyone.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.record import Attempt, DeliveryStatus
from shared.deliveries.schedule import INTERRUPTED, verdict_after
from shared.errors import ObjectMissing, UnreadableObject

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 500
"""Deliveries handled of a kind in one round."""
_ARCHIVE_GRACE_S: Final = 15.0
"""How long a sender is left to write to storage itself: more than its time-outs for that."""


class DeliveryUpkeep:
    """Compares what is with what was promised, and mends the difference."""

    def __init__(self, desk: DeliveryDesk) -> None:
        self._desk = desk
        self._store = desk.store
        self._archive = desk.archive

    def due(self) -> Counter[str]:
        """Do all that is due now; return how much of each kind was done."""
        done: Counter[str] = Counter()
        done["interrupted"] = self._return_lost()
        done["released"] = self._store.release_held(_AT_ONCE)
        done["archived"] = self._pay_debts()
        done["expired"] = self._expire()
        return +done

    def _return_lost(self) -> int:
        """Note attempts whose sender did not come back, and make their deliveries due again."""
        lost = self._store.lost_claims(_AT_ONCE)
        for claim in lost:
            try:
                body = self._desk.body_of(claim)
            except UnreadableObject:
                logger.exception("left as it is: %s", claim.record.id)
                continue
            if body is not None:
                # Whether the receiver got it is not known, and the log says so.
                attempt = Attempt(claim.claimed_ms, status_code=None, duration_ms=None, error=INTERRUPTED)
                verdict = verdict_after(claim.record, attempt, now_ms=self._desk.clock())
                now = self._store.settle(claim, [attempt], verdict)
                if now is not None:
                    self._desk.put_away(now, body)
        return len(lost)

    def _pay_debts(self) -> int:
        """Write to storage what senders did not come to."""
        due = self._store.unarchived(_AT_ONCE, grace_s=_ARCHIVE_GRACE_S)
        for delivery_id in due:
            record = self._store.get(delivery_id)
            if record is not None:
                try:
                    _, body = self._archive.read(record)
                except ObjectMissing:
                    self._store.drop(delivery_id)
                    continue
                except UnreadableObject:
                    logger.exception("left as it is: %s", delivery_id)
                    continue
                self._desk.put_away(record, body)
        return len(due)

    def _expire(self) -> int:
        """Forget deliveries whose time is over."""
        expired = self._store.expired(_AT_ONCE)
        for record in expired:
            self._archive.delete(record)
            self._store.drop(record.id)
        return len(expired)

    def rebuild_if_lost(self) -> Counter[str]:
        """If the records were lost, make every one that storage knows of; then say that they are complete."""
        if self._store.is_rebuilt():
            return Counter()
        token = self._store.begin_rebuild()
        logger.warning("rebuilding the records of deliveries from storage")
        done = self._mend_all()
        if not self._store.end_rebuild(token):
            logger.warning("records were lost again during the rebuild; it starts anew")
        return done

    def audit(self) -> Counter[str]:
        """Compare every delivery in storage with its record, and mend what differs: Redis may have gone back a second.

        What an end brings about is owed until it is noted; a test and a redelivery are owed to nobody but the client
        that asked.
        """
        done = self._mend_all() if self._store.is_rebuilt() else Counter()
        return +(done + Counter(secrets_forgotten=self._desk.secrets.forget_old()))

    def _mend_all(self) -> Counter[str]:
        deleted = self._archive.deleted_objects()
        done: Counter[str] = Counter()
        for record in self._archive.survey(deleted):
            # What is about an item lies beside the item, which has no tombstone of its own when its batch is deleted.
            if record.expires_ms <= self._desk.clock() or (record.tenant, record.batch_id) in deleted:
                self._archive.delete(record)
            elif self._store.create(record):
                done["restored" if record.status is DeliveryStatus.PENDING else "restored_ended"] += 1
            elif record.status is DeliveryStatus.PENDING and self._store.reopen(record):
                done["reopened"] += 1
        # A DELETE writes the tombstone and then forgets: one of the two sees the other.
        for tenant, object_id in self._archive.deleted_objects() - deleted:
            self._desk.forget_about(tenant, object_id)
        return done
