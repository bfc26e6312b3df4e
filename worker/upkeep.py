"""The upkeep process: `python -m worker.upkeep`. Runs the reconciler until it is told to stop."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

from shared.config import Settings
from shared.errors import RecordsUnavailable, StorageUnavailable
from shared.jobs.reconciler import Reconciler
from shared.metrics import STORAGE_CHECK_S, UP
from shared.observability import configure_logging
from shared.services import connect
from shared.storage.base import ObjectStore
from shared.telemetry.canary import FIRST_EVERY_S, send_due_canaries
from shared.telemetry.duties import Duty, do_duties
from shared.telemetry.meter import Meter, Relay

logger = logging.getLogger("worker.upkeep")  # also when it is run as a program


def keep_up(settings: Settings, stop: threading.Event) -> None:
    """Do every duty when it is due, until `stop` is set. What takes long has a thread of its own."""
    jobs = connect(settings).jobs
    meter = Meter()
    relay = Relay(meter, jobs.store.metrics, every_s=settings.metrics_interval_s)
    relay.start()
    reconciler = Reconciler(jobs)
    pause_s = settings.reconcile_interval_s
    rebuild = (Duty("rebuild", reconciler.rebuild_if_lost, pause_s),)
    searches = (
        Duty("sweep", reconciler.sweep, settings.sweep_interval_s),
        Duty("audit", reconciler.audit, settings.audit_interval_s),
    )
    batches = (Duty("batches", reconciler.batches.due, pause_s),)
    canaries = (Duty("canaries", partial(send_due_canaries, jobs), FIRST_EVERY_S),)
    looks = (Duty("look", partial(_look, jobs.objects, meter), settings.metrics_interval_s),)
    for duties, look_every_s in (
        (rebuild, pause_s),
        (searches, pause_s),
        (batches, pause_s),
        (canaries, FIRST_EVERY_S),
        (looks, settings.metrics_interval_s),
    ):
        keep = partial(do_duties, duties, meter, pause_s=look_every_s, stop=stop)
        threading.Thread(target=keep, daemon=True, name=duties[0].name).start()
    do_duties((Duty("due", reconciler.due, pause_s),), meter, pause_s=pause_s, stop=stop)
    with suppress(RecordsUnavailable):
        relay.send()


def _look(objects: ObjectStore, meter: Meter) -> Counter[str]:
    """See whether storage answers, and say that somebody looked."""
    meter.hold(UP, 1, "upkeep")
    began = perf_counter()
    try:
        objects.check()
    except StorageUnavailable:
        meter.hold(UP, 0, "storage")
        raise
    meter.hold(UP, 1, "storage")
    meter.hold(STORAGE_CHECK_S, perf_counter() - began)
    return Counter()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings)
    stop = threading.Event()

    def set_stop(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, set_stop)
    signal.signal(signal.SIGINT, set_stop)
    logger.info("upkeep is running")
    keep_up(settings, stop)


if __name__ == "__main__":
    main()
