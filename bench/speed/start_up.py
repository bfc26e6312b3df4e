"""How soon a worker that was started measures a photo, and what it imports until then."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from bench.speed.bars import reached
from bench.speed.client import Http, measure
from bench.speed.latency import timed_s
from bench.speed.photos import PORTRAIT_512
from bench.speed.rounds import Figure, rotated
from bench.speed.setting import Setting

WORKER: Final = "worker-interactive"
ROOT: Final = Path(__file__).parents[2]
SEND_AHEAD_S: Final = 0.5
SHOWN: Final = 12
IMPORTED: Final = {
    "worker": "import worker.celery_app; from worker.vision.face_mesh import preload; preload()",
    "API": "import api.app",
}
_LINE: Final = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| +([\w.]+)")
_US_PER_MS: Final = 1000


def measure_start_up(setting: Setting) -> dict[str, Any]:
    """Stop the worker, submit a photo, start the worker: how long until the result is there, less an idle latency?"""
    supervisor, pool = setting.service.stack.supervisor, setting.pool(PORTRAIT_512)
    taken_s = []
    with Http(setting.service.url) as http, ThreadPoolExecutor(1) as one:
        for _, _ in rotated([WORKER], setting.sizes.rounds):
            supervisor.stop(WORKER)
            ended = one.submit(lambda: (measure(http, pool.take(1)[0], PORTRAIT_512), time.perf_counter()))
            time.sleep(SEND_AHEAD_S)
            began_s = time.perf_counter()
            supervisor.start(WORKER)
            taken_s.append(ended.result()[1] - began_s)
        idle_s = Figure.of([timed_s(http, photo, PORTRAIT_512) for photo in pool.take(5)]).median
    return {
        "bars": {"start_up": reached(Figure.of(taken_s))},
        "idle_s": idle_s,
        "imports_ms": {name: import_times_ms(code) for name, code in IMPORTED.items()},
    }


def import_times_ms(code: str) -> dict[str, float]:
    """Return what importing costs, by top-level package [ms], the dearest first; `all` is their sum."""
    command = (sys.executable, "-X", "importtime", "-c", code)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=dict(os.environ))
    by_package = packages_of(done.stderr)
    shown = {name: us / _US_PER_MS for name, us in by_package.most_common(SHOWN)}
    return {"all": by_package.total() / _US_PER_MS, **shown}


def packages_of(report: str) -> Counter[str]:
    """Add up what `-X importtime` says of each module itself, by top-level package [µs]."""
    found: Counter[str] = Counter()
    for own_us, module in _LINE.findall(report):
        found[module.split(".")[0]] += int(own_us)
    return found
