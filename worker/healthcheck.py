"""Whether this container's worker is well: `python -m worker.healthcheck` exits 0 if it is, 1 and says why if not."""

from __future__ import annotations

import socket
import sys

from shared.config import Settings
from shared.errors import RecordsUnavailable
from shared.jobs.redis_store import RedisJobStore
from shared.jobs.store import JobStore
from shared.names import QueueName


def what_is_wrong(store: JobStore, host: str) -> str | None:
    """Return why no photo would be measured, or None if a process said lately that it is ready."""
    try:
        ready = sum(store.live_workers(queue, host=host) for queue in QueueName)
    except RecordsUnavailable as error:
        return str(error)
    return None if ready else f"no process of {host} said lately that it is ready to measure"


def main() -> None:
    """Look once and exit."""
    sys.exit(what_is_wrong(RedisJobStore(Settings()), socket.gethostname()))


if __name__ == "__main__":
    main()
