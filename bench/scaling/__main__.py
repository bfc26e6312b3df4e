"""What each part of the service costs for a photo, and where the first ceiling is: `python -m bench.scaling`.

Runs the whole stack on this machine, first with measuring replaced by a sleep in `--processes` worker processes, so
that what is around it is what is loaded, then as it is. Writes (`--out`) the CPU of each part for each photo, with the
load the machine had beside; `python -m bench.scaling.capacity` makes the tables of `docs/scaling.md` from that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.scaling.cpu import cpu_ms
from bench.scaling.figures import FIGURES
from bench.scaling.loads import CONNECTIONS, phone_photo, poll, portrait, ring, send_batch, send_singles
from bench.scaling.sleeping_worker import SLEEP_VARIABLE
from stack.child import ChildSpec
from stack.services import cores
from stack.stack import Stack
from tests.scaling.patient import patient_stack

PHOTOS, PROCESSES, SLEEP_S = 1000, 10, 0.008
"""The sleep is about what measuring a small photo takes of a core."""
IDLE_S = 20.0
WARM_UP = CONNECTIONS * 2
PART_OF_LOAD = 4
"""Real photos and polls of a run: fewer photos, as each costs more, and more polls."""


def asleep(processes: int, sleep_s: float, spec: ChildSpec) -> ChildSpec:
    """Return how to run a worker whose measuring is a sleep; other processes as they are."""
    if not spec.name.startswith("worker-"):
        return spec
    command = list(spec.command)
    command[command.index("worker.celery_app")] = "bench.scaling.sleeping_worker"
    command[command.index("--concurrency") + 1] = str(processes)
    return replace(spec, command=tuple(command), env={**(spec.env or {}), SLEEP_VARIABLE: str(sleep_s)})


def measure(stack: Stack, name: str, count: int, load: Callable[[int], None]) -> dict[str, Any]:
    """Return what `count` of something cost each part, in ms of CPU for each of them."""
    own, before, began_s = time.process_time(), cpu_ms(stack), time.monotonic()
    load(count)
    took_s = time.monotonic() - began_s
    after, own_s = cpu_ms(stack), time.process_time() - own
    found = {
        "run": name,
        "count": count,
        "per_s": round(count / took_s, 1),
        "cpu_ms": {part: round((after[part] - before[part]) / count, 3) for part in before},
        "load_s_cpu": round(own_s, 2),
        "cores_used": round((sum(after.values()) - sum(before.values())) / 1000 / took_s + own_s / took_s, 2),
        "machine_load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(found), flush=True)
    return found


def run_all(photos: int, processes: int, sleep_s: float) -> list[dict[str, Any]]:
    small, large, few = portrait(), phone_photo(), photos // PART_OF_LOAD // CONNECTIONS * CONNECTIONS
    found = []
    unlimited = {"FACEFIT_MAX_BATCH_ITEMS": str(max(10_000, photos))}
    alter = partial(asleep, processes, sleep_s)
    with tempfile.TemporaryDirectory() as folder, patient_stack(Path(folder), unlimited, alter) as stack:
        send_singles(stack, small, WARM_UP)
        before = cpu_ms(stack)
        time.sleep(IDLE_S)
        idle = {part: round((spent - before[part]) / IDLE_S, 2) for part, spent in cpu_ms(stack).items()}
        found += [
            {"run": "idle", "cpu_ms_per_s": idle},
            measure(stack, "single, asleep", photos, lambda count: send_singles(stack, small, count)),
            measure(stack, "batch, asleep", photos, lambda count: send_batch(stack, small, count)),
            measure(stack, "poll", photos * PART_OF_LOAD, lambda count: poll(stack, count)),
            measure(stack, "doorbell", photos * PART_OF_LOAD, lambda count: ring(stack, count)),
        ]
    with tempfile.TemporaryDirectory() as folder, patient_stack(Path(folder), {}) as stack:
        send_singles(stack, small, WARM_UP)
        found += [
            measure(stack, "single, 512 px", few, lambda count: send_singles(stack, small, count)),
            measure(stack, "batch, 512 px", few, lambda count: send_batch(stack, small, count)),
            measure(stack, "single, 12 MP", few, lambda count: send_singles(stack, large, count)),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--processes", type=int, default=PROCESSES, help="worker processes that sleep")
    parser.add_argument("--sleep", type=float, default=SLEEP_S, metavar="SECONDS", help="instead of measuring")
    parser.add_argument("--out", type=Path, default=FIGURES)
    args = parser.parse_args()
    run_and_write(args.out, args.photos, args.processes, args.sleep)


def run_and_write(out: Path, photos: int = PHOTOS, processes: int = PROCESSES, sleep_s: float = SLEEP_S) -> None:
    told = {"cores": cores(), "python": platform.python_version(), "processes": processes, "sleep_s": sleep_s}
    runs = run_all(photos // CONNECTIONS * CONNECTIONS, processes, sleep_s)
    out.write_text(json.dumps({**told, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
