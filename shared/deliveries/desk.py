"""The life of a delivery: every order of writes that its durability rests on is in this file.

What is owed is written to storage before Redis, so that it outlives both. What an attempt led to is written to Redis
before storage: the script there merges what several senders saw, and notes that storage has it not yet, a debt which
the upkeep pays when the sender does not come to it.
"""

from __future__ import annotations

import logging
import random
from contextlib import suppress

from shared.clock import Clock, from_ms, system_clock, to_ms
from shared.config import Settings
from shared.deliveries.archive import DeliveryArchive
from shared.deliveries.events import body_of_test
from shared.deliveries.record import (
    Attempt,
    DeliveryRecord,
    DeliveryStatus,
    Event,
    Verdict,
    is_delivery_id,
    new_delivery,
    new_test_delivery,
)
from shared.deliveries.schedule import Jitter, verdict_after
from shared.deliveries.secrets import WebhookSecrets
from shared.deliveries.store import DeliveryClaim, DeliveryQuery, DeliveryStore, Limits
from shared.errors import (
    DeliveryNotFound,
    ObjectMissing,
    RecordsRebuilding,
    RecordsUnavailable,
    Transient,
    UnreadableObject,
)
from shared.storage.base import ObjectStore

logger = logging.getLogger(__name__)

_LATER_S = 10.0
"""When an attempt that could not be begun, because storage was away, is due again."""


