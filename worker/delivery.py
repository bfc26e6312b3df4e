"""The sender of webhooks and fetcher of photos: `python -m worker.delivery`, the one process that reaches out.

Any number of them may run; each has its hands for either, and an upkeep of deliveries. Told to stop, it takes nothing
more and ends when what it has begun is answered and noted.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Final

from shared.clock import MS_PER_S, to_ms
from shared.config import Settings
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.record import Attempt
from shared.deliveries.schedule import retry_after_s
from shared.deliveries.store import DeliveryClaim
from shared.deliveries.upkeep import DeliveryUpkeep
from shared.errors import RecordsUnavailable, Transient, UnreadableObject
from shared.fetches.desk import FetchDesk
from shared.metrics import DELIVERY_ATTEMPTS, DELIVERY_S
from shared.observability import about, configure_logging
from shared.outbound import OutboundAnswer, OutboundClient, Resolver, look_up
from shared.services import connect
from shared.signing import sign
from shared.targets import TargetForbidden
from shared.telemetry.duties import Duty, do_duties
from shared.telemetry.meter import Meter, Relay
from shared.wire import TargetUnreachable
from worker.duties import until_told_to_stop
from worker.fetching import Fetcher
from worker.hands import Hands

logger = logging.getLogger("worker.delivery")  # also when it is run as a program

_REDIRECTS: Final = range(300, 400)


class Sender:
    """Makes the attempts that are due.

    Parameters
    ----------
    desk : DeliveryDesk
        Who gives out what is due.
    client : OutboundClient
        The one door to the outside.
    meter : Meter or None
        Where attempts are counted.
    """

    def __init__(self, desk: DeliveryDesk, client: OutboundClient, meter: Meter | None = None) -> None:
        self._desk = desk
        self._client = client
        self._meter = meter or Meter()

    def run(self, stop: threading.Event) -> None:
        """Send what is due, several at once, until `stop` is set; then finish what was begun."""
        settings = self._desk.settings
        hands = Hands("delivery", settings.delivery_threads, settings.delivery_poll_s)
        hands.keep_busy(self._desk.claim, self.deliver, stop)

    def deliver(self, claim: DeliveryClaim) -> None:
        """Make one attempt and note it. What goes wrong on our side is not held against the receiver."""
        record = claim.record
        with about(**record.log_context):
            self._deliver(claim)

    def _deliver(self, claim: DeliveryClaim) -> None:
        delivery_id = claim.record.id
        try:
            body = self._desk.body_of(claim)
            if body is None:
                return
            secrets = self._desk.secrets.signing(claim.record.tenant, claim.secrets_version)
        except (Transient, UnreadableObject) as error:
            logger.warning("delivery %s is put off: %s", delivery_id, error)
            if isinstance(error, Transient):
                self._meter.trouble(error)
            self._give_back(claim)
            return
        attempt, asked_s = self._attempt(claim, body, secrets)
        self._meter.count(DELIVERY_ATTEMPTS, attempt.error or "delivered")
        self._meter.observe(DELIVERY_S, (attempt.duration_ms or 0) / MS_PER_S)
        try:
            self._desk.record(claim, attempt, body, retry_after_s=asked_s)
        except Transient as error:
            logger.warning("what became of delivery %s is not noted yet: %s", delivery_id, error)
        else:
            word = attempt.error or "delivered"
            logger.info("delivery %s to %s: %s, %s", delivery_id, claim.record.receiver, word, attempt.status_code)

    def _give_back(self, claim: DeliveryClaim) -> None:
        try:
            self._desk.give_back(claim)
        except Transient as error:
            logger.warning("delivery %s waits for the end of its lease: %s", claim.record.id, error)

    def _attempt(self, claim: DeliveryClaim, body: bytes, secrets: list[str]) -> tuple[Attempt, float | None]:
        """Send a body; return what became of it, and the pause that the receiver asks for."""
        at_ms = self._desk.clock()
        began_s = time.monotonic()
        signed = sign(body, webhook_id=claim.record.webhook_id, sent_ms=at_ms, secrets=secrets)
        answer: OutboundAnswer | None = None
        error: str | None
        try:
            answer = self._client.post(claim.record.url, body, {"Content-Type": "application/json", **signed})
            error = _trouble_with(answer)
        except TargetForbidden as forbidden:
            error = f"forbidden_{forbidden.rule}"
        except TargetUnreachable as unreachable:
            error = unreachable.trouble.value
        attempt = Attempt(at_ms, answer.status if answer else None, to_ms(time.monotonic() - began_s), error)
        asked = answer.headers.get("retry-after") if answer else None
        return attempt, retry_after_s(asked, now_ms=self._desk.clock())


def _trouble_with(answer: OutboundAnswer) -> str | None:
    """Return one word for what is wrong with an answer; None for a 2xx."""
    if answer.is_success:
        return None
    return "redirect" if answer.status in _REDIRECTS else "status"


def send(desk: DeliveryDesk, client: OutboundClient, stop: threading.Event, meter: Meter | None = None) -> None:
    """Send what is due, and keep the deliveries up, until `stop` is set."""
    meter = meter or Meter()
    upkeep = DeliveryUpkeep(desk)
    pause_s = desk.settings.reconcile_interval_s
    for name, duty in (("deliveries_rebuild", upkeep.rebuild_if_lost), ("deliveries", upkeep.due)):
        keep = partial(do_duties, (Duty(name, duty, pause_s),), meter, pause_s=pause_s, stop=stop)
        threading.Thread(target=keep, daemon=True, name=name).start()
    Sender(desk, client, meter).run(stop)


def main(resolve: Resolver = look_up) -> None:
    """Run until SIGTERM or SIGINT.

    Parameters
    ----------
    resolve : callable
        Looks names up; see `OutboundClient`.
    """
    settings = Settings()
    configure_logging(settings)
    stop = until_told_to_stop()
    connected = connect(settings)
    meter = Meter()
    relay = Relay(meter, connected.jobs.store.metrics, every_s=settings.metrics_interval_s)
    relay.start()
    outside = OutboundClient(settings.outbound_policy(settings.fetch_timeout_s), resolve=resolve)
    fetcher = Fetcher(FetchDesk(connected.jobs), outside, meter)
    fetching = threading.Thread(target=fetcher.run, args=(stop,), name="fetcher")
    fetching.start()
    logger.info("the sender is running")
    receivers = OutboundClient(settings.outbound_policy(settings.webhook_timeout_s), resolve=resolve)
    send(connected.desk, receivers, stop, meter)
    fetching.join()
    with suppress(RecordsUnavailable):
        relay.send()


if __name__ == "__main__":
    main()
