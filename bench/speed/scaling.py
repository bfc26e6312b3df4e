"""How much sooner a batch ends with two worker processes than with one."""

from __future__ import annotations

import time
from typing import Any, Final

from bench.speed.bars import reached
from bench.speed.client import BatchBody, Http, await_batch, batch_counts, ended_of
from bench.speed.photos import PORTRAIT_512
from bench.speed.rounds import ratios, rotated
from bench.speed.setting import Setting

NEARLY_ALL: Final = 0.9
"""Until then every process has work: at the end of a batch, one may wait for another."""
PHOTOS_TIMES: Final = 2


def measure_scaling(setting: Setting) -> dict[str, Any]:
    """Send the same number of photos to one process and to two, in turns."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _, name in rotated(["1", "2"], setting.sizes.rounds):
        setting.have_bulk_workers(int(name))
        rates[int(name)].append(_rate(setting))
    return {"bars": {"scaling": reached(ratios(rates[2], rates[1]))}, "photos_per_s": rates}


def _rate(setting: Setting) -> float:
    """Return photos a second from the moment at which all are accepted until nearly all have ended."""
    photos = setting.pool(PORTRAIT_512).take(PHOTOS_TIMES * setting.sizes.small)
    with BatchBody(photos, PORTRAIT_512) as body, Http(setting.service.url) as http:
        batch_id = body.send(http)
        first, began_s = ended_of(batch_counts(http, batch_id)), time.perf_counter()
        last, ended_s = await_batch(http, batch_id, NEARLY_ALL)
        await_batch(http, batch_id)
    return (last - first) / (ended_s - began_s)
