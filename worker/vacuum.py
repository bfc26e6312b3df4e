"""Has SeaweedFS erase what was deleted: `python -m worker.vacuum`, beside a store whose master only it can reach.

What it is to do and what it has done lies in the store itself, so it needs no Redis. One of them is enough, and two are
too many: the master does nothing for the one that comes while the other is served.
"""

from __future__ import annotations

import logging

from shared.config import Settings
from shared.observability import configure_logging
from shared.purges.erasers import SeaweedFiles
from shared.purges.ledger import PurgeKind
from shared.purges.upkeep import PurgeDuty
from shared.storage.s3 import S3ObjectStore
from shared.telemetry.duties import Duty, do_duties
from shared.telemetry.meter import Meter
from worker.duties import until_told_to_stop

logger = logging.getLogger("worker.vacuum")  # also when it is run as a program


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings)
    stop = until_told_to_stop()
    purge = PurgeDuty(S3ObjectStore(settings), settings, PurgeKind.STORAGE, SeaweedFiles(settings), unasked=True)
    logger.info("vacuum is running")
    pause_s = settings.reconcile_interval_s
    duties = (Duty("purge of storage", purge.run, pause_s),)
    do_duties(duties, Meter(), pause_s=pause_s, stop=stop)  # counted for nobody: it has no Redis to tell


if __name__ == "__main__":
    main()