class DeliveryDesk:
    """Everything that can happen to a delivery, for the workers, the API, the senders and the upkeep alike."""

    def __init__(
        self,
        store: DeliveryStore,
        objects: ObjectStore,
        settings: Settings,
        clock: Clock = system_clock,
        jitter: Jitter = random.random,
    ) -> None:
        self.store = store
        self.archive = DeliveryArchive(objects)
        self.secrets = WebhookSecrets(objects, store, clock)
        self.settings = settings
        self.clock = clock
        self._jitter = jitter
        self._limits = Limits(
            settings.delivery_per_receiver, settings.delivery_per_tenant, settings.delivery_per_receiver_all
        )

    # Owing

    def owe(self, event: Event, url: str, body: bytes) -> DeliveryRecord:
        """Owe an event to a target. When this returns, it is delivered whatever dies next.

        May be called any number of times for the same event and URL: there is one delivery, with the body that was
        given first. The target was judged when the job was submitted, and is judged again at each attempt.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If it is not known to be owed; whoever calls does so again.
        """
        record = new_delivery(event, url, now_ms=self.clock())
        return self._owe(record, body)

    def owe_test(self, tenant: str, url: str) -> DeliveryRecord:
        """Owe a target an event that only shows that the way is open; raises as `owe` does: then nothing is owed."""
        now = self.clock()
        expires_ms = now + to_ms(self.settings.retention_s)
        record = new_test_delivery(tenant, url, now_ms=now, expires_ms=expires_ms)
        try:
            return self._owe(record, body_of_test(record.id, from_ms(now)))
        except Transient:
            with suppress(Transient):  # its client hears so, and nobody else knows of it: no job owes it again
                self.archive.delete(record)
            raise

    def _owe(self, record: DeliveryRecord, body: bytes) -> DeliveryRecord:
        if not self.archive.create(record, body):
            with suppress(ObjectMissing):  # deleted this very moment: seen below
                record, _ = self.archive.read(record)
        self.store.create(record)
        # A DELETE writes the tombstone and then forgets: one of the two sees the other.
        if self._is_deleted(record):
            self.forget_about(record.tenant, record.object_id)
        return record

    # Reading

    def find(self, tenant: str, delivery_id: str) -> DeliveryRecord:
        """Return a delivery.

        Raises
        ------
        DeliveryNotFound
            If the tenant has none of that id.
        RecordsRebuilding
            If that cannot be told, because records were lost and are being rebuilt.
        """
        record = self.store.get(delivery_id) if is_delivery_id(delivery_id) else None
        if record is not None and record.tenant != tenant:
            record = None  # and the same steps from here on, so that the time they take tells nothing
        if record is None and is_delivery_id(delivery_id):
            self._check_rebuilt()
        if record is None or record.expires_ms <= self.clock():
            raise DeliveryNotFound(delivery_id)
        return record

    def list_deliveries(self, query: DeliveryQuery) -> list[DeliveryRecord]:
        """Return a page of deliveries; raise `RecordsRebuilding` while it would lack some."""
        self._check_rebuilt()
        return self.store.list_deliveries(query)

    def _check_rebuilt(self) -> None:
        if not self.store.is_rebuilt():
            message = "the records of deliveries are being rebuilt from storage"
            raise RecordsRebuilding(message)

    # Delivering

    def claim(self) -> DeliveryClaim | None:
        """Take a delivery that is due; None when there is nothing to send now."""
        return self.store.claim(self._limits, lease_s=self.settings.delivery_lease_s)

    def body_of(self, claim: DeliveryClaim) -> bytes | None:
        """Return what to send, or None when there is nothing to send any more (and the record is set right).

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If it cannot be read now; the claim still stands.
        """
        try:
            stored, body = self.archive.read(claim.record)
        except ObjectMissing:
            logger.warning("forgetting delivery %s: what it is about was deleted", claim.record.id)
            self.store.drop(claim.record.id)
            return None
        if stored.round == claim.record.round and stored.status is not DeliveryStatus.PENDING:
            # A sender that could not reach Redis left word here.
            verdict = Verdict(stored.status, stored.step, stored.interruptions)
            self.store.settle(claim, stored.attempts, verdict)
            return None
        return body

    def record(self, claim: DeliveryClaim, attempt: Attempt, body: bytes, *, retry_after_s: float | None) -> None:
        """Note an attempt, and what follows from it.

        Raises
        ------
        RecordsUnavailable
            If it is known to storage at the best. When the lease ends, the delivery is looked at again.
        """
        verdict = verdict_after(
            claim.record, attempt, now_ms=self.clock(), retry_after_s=retry_after_s, jitter=self._jitter
        )
        try:
            now = self.store.settle(claim, [attempt], verdict)
        except RecordsUnavailable:
            self._leave_word(claim.record, attempt, verdict, body)
            raise
        if now is not None:
            self.put_away(now, body)
        else:  # deleted, or lost with all others
            self._leave_word(claim.record, attempt, verdict, body)

    def _leave_word(self, record: DeliveryRecord, attempt: Attempt, verdict: Verdict, body: bytes) -> None:
        """Let storage know how a delivery stands whose record cannot be reached, unless it was deleted there too."""
        with suppress(Transient, ObjectMissing, UnreadableObject):
            self.archive.read(record)
            ended = record.after([attempt], verdict)
            self.archive.write(ended, body)
            if self._is_deleted(record):
                self.archive.delete(record)

    def _is_deleted(self, record: DeliveryRecord) -> bool:
        """Tell whether what it is about must stay forgotten, by a tombstone of its own or that of its batch."""
        about = (record.object_id, record.batch_id)
        return any(self.archive.is_deleted(record.tenant, found) for found in dict.fromkeys(about) if found)

    def put_away(self, record: DeliveryRecord, body: bytes) -> None:
        """Write to storage how a delivery stands; what fails is done by the upkeep later."""
        try:
            self.archive.write(record, body)
            if not self.store.archived(record) and self._is_deleted(record):
                self.archive.delete(record)
        except Transient as error:
            logger.warning("storage does not know yet how delivery %s stands: %s", record.id, error)

    def give_back(self, claim: DeliveryClaim) -> None:
        """Put off an attempt that could not be begun; it does not count."""
        self.store.give_back(claim, retry_after_s=_LATER_S)

    # What a client may do to a delivery

    def redeliver(self, tenant: str, delivery_id: str) -> DeliveryRecord:
        """Deliver again, under the same `webhook-id`, on a schedule that begins now.

        A delivery that is on its way this moment is left as it is.

        Raises
        ------
        DeliveryNotFound, RecordsRebuilding
        """
        record = self.find(tenant, delivery_id)
        reopened = record.reopened(self.clock())
        try:
            _, body = self.archive.read(record)
        except ObjectMissing as error:
            self.store.drop(delivery_id)
            raise DeliveryNotFound(delivery_id) from error
        if record.status is not DeliveryStatus.PENDING:
            self.archive.write(reopened, body)
        self.store.reopen(reopened)
        if self._is_deleted(record):
            self.forget_about(tenant, record.object_id)
        return self.find(tenant, delivery_id)

    # Forgetting

    def forget_about(self, tenant: str, object_id: str) -> None:
        """Forget every delivery about a job or batch. The caller has written the tombstone, or the time is over.

        Raises
        ------
        StorageUnavailable, RecordsUnavailable
            If that is not done; whoever calls does so again.
        """
        for delivery_id in self.store.of_object(tenant, object_id):
            self.store.drop(delivery_id)
        self.archive.purge(tenant, object_id)
