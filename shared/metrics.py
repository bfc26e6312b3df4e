"""Every metric there is: its name, what it says, its labels. A name that is not here cannot be counted.

Labels take values that the code knows beforehand. What clients choose (tenants, ids, paths, hosts) is never one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from shared.errors import UndeclaredMetric

if TYPE_CHECKING:
    from collections.abc import Mapping

PHOTO_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""A stage of measuring takes milliseconds to the photo's time limit, whose default is 20 s."""
REQUEST_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""A request takes milliseconds to the longest wait, whose default is 30 s; an upload may take longer."""


Merge = Callable[[Iterable[float]], float]


class Kind(StrEnum):
    """What Prometheus calls the kinds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class CountedBy(StrEnum):
    """Who counts, which says what is lost when."""

    CHANGE = "change"
    """The script in Redis that makes the change: exactly once with it. Starts anew when Redis is lost."""
    PROCESS = "process"
    """The process that saw it, sent every few seconds: a killed process loses what it had not sent."""
    SCRAPE = "scrape"
    """Nobody; read when asked for."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : str
        As Prometheus sees it.
    kind : Kind
        What may be done with it.
    text : str
        What it says, in one sentence.
    labels : tuple of str
        The names of its labels, in order.
    counted_by : CountedBy
        Who counts.
    buckets_s : tuple of float
        Upper bounds of a histogram's buckets [s], but for the last, which has none.
    merge : callable
        Makes one value of those that several processes hold.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    counted_by: CountedBy = CountedBy.PROCESS
    buckets_s: tuple[float, ...] = ()
    merge: Merge = sum


def _change(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, text, labels, CountedBy.CHANGE)


def _count(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, text, labels)


def _read(name: str, text: str, *labels: str, merge: Merge = sum) -> Metric:
    return Metric(name, Kind.GAUGE, text, labels, CountedBy.SCRAPE, merge=merge)


def _held(name: str, text: str, merge: Merge = sum) -> Metric:
    return Metric(name, Kind.GAUGE, text, merge=merge)


ACCEPTED: Final = "facefit_jobs_accepted_total"
RESTORED: Final = "facefit_jobs_restored_open_total"
TERMINAL: Final = "facefit_jobs_terminal_total"
REOPENED: Final = "facefit_jobs_reopened_total"
DROPPED_OPEN: Final = "facefit_jobs_dropped_open_total"
ATTEMPTS: Final = "facefit_attempts_total"
PUT_OFF: Final = "facefit_attempts_put_off_total"
LEASES_LOST: Final = "facefit_leases_lost_total"
DELIVERIES_ENDED: Final = "facefit_deliveries_ended_total"
OPEN_JOBS: Final = "facefit_open_jobs"
QUEUE_DEPTH: Final = "facefit_queue_depth"
QUEUE_OLDEST_S: Final = "facefit_queue_oldest_seconds"
LIVE_WORKERS: Final = "facefit_live_workers"
CANARY_S: Final = "facefit_canary_seconds"
CANARY_AGE_S: Final = "facefit_canary_age_seconds"
MEASURED_AGE_S: Final = "facefit_last_measured_age_seconds"
DELIVERIES_OVERDUE: Final = "facefit_deliveries_overdue"
DELIVERIES_OLDEST_S: Final = "facefit_deliveries_overdue_oldest_seconds"
CLEANUPS_OWED: Final = "facefit_cleanups_owed"
CLEANUPS_OLDEST_S: Final = "facefit_cleanups_oldest_seconds"
REDIS_MEMORY_BYTES: Final = "facefit_redis_memory_bytes"
REDIS_MEMORY_LIMIT_BYTES: Final = "facefit_redis_memory_limit_bytes"
REBUILT: Final = "facefit_records_complete"
UP: Final = "facefit_up"
REQUESTS: Final = "facefit_requests_total"
REQUEST_S: Final = "facefit_request_seconds"
PROBLEMS: Final = "facefit_problems_total"
WAITERS: Final = "facefit_waiters"
STAGE_S: Final = "facefit_stage_seconds"
CANARIES: Final = "facefit_canaries_total"
RECONCILED: Final = "facefit_reconciled_total"
DUTIES: Final = "facefit_duties_total"
DELIVERY_ATTEMPTS: Final = "facefit_delivery_attempts_total"
DELIVERY_S: Final = "facefit_delivery_seconds"
FETCHES: Final = "facefit_fetches_total"
DEPENDENCY_ERRORS: Final = "facefit_dependency_errors_total"
STORAGE_CHECK_S: Final = "facefit_storage_check_seconds"

_ALL: Final = (
    _change(ACCEPTED, "Photos that were accepted, by how they came: `upload`, `url`, `presigned`.", "queue", "source"),
    _change(
        RESTORED,
        "Open jobs whose record was made from storage: Redis was lost, or an API died before it wrote one.",
        "queue",
    ),
    _change(
        TERMINAL,
        "Ends of jobs, by state, and by code for those rejected and failed (else empty).",
        *("queue", "status", "code"),
    ),
    _change(REOPENED, "Failed jobs that were queued again by a retry.", "queue"),
    _change(DROPPED_OPEN, "Jobs that were deleted or expired before they had ended.", "queue"),
    _change(ATTEMPTS, "Claims of a job by a worker: the `first` of a run, or one `again`.", "queue", "turn"),
    _change(
        PUT_OFF, "Claims that were given back: for a `dependency` that was away, or a `fault` of ours.", "queue", "why"
    ),
    _change(LEASES_LOST, "Claims of a job whose worker before did not come back in time.", "queue"),
    _change(DELIVERIES_ENDED, "Deliveries that came to an end, by the state they ended in.", "status"),
    _read(OPEN_JOBS, "Jobs that have not ended, by state.", "queue", "status"),
    _read(QUEUE_DEPTH, "Jobs that wait to be measured.", "queue"),
    _read(QUEUE_OLDEST_S, "How long the job has waited that waits longest; 0 with none.", "queue"),
    _read(LIVE_WORKERS, "Worker processes that said lately that they are ready.", "queue"),
    _read(CANARY_S, "How long the last canary took that was measured as it should be.", "queue"),
    _read(CANARY_AGE_S, "How long ago that was.", "queue"),
    _read(MEASURED_AGE_S, "How long ago the last photo of a job ended with a result.", "queue"),
    _read(DELIVERIES_OVERDUE, "Deliveries that are due and that no sender has taken."),
    _read(DELIVERIES_OLDEST_S, "How long the one is overdue that is overdue longest; 0 with none."),
    _read(CLEANUPS_OWED, "Objects, or groups of them, that are to be deleted from storage and are not yet."),
    _read(CLEANUPS_OLDEST_S, "How long the deletion is owed that is owed longest; 0 with none."),
    _read(REDIS_MEMORY_BYTES, "Memory that Redis uses."),
    _read(REDIS_MEMORY_LIMIT_BYTES, "Memory that Redis may use; 0 for no limit."),
    _read(REBUILT, "1 while the records are complete, 0 while they are rebuilt after a loss."),
    _read(
        UP,
        "1 if the part answers: `redis` when this is read; `storage`, and `upkeep` itself, as the upkeep said lately.",
        "part",
        merge=min,
    ),
    _count(
        REQUESTS, "Requests, by the template of their route and the class of their status.", "method", "route", "status"
    ),
    Metric(
        REQUEST_S,
        Kind.HISTOGRAM,
        "Seconds until a request's answer was sent to its end.",
        ("route",),
        buckets_s=REQUEST_BUCKETS_S,
    ),
    _count(
        PROBLEMS,
        "Problems that the application answered, by code; `rate_limited` among them. What the server refuses before it"
        " (no place for an upload, a head that is slow or bad) is in the log alone: `is refused`.",
        "code",
    ),
    _held(WAITERS, "Requests that are held until a job or batch has ended."),
    Metric(
        STAGE_S,
        Kind.HISTOGRAM,
        "Seconds that a stage of a photo took: `fetch` from storage, `decode`, `mesh`, `measure`, `store`, `settle`.",
        ("queue", "stage"),
        buckets_s=PHOTO_BUCKETS_S,
    ),
    _count(CANARIES, "Canaries that a worker measured: `ok`, or `wrong`.", "queue", "outcome"),
    _count(RECONCILED, "What the upkeep set right, by kind.", "kind"),
    _count(DUTIES, "Rounds of a duty of the upkeep: `done`, `put_off` (a part was away), `wrong`.", "duty", "outcome"),
    _count(DELIVERY_ATTEMPTS, "Attempts at deliveries, by what became of them.", "outcome"),
    Metric(
        DELIVERY_S,
        Kind.HISTOGRAM,
        "Seconds that a receiver took to answer, or to be given up.",
        buckets_s=PHOTO_BUCKETS_S,
    ),
    _count(FETCHES, "Attempts to fetch a photo from a URL, by what became of them.", "outcome"),
    _count(
        DEPENDENCY_ERRORS,
        "Times that work was put off, or a request refused, because a part was away: `redis`, `storage`, `broker`.",
        "part",
    ),
    _held(STORAGE_CHECK_S, "Seconds that the upkeep's last look at storage took.", merge=max),
)

METRICS: Final[Mapping[str, Metric]] = MappingProxyType({metric.name: metric for metric in _ALL})
"""All of them, by name."""


def metric(name: str) -> Metric:
    """Return a metric.

    Raises
    ------
    UndeclaredMetric
        If there is none of that name.
    """
    found = METRICS.get(name)
    if found is None:
        raise UndeclaredMetric(f"no metric is called {name!r}: shared/metrics.py lists them")
    return found


_BETWEEN: Final = "|"
_SUM: Final = "sum"
_LAST: Final = "+Inf"


def series(name: str, labels: tuple[str, ...]) -> str:
    """Return the name under which the amount of one series is kept; the scripts in `lua/` spell it alike.

    Raises
    ------
    UndeclaredMetric
        If there is no such metric, or it has other labels.
    """
    if len(labels) != len(metric(name).labels):
        raise UndeclaredMetric(f"{name} has the labels {metric(name).labels}, not {len(labels)} of them")
    return _BETWEEN.join((name, *labels))


def parts(kept: str) -> tuple[str, tuple[str, ...]]:
    """Return metric and labels of a series; of a histogram's with what it is an amount of behind the labels."""
    name, *labels = kept.split(_BETWEEN)
    return name, tuple(labels)


def histogram_series(name: str, labels: tuple[str, ...], seconds: float) -> tuple[str, str]:
    """Return under which names one observation counts: in its bucket, and with its seconds in the sum."""
    first = series(name, labels)
    bound = next((f"{bound:g}" for bound in metric(name).buckets_s if seconds <= bound), _LAST)
    return f"{first}{_BETWEEN}{bound}", f"{first}{_BETWEEN}{_SUM}"
