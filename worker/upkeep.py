"""The upkeep process: `python -m worker.upkeep`. Runs the reconciler, and purges, until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import suppress
from functools import partial
from time import perf_counter

from shared.config import Settings
from shared.deliveries.upkeep import DeliveryUpkeep
from shared.errors import RecordsUnavailable, StorageUnavailable
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.reconciler import Reconciler
from shared.metrics import STORAGE_CHECK_S, UP
from shared.observability import configure_logging
from shared.purges.erasers import NothingToErase, RedisFiles, SeaweedFiles
from shared.purges.ledger import PurgeKind
from shared.purges.upkeep import PurgeDuty, PurgeRequests
from shared.services import connect
from shared.storage.base import ObjectStore
from shared.telemetry.canary import FIRST_EVERY_S, send_due_canaries
from shared.telemetry.duties import Duty, do_duties
from shared.telemetry.meter import Meter, Relay
from worker.duties import until_told_to_stop

logger = logging.getLogger("worker.upkeep")  # also when it is run as a program


def keep_up(settings: Settings, stop: threading.Event) -> None:
    """Do every duty when it is due, until `stop` is set. What takes long has a thread of its own."""
    connected, meter = connect(settings), Meter()
    jobs, deliveries = connected.jobs, DeliveryUpkeep(connected.desk)
    relay = Relay(meter, jobs.store.metrics, every_s=settings.metrics_interval_s)
    relay.start()
    reconciler, requests = Reconciler(jobs, settings.rebuild_threads), PurgeRequests(jobs)

    def sweep() -> Counter[str]:
        began_ms = jobs.clock()
        return reconciler.sweep() + requests.ask(began_ms)

    def audit() -> Counter[str]:
        return reconciler.audit() + deliveries.audit() + requests.forget_old()

    pause_s = settings.reconcile_interval_s
    searches = (Duty("sweep", sweep, settings.sweep_interval_s), Duty("audit", audit, settings.audit_interval_s))
    side_by_side: tuple[tuple[tuple[Duty, ...], float], ...] = (
        ((Duty("rebuild", reconciler.rebuild_if_lost, pause_s),), pause_s),
        (searches, pause_s),
        ((Duty("lineage", partial(reconciler.audit_if_another_goes_on, deliveries.audit), pause_s),), pause_s),
        ((Duty("batches", reconciler.batches.due, pause_s),), pause_s),
        *(((Duty(f"purge of {duty.kind}", duty.run, pause_s),), pause_s) for duty in purges(settings, jobs)),
        ((Duty("canaries", partial(send_due_canaries, jobs), FIRST_EVERY_S),), FIRST_EVERY_S),
        (
            (Duty("look", partial(_look, jobs.objects, meter), settings.metrics_interval_s),),
            settings.metrics_interval_s,
        ),
    )
    for duties, look_every_s in side_by_side:
        keep = partial(do_duties, duties, meter, pause_s=look_every_s, stop=stop)
        threading.Thread(target=keep, daemon=True, name=duties[0].name).start()
    do_duties((Duty("due", reconciler.due, pause_s),), meter, pause_s=pause_s, stop=stop)
    with suppress(RecordsUnavailable):
        relay.send()


def purges(settings: Settings, jobs: JobLifecycle) -> tuple[PurgeDuty, ...]:
    """Return the purges that are this process's to do."""
    of_records = PurgeDuty(jobs.objects, settings, PurgeKind.RECORDS, RedisFiles(settings))
    if settings.store_vacuum == "sidecar":
        return (of_records,)
    if settings.store_vacuum == "none":
        return (of_records, PurgeDuty(jobs.objects, settings, PurgeKind.STORAGE, NothingToErase()))
    return (of_records, PurgeDuty(jobs.objects, settings, PurgeKind.STORAGE, SeaweedFiles(settings), unasked=True))


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
    stop = until_told_to_stop()
    logger.info("upkeep is running")
    keep_up(settings, stop)


if __name__ == "__main__":
    main()
