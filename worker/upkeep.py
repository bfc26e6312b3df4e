"""The upkeep process: `python -m worker.upkeep`. Runs the reconciler, and purges, until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from shared.config import Settings
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.reconciler import Reconciler
from shared.observability import configure_logging
from shared.purges.erasers import NothingToErase, RedisFiles, SeaweedFiles
from shared.purges.ledger import PurgeKind
from shared.purges.upkeep import PurgeDuty, PurgeRequests
from shared.services import connect
from worker.duties import Duty, do_all, until_told_to_stop

logger = logging.getLogger("worker.upkeep")  # also when it is run as a program


def keep_up(settings: Settings, stop: threading.Event) -> None:
    """Do every duty when it is due, until `stop` is set. What takes long has a thread of its own."""
    jobs = connect(settings).jobs
    reconciler, requests = Reconciler(jobs, settings.rebuild_threads), PurgeRequests(jobs)

    def sweep() -> Counter[str]:
        began_ms = jobs.clock()
        return reconciler.sweep() + requests.ask(began_ms)

    def audit() -> Counter[str]:
        return reconciler.audit() + requests.forget_old()

    pause_s = settings.reconcile_interval_s
    side_by_side = (
        (Duty("rebuild", reconciler.rebuild_if_lost, pause_s),),
        (Duty("sweep", sweep, settings.sweep_interval_s), Duty("audit", audit, settings.audit_interval_s)),
        (Duty("batches", reconciler.batches.due, pause_s),),
        *((Duty(f"purge of {duty.kind}", duty.run, pause_s),) for duty in purges(settings, jobs)),
    )
    for duties in side_by_side:
        threading.Thread(target=do_all, args=(duties, pause_s, stop), daemon=True).start()
    do_all((Duty("due", reconciler.due, pause_s),), pause_s, stop)


def purges(settings: Settings, jobs: JobLifecycle) -> tuple[PurgeDuty, ...]:
    """Return the purges that are this process's to do."""
    of_records = PurgeDuty(jobs.objects, settings, PurgeKind.RECORDS, RedisFiles(settings))
    if settings.store_vacuum == "sidecar":
        return (of_records,)
    if settings.store_vacuum == "none":
        return (of_records, PurgeDuty(jobs.objects, settings, PurgeKind.STORAGE, NothingToErase()))
    return (of_records, PurgeDuty(jobs.objects, settings, PurgeKind.STORAGE, SeaweedFiles(settings), unasked=True))


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings)
    stop = until_told_to_stop()
    logger.info("upkeep is running")
    keep_up(settings, stop)


if __name__ == "__main__":
    main()
