"""What a folder for each job costs the store: `python -m bench.store_folders --rounds 3 --jobs 2000`.

Writes outcomes into a folder of each job and into one folder, in turns, over one store; lists them as a rebuild does,
looks for the outcome of some jobs alone, and deletes all. Wall time is what a rebuild waits, CPU is the store's own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.speed.accounting import cpu_window
from bench.speed.rounds import rotated
from shared.names import new_job_id
from shared.storage.base import ObjectStore
from shared.storage.s3 import S3ObjectStore
from stack.object_store import NAME
from stack.services import settings_of
from stack.stack import Stack

OUTCOME: Final = bytes(20_000)
HANDS: Final = 4
LOOKED_FOR: Final = 200
LAYOUTS: Final[Mapping[str, str]] = {"a folder for each job": "/", "one folder": "."}


def steps(objects: ObjectStore, folder: str, sign: str, jobs: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return what is measured, in order: how many things it does, and how."""
    prefixes = [f"outcomes/{folder}/{new_job_id()}{sign}" for _ in range(jobs)]
    looked_for = prefixes[:: max(1, jobs // LOOKED_FOR)]

    def each(do: Callable[[str], object], what: Iterable[str]) -> None:
        with ThreadPoolExecutor(HANDS) as hands:
            list(hands.map(do, what))

    def list_all() -> None:
        found = sum(1 for _ in objects.list(f"outcomes/{folder}/"))
        if found != jobs:
            raise SystemExit(f"{found} of {jobs} outcomes are listed")

    return {
        "write": (jobs, lambda: each(lambda prefix: objects.put_if_absent(f"{prefix}000001", OUTCOME), prefixes)),
        "list all": (jobs, list_all),
        "list one": (len(looked_for), lambda: each(lambda prefix: list(objects.list(prefix)), looked_for)),
        "delete": (jobs, lambda: each(lambda prefix: objects.delete(f"{prefix}000001"), prefixes)),
    }


def measure(rounds: int, jobs: int) -> dict[str, dict[str, float]]:
    """Return medians over rounds: milliseconds for each thing done, waited and of the store's CPU, by layout."""
    found: dict[str, dict[str, list[float]]] = {layout: defaultdict(list) for layout in LAYOUTS}
    with tempfile.TemporaryDirectory(prefix="facefit-bench-") as folder:
        stack = Stack(Path(folder), echo=lambda _: None)
        try:
            stack.start_stores()
            objects = S3ObjectStore(settings_of(stack.settings_env))
            for turn, layout in rotated(list(LAYOUTS), rounds):
                for step, (count, do) in steps(
                    objects, f"turn-{turn}{len(found[layout])}", LAYOUTS[layout], jobs
                ).items():
                    with cpu_window(lambda: {NAME: stack.supervisor.pid(NAME)}) as window:
                        do()
                    found[layout][f"{step}, ms"].append(1000 * window.wall_s / count)
                    found[layout][f"{step}, store CPU ms"].append(1000 * window.cpu_s[NAME] / count)
        finally:
            stack.close()
    return {
        layout: {what: round(statistics.median(values), 3) for what, values in told.items()}
        for layout, told in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2000)
    given = parser.parse_args()
    print(json.dumps(measure(given.rounds, given.jobs), indent=1))


if __name__ == "__main__":
    main()
