"""Has SeaweedFS erase what was deleted: `python -m worker.vacuum [STORE]`, beside a store whose master only it reaches.

What it is to do and what it has done lies in the store itself, so it needs no Redis. One of them is enough, and two are
too many: the master does nothing for the one that comes while the other is served.

Given a command, it starts that as the store that it stands beside: both end when either does, so that whoever starts
them again starts both. They end as well when the store stays shut although its disk has room again.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from shared.config import Settings
from shared.observability import configure_logging
from shared.purges.erasers import SeaweedFiles
from shared.purges.ledger import PurgeKind
from shared.purges.upkeep import PurgeDuty
from shared.storage.full_disk import LOOK_EVERY_S, FullDisk
from shared.storage.s3 import S3ObjectStore
from shared.telemetry.duties import Duty, do_duties
from shared.telemetry.meter import Meter
from worker.duties import until_told_to_stop

logger = logging.getLogger("worker.vacuum")  # also when it is run as a program

ENDED_UNASKED: Final = 1
"""The exit code when the store ended, the purges did, or it stayed shut, and nobody had asked for it."""
_DATA_FOLDER: Final = "-dir="
_STORE_ENDS_WITHIN_S: Final = 8.0
"""One that stays shut after a full disk does not end by itself."""


def purge_until(stop: threading.Event, settings: Settings) -> None:
    """Purge when it is time, until told to stop."""
    purge = PurgeDuty(S3ObjectStore(settings), settings, PurgeKind.STORAGE, SeaweedFiles(settings), unasked=True)
    logger.info("vacuum is running")
    pause_s = settings.reconcile_interval_s
    duties = (Duty("purge of storage", purge.run, pause_s),)
    do_duties(duties, Meter(), pause_s=pause_s, stop=stop)  # counted for nobody: it has no Redis to tell


def watch_disk(folder: Path, stop: threading.Event, settings: Settings) -> None:
    """Return when the store is to be started again, or when told to stop."""
    disk = FullDisk(folder, settings.s3_bucket, partial(S3ObjectStore, settings))
    while not stop.wait(LOOK_EVERY_S):
        if disk.store_is_shut():
            logger.error("the store takes no writes although its disk has room again; it is started again")
            return


def run_beside(command: Sequence[str], stop: threading.Event, settings: Settings) -> int:
    """Run a store and the purges until told to stop, or until either ends; return the exit code.

    A purge in hand is left: it can be done again, and the store must hear of the end at once. Its thread may not see
    the interpreter fall apart, so whoever calls this is to end the process at once.
    """
    store = subprocess.Popen(command)  # noqa: S603  the container's own command, from nobody else
    unasked = threading.Event()

    def until_the_end_of(what: Callable[[], object]) -> None:
        try:
            what()
        finally:  # a store for which nobody erases must not go on as if nothing were
            if not stop.is_set():
                unasked.set()
            stop.set()

    ends: list[tuple[str, Callable[[], object]]] = [
        ("store", store.wait),
        ("purges", partial(purge_until, stop, settings)),
    ]
    if folder := next((part.removeprefix(_DATA_FOLDER) for part in command if part.startswith(_DATA_FOLDER)), None):
        ends.append(("disk", partial(watch_disk, Path(folder), stop, settings)))
    for name, what in ends:
        threading.Thread(target=until_the_end_of, args=(what,), daemon=True, name=name).start()
    stop.wait()
    store.terminate()
    try:
        store.wait(_STORE_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        store.kill()
        store.wait()
    return ENDED_UNASKED if unasked.is_set() else 0


def main(command: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    settings = Settings()
    configure_logging(settings)
    stop = until_told_to_stop()
    if command:
        return run_beside(command, stop, settings)
    purge_until(stop, settings)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # not by way of the interpreter's end, which a thread in the midst of a purge would abort
