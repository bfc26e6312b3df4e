"""All metrics as Prometheus reads them: one page for every process of the service, whoever is asked for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from shared.clock import MS_PER_S
from shared.metrics import (
    CANARY_AGE_S,
    CANARY_S,
    CLEANUPS_OLDEST_S,
    CLEANUPS_OWED,
    DELIVERIES_OLDEST_S,
    DELIVERIES_OVERDUE,
    LIVE_WORKERS,
    MEASURED_AGE_S,
    METRICS,
    OPEN_JOBS,
    QUEUE_DEPTH,
    QUEUE_OLDEST_S,
    REBUILT,
    REDIS_MEMORY_BYTES,
    REDIS_MEMORY_LIMIT_BYTES,
    UP,
    Kind,
    Metric,
    parts,
    series,
)

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

    from shared.deliveries.store import Overdue
    from shared.telemetry.store import QueueState, Snapshot

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SUM: Final = "sum"
_LAST: Final = "+Inf"

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be told now; of parts that do not answer, nothing.

    Attributes
    ----------
    snapshot : Snapshot or None
        None if Redis does not answer.
    overdue : Overdue or None
        The same, of deliveries.
    """

    snapshot: Snapshot | None
    overdue: Overdue | None


def render(seen: Seen) -> bytes:
    """Return the page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(_amounts(seen)))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(self, amounts: Mapping[str, float]) -> None:
        self._by_metric: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
        for kept, amount in amounts.items():
            name, labels = parts(kept)
            self._by_metric[name][labels] = amount

    def collect(self) -> Iterator[Family]:
        for metric in METRICS.values():
            found = self._by_metric[metric.name]
            if metric.kind is Kind.HISTOGRAM:
                yield _histogram(metric, found)
            else:
                yield _simple(metric, found)


def _simple(metric: Metric, found: Mapping[Labels, float]) -> Family:
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.text, labels=metric.labels)
    # A counter without labels is there from the start, so that its first step up is seen as one.
    for labels, amount in (found or ({(): 0.0} if metric.kind is Kind.COUNTER and not metric.labels else {})).items():
        if len(labels) == len(metric.labels):  # else written by another version of the service
            family.add_metric(labels, amount)
    return family


def _histogram(metric: Metric, found: Mapping[Labels, float]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
    bounds = [f"{bound:g}" for bound in metric.buckets_s] + [_LAST]
    for labels in dict.fromkeys(kept[:-1] for kept in found if len(kept) == len(metric.labels) + 1):
        total, buckets = 0.0, []
        for bound in bounds:
            total += found.get((*labels, bound), 0.0)
            buckets.append((bound, total))
        family.add_metric(labels, buckets, sum_value=found.get((*labels, _SUM), 0.0))
    return family


def _amounts(seen: Seen) -> dict[str, float]:
    """Return the value of every series."""
    amounts: dict[str, float] = {}
    amounts[series(UP, ("redis",))] = float(seen.snapshot is not None)
    if seen.snapshot is not None:
        amounts.update(_known(seen.snapshot.counts))
        amounts.update(_merged(seen.snapshot.held))
        amounts.update(_read(seen.snapshot))
    if seen.overdue is not None:
        now_ms = seen.snapshot.taken_ms if seen.snapshot else 0
        amounts[DELIVERIES_OVERDUE] = seen.overdue.count
        amounts[DELIVERIES_OLDEST_S] = _age_s(now_ms, seen.overdue.oldest_ms)
    return amounts


def _merged(held: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return one value for what several processes hold."""
    by_series: defaultdict[str, list[float]] = defaultdict(list)
    for values in held:
        for kept, value in _known(values).items():
            by_series[kept].append(value)
    return {kept: METRICS[parts(kept)[0]].merge(values) for kept, values in by_series.items()}


def _known(values: Mapping[str, float]) -> dict[str, float]:
    return {kept: value for kept, value in values.items() if parts(kept)[0] in METRICS}


def _read(snapshot: Snapshot) -> Iterator[tuple[str, float]]:
    for (queue, status), count in snapshot.open_jobs.items():
        yield series(OPEN_JOBS, (queue, status)), count
    for queue, state in snapshot.queues.items():
        for name, value in _of_queue(state, snapshot.taken_ms):
            yield series(name, (queue,)), value
    yield CLEANUPS_OWED, snapshot.cleanups_owed
    yield CLEANUPS_OLDEST_S, _age_s(snapshot.taken_ms, snapshot.cleanups_oldest_ms)
    yield REDIS_MEMORY_BYTES, snapshot.memory_bytes
    yield REDIS_MEMORY_LIMIT_BYTES, snapshot.memory_limit_bytes
    yield REBUILT, float(snapshot.is_rebuilt)


def _of_queue(state: QueueState, now_ms: int) -> Iterator[tuple[str, float]]:
    yield QUEUE_DEPTH, state.depth
    yield QUEUE_OLDEST_S, _age_s(now_ms, state.oldest_ms)
    yield LIVE_WORKERS, state.live_workers
    if state.signs.canary_s is not None:
        yield CANARY_S, state.signs.canary_s
    if state.signs.ok_ms is not None:
        yield CANARY_AGE_S, _age_s(now_ms, state.signs.ok_ms)
    if state.signs.measured_ms is not None:
        yield MEASURED_AGE_S, _age_s(now_ms, state.signs.measured_ms)


def _age_s(now_ms: int, since_ms: int | None) -> float:
    """Return an age; clocks of other machines may be ahead."""
    return 0.0 if since_ms is None else max(0, now_ms - since_ms) / MS_PER_S
