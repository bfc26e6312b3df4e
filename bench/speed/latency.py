"""One photo on an idle service, from submitting it to having its result, and what of it is not decode and mesh."""

from __future__ import annotations

import time
from typing import Any, Final

from bench.speed.bars import reached
from bench.speed.client import Http, measure
from bench.speed.photos import PORTRAIT_512, Kind
from bench.speed.rounds import Figure, percentile
from bench.speed.setting import Setting

PAUSE_S: Final = 0.05
"""Between two photos, so that the service is idle again."""
_WARM_UP: Final = 5
_MS: Final = 1000


def measure_latency(setting: Setting) -> dict[str, Any]:
    """Time each photo twice, in turns: by a bare loop of one process, and by the service."""
    pool = setting.pool(PORTRAIT_512)
    beyond_ms, whole_ms, bare_ms = [], [], []
    with Http(setting.service.url) as http:
        for photo in pool.take(_WARM_UP):
            measure(http, photo, PORTRAIT_512)
        for photo in pool.take(setting.sizes.latencies):
            bare_ms.append(_MS * setting.bare_alone.run([photo]).wall_s)
            time.sleep(PAUSE_S)
            whole_ms.append(_MS * timed_s(http, photo, PORTRAIT_512))
            beyond_ms.append(whole_ms[-1] - bare_ms[-1])
    return {
        "bars": {"idle_latency": _median_and_quartiles(beyond_ms)},
        "whole_ms": _median_and_quartiles(whole_ms),
        "decode_and_mesh_ms": _median_and_quartiles(bare_ms),
    }


def timed_s(http: Http, photo: bytes, kind: Kind) -> float:
    """Submit a photo with `Prefer: wait`; return how long its result took [s]."""
    began_s = time.perf_counter()
    measure(http, photo, kind)
    return time.perf_counter() - began_s


def _median_and_quartiles(values: list[float]) -> dict[str, Any]:
    return reached(Figure(percentile(values, 50), percentile(values, 25), percentile(values, 75), len(values)))
