"""Kills every process group of a supervisor that is gone, however it went: run as a script, told through stdin.

A line `+PGID` puts a process group under guard, `-PGID` takes it off. The end of stdin means that the supervisor is
gone. The kernel's own parent-death signal would reach only the supervisor's direct children, and those that it
started from a thread still alive; a process group holds their children too. Whatever the supervisor lets the guard
inherit, such as the lock on its data folder, stays held until the last process is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import time

PATIENCE_S = 5.0
"""How long to wait for killed groups to vanish; a zombie that nobody reaps never does."""

PAUSE_S = 0.02


def main() -> None:
    """Keep the list of groups until stdin ends, then kill those on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        pgid = int(line[1:])
        if line.startswith("+"):
            groups.add(pgid)
        else:
            groups.discard(pgid)
    give_up_at = time.monotonic() + PATIENCE_S
    while groups and time.monotonic() < give_up_at:
        groups = {pgid for pgid in groups if _kill(pgid)}
        time.sleep(PAUSE_S)


def _kill(pgid: int) -> bool:
    try:
        os.killpg(pgid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
