"""Photos a second and CPU per photo: the limit, the original service and this one, in turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bench.speed.bars import reached
from bench.speed.photos import PHONE_2MP, PHONE_12MP, PNG, PORTRAIT_512, WEBP, Kind
from bench.speed.rounds import Figure, Turn, ratios, rotated
from bench.speed.service import AT_ONCE, is_worker
from bench.speed.setting import Setting

BARE: Final = "bare loop"
BEST: Final = "original, one mesh kept"
SHIPPED: Final = "original, as shipped"
ONE: Final = "one by one"
CROWD: Final = "16 at once"
BATCH: Final = "in a batch"

Turns = Mapping[str, Sequence[Turn]]


def measure_throughput(setting: Setting) -> dict[str, Any]:
    """Run the rounds of both sizes that have bars."""
    setting.have_bulk_workers(setting.cores)
    large = _rounds(setting, PHONE_12MP, setting.sizes.large)
    small = _rounds(setting, PORTRAIT_512, setting.sizes.small)
    bars = {
        "efficiency_12mp": efficiency(large, CROWD),
        "efficiency_12mp_batch": efficiency(large, BATCH),
        "efficiency_512_one": efficiency(small, ONE),
        "efficiency_512_batch": efficiency(small, BATCH),
        "service_12mp": against_original(large, CROWD),
        "service_12mp_batch": against_original(large, BATCH),
        "service_512": against_original(small, CROWD),
        "service_512_batch": against_original(small, BATCH),
    }
    kinds = ((PHONE_12MP, large), (PORTRAIT_512, small))
    return {
        "bars": {name: reached(figure) for name, figure in bars.items()},
        "contenders": {kind.name: {name: summary(of) for name, of in turns.items()} for kind, turns in kinds},
        "photo_bytes": {kind.name: setting.pool(kind).mean_bytes for kind, _ in kinds},
    }


def measure_formats(setting: Setting) -> dict[str, Any]:
    """Send the other kinds of photos once, 16 at once."""
    rows = {}
    for kind in (PHONE_2MP, PNG, WEBP):
        count = setting.sizes.formats
        pool = setting.pool(kind, 2 * count)
        bare, ours = setting.bare.run(pool.take(count)), setting.service.run(pool.take(count), kind, AT_ONCE)
        turns = {BARE: [bare], CROWD: [ours]}
        rows[kind.name] = {
            "photo_bytes": pool.mean_bytes,
            "efficiency": efficiency(turns, CROWD).median,
            "contenders": {name: summary(of) for name, of in turns.items()},
        }
    return {"bars": {}, "formats": rows}


def efficiency(turns: Turns, way: str) -> Figure:
    """Return what share of the workers' CPU the bare loop would have needed."""
    return ratios([turn.cpu_ms() for turn in turns[BARE]], [turn.cpu_ms(is_worker) for turn in turns[way]])


def against_original(turns: Turns, way: str) -> Figure:
    """Return how many times as many photos a second as the original at its best."""
    return ratios([turn.photos_per_s for turn in turns[way]], [turn.photos_per_s for turn in turns[BEST]])


def summary(turns: Sequence[Turn]) -> dict[str, Any]:
    """Sum up a contender's turns: photos a second, and CPU per photo by kind of process [ms]."""
    kinds = sorted({kind for turn in turns for kind in turn.cpu_s})
    rate = Figure.of([turn.photos_per_s for turn in turns])
    return {
        "photos": sum(turn.photos for turn in turns),
        "measured": sum(turn.measured for turn in turns),
        "photos_per_s": reached(rate),
        "cpu_ms": {kind: Figure.of([turn.cpu_ms(kind.__eq__) for turn in turns]).median for kind in kinds},
        "cpu_ms_all": reached(Figure.of([turn.cpu_ms() for turn in turns])),
    }


def _rounds(setting: Setting, kind: Kind, count: int) -> Turns:
    pool = setting.pool(kind)
    contenders: dict[str, Callable[[list[bytes]], Turn]] = {
        BARE: setting.bare.run,
        BEST: lambda photos: setting.original_best.run(photos, kind, AT_ONCE),
        SHIPPED: lambda photos: setting.original_shipped.run(photos, kind, AT_ONCE),
        ONE: lambda photos: setting.service.run(photos, kind, 1),
        CROWD: lambda photos: setting.service.run(photos, kind, AT_ONCE),
        BATCH: lambda photos: setting.service.run_batch(photos, kind),
    }
    for run in contenders.values():
        run(pool.take(2 * setting.cores))  # whatever is set up by a first photo
    turns: dict[str, list[Turn]] = defaultdict(list)
    for number, name in rotated(list(contenders), setting.sizes.rounds):
        turn = contenders[name](pool.take(count))
        turns[name].append(turn)
        told = f"{turn.photos_per_s:.1f} photos/s, {turn.cpu_ms():.1f} ms CPU"
        print(f"  {kind.name}, round {number + 1}, {name}: {told}", flush=True)
    return turns
