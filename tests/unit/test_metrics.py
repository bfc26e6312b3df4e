"""Counting in a process, adding up, and the page that Prometheus reads."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from shared.deliveries.store import Overdue
from shared.errors import (
    QueueUnavailable,
    RecordsRebuilding,
    RecordsUnavailable,
    StorageUnavailable,
    UndeclaredMetric,
)
from shared.jobs.memory_store import MemoryJobStore
from shared.jobs.store import JobStore
from shared.metrics import (
    DEPENDENCY_ERRORS,
    DUTIES,
    METRICS,
    PROBLEMS,
    RECONCILED,
    REQUEST_S,
    STAGE_S,
    UP,
    WAITERS,
    CountedBy,
    Kind,
    parts,
    series,
)
from shared.telemetry.duties import Duty, do_duties
from shared.telemetry.exposition import Seen, render
from shared.telemetry.meter import Meter, Relay
from shared.telemetry.store import MetricStore
from tests.clock import FakeClock
from tests.core import Core
from tests.tallies import tallied

ROOT = Path(__file__).parents[2]


def samples(page: bytes | str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = page.decode() if isinstance(page, bytes) else page
    found: list[Sample] = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    keyed = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert len(keyed) == len(found), "a series comes twice"
    return keyed


def test_the_registry_is_in_order() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"facefit_[a-z_]+", name)
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER), name
        assert bool(metric.buckets_s) == (metric.kind is Kind.HISTOGRAM), name
        assert list(metric.buckets_s) == sorted(metric.buckets_s)
        assert metric.text.endswith(".")
        assert not {"tenant", "job", "batch", "id", "url", "path", "host", "le"} & set(metric.labels)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda meter: meter.count("facefit_nonsense_total"),
        lambda meter: meter.count(PROBLEMS),
        lambda meter: meter.count(PROBLEMS, "a", "b"),
        lambda meter: meter.count(WAITERS),
        lambda meter: meter.observe(PROBLEMS, 1.0, "a"),
        lambda meter: meter.hold(PROBLEMS, 1.0, "a"),
        lambda meter: meter.add_held(REQUEST_S, 1, "/"),
    ],
)
def test_what_is_not_registered_cannot_be_counted(misuse: object) -> None:
    assert callable(misuse)
    with pytest.raises(UndeclaredMetric):
        misuse(Meter())


def tallies_in_scripts() -> list[tuple[str, int]]:
    """Return the names that scripts count under, and with how many labels each."""
    found = []
    for path in (ROOT / "shared").rglob("*.lua"):
        text = path.read_text()
        for name, labels in re.findall(r"tally\('(\w+)'((?:, [^,()]+(?:\[[^\]]*\])?[^,()]*)*)\)", text):
            found.append((name, labels.count(", ")))
        for name, rest in re.findall(r"'(facefit_\w+_total)\|' \.\. (\w+)", text):
            found.append((name, 1 if rest else 0))
    return found


def test_scripts_count_what_is_registered_and_all_that_is_said_of_them() -> None:
    found = tallies_in_scripts()
    assert {name for name, _ in found} == {name for name, m in METRICS.items() if m.counted_by is CountedBy.CHANGE}
    assert {(name, count) for name, count in found} == {(name, len(METRICS[name].labels)) for name, _ in found}


def test_what_was_counted_is_taken_once() -> None:
    meter = Meter()
    meter.count(PROBLEMS, "not_found")
    meter.count(PROBLEMS, "not_found", by=2)
    assert meter.take() == {"facefit_problems_total|not_found": 3}
    assert meter.take() == {}


def test_seconds_fall_into_their_bucket() -> None:
    meter = Meter()
    for seconds in (0.004, 0.005, 0.3, 99.0):
        meter.observe(STAGE_S, seconds, "bulk", "decode")
    assert meter.take() == {
        "facefit_stage_seconds|bulk|decode|0.005": 2,
        "facefit_stage_seconds|bulk|decode|0.5": 1,
        "facefit_stage_seconds|bulk|decode|+Inf": 1,
        "facefit_stage_seconds|bulk|decode|sum": pytest.approx(99.309),
    }


def test_a_block_is_timed_also_when_it_raises() -> None:
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter.timed(STAGE_S, "bulk", "decode"):
        raise ZeroDivisionError
    assert "facefit_stage_seconds|bulk|decode|sum" in meter.take()


def test_many_threads_lose_nothing() -> None:
    meter = Meter()
    taken: Counter[str] = Counter()

    def work() -> None:
        for _ in range(2000):
            meter.count(PROBLEMS, "x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken.update({name: int(amount) for name, amount in meter.take().items()})
    taken.update({name: int(amount) for name, amount in meter.take().items()})
    assert taken["facefit_problems_total|x"] == 8000


@pytest.mark.parametrize(
    ("error", "part"),
    [(RecordsUnavailable, "redis"), (StorageUnavailable, "storage"), (QueueUnavailable, "broker")],
)
def test_a_part_that_is_away_is_counted_by_name(error: type[RecordsUnavailable], part: str) -> None:
    meter = Meter()
    meter.trouble(error("away"))
    assert meter.take() == {series(DEPENDENCY_ERRORS, (part,)): 1}


def test_a_rebuild_is_no_part_that_is_away() -> None:
    meter = Meter()
    meter.trouble(RecordsRebuilding("rebuilding"))
    assert meter.take() == {}


class Forgetful:
    """Adds, and loses its answer the first time."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._lost = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def add(self, token: str, amounts: Mapping[str, float]) -> bool:
        added = self._store.add(token, amounts)
        if not self._lost:
            self._lost = True
            message = "the answer was lost"
            raise RecordsUnavailable(message)
        return added


def test_a_lost_answer_makes_nothing_count_twice(clock: FakeClock) -> None:
    store, meter = MemoryJobStore(clock), Meter()
    relay = Relay(meter, Forgetful(store.metrics), every_s=5)  # type: ignore[arg-type]
    meter.count(PROBLEMS, "x")
    with pytest.raises(RecordsUnavailable):
        relay.send()
    meter.count(PROBLEMS, "x")
    relay.send()
    relay.send()
    assert tallied(store) == {"facefit_problems_total|x": 2}


def test_nothing_is_lost_while_redis_is_away(clock: FakeClock) -> None:
    store, meter = MemoryJobStore(clock), Meter()
    relay = Relay(meter, store.metrics, every_s=5)
    store.away = True
    for _ in range(3):
        meter.count(PROBLEMS, "x")
        meter.hold(WAITERS, 4)
        with pytest.raises(RecordsUnavailable):
            relay.send()
    store.away = False
    relay.send()
    relay.send()
    assert tallied(store) == {"facefit_problems_total|x": 3}
    assert [dict(values) for values in store.metrics.snapshot().held] == [{"facefit_waiters": 4}]


def page_of(store: JobStore) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return samples(render(Seen(store.metrics.snapshot(), Overdue(0, None))))


def test_a_histogram_as_prometheus_has_it(clock: FakeClock) -> None:
    store, meter = MemoryJobStore(clock), Meter()
    for seconds in (0.003, 0.003, 0.2, 90.0):
        meter.observe(STAGE_S, seconds, "bulk", "decode")
    store.metrics.add("t", meter.take())
    page = page_of(store)
    where = (("queue", "bulk"), ("stage", "decode"))
    assert page["facefit_stage_seconds_count", where] == 4
    assert page["facefit_stage_seconds_sum", where] == pytest.approx(90.206)
    buckets = [value for (name, _), value in page.items() if name == "facefit_stage_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[-1], len(buckets)) == (2, 4, len(METRICS[STAGE_S].buckets_s) + 1)


def test_what_several_processes_hold_becomes_one_value(clock: FakeClock) -> None:
    store = MemoryJobStore(clock)
    store.metrics.hold("a", {WAITERS: 2, series(UP, ("storage",)): 1, "facefit_storage_check_seconds": 0.1}, valid_s=15)
    store.metrics.hold("b", {WAITERS: 3, series(UP, ("storage",)): 0, "facefit_storage_check_seconds": 0.3}, valid_s=15)
    page = page_of(store)
    assert page["facefit_waiters", ()] == 5
    assert page["facefit_up", (("part", "storage"),)] == 0
    assert page["facefit_storage_check_seconds", ()] == 0.3


def test_what_another_version_counted_does_not_spoil_the_page(clock: FakeClock) -> None:
    store = MemoryJobStore(clock)
    strange = {"facefit_gone_total|x": 1.0, "facefit_problems_total": 1.0, "facefit_problems_total|a|b": 1.0}
    store.metrics.add("t", {**strange, "facefit_stage_seconds|bulk|decode|0.77": 1.0})
    assert page_of(store)


def test_metrics_are_served_and_count_what_was_done(api: FlaskClient, live_core: Core) -> None:
    before = samples(api.get("/metrics").text)
    assert before["facefit_up", (("part", "redis"),)] == 1
    live_core.accept()
    live_core.accept_batch(["a", "b"])
    live_core.work()
    response = api.get("/metrics")
    assert response.content_type.startswith("text/plain; version=")
    page = samples(response.text)
    assert page["facefit_jobs_accepted_total", (("queue", "interactive"), ("source", "upload"))] == 1
    ended = (("code", ""), ("queue", "interactive"), ("status", "succeeded"))
    assert page["facefit_jobs_terminal_total", ended] == 1
    assert page["facefit_open_jobs", (("queue", "bulk"), ("status", "queued"))] == 2
    assert page["facefit_queue_depth", (("queue", "bulk"),)] == 2
    assert page["facefit_live_workers", (("queue", "bulk"),)] == 0
    assert page["facefit_cleanups_owed", ()] == 0
    assert page["facefit_records_complete", ()] == 1


def test_with_redis_away_the_page_says_so(api: FlaskClient, live_core: Core) -> None:
    live_core.set_records_away(True)
    response = api.get("/metrics")
    assert response.status_code == 200
    page = samples(response.text)
    assert page["facefit_up", (("part", "redis"),)] == 0
    assert not [name for name, _ in page if name.startswith("facefit_queue")]


def test_requests_and_their_problems_are_counted_by_template(api: FlaskClient) -> None:
    for path in ("/v1/jobs/a", "/v1/jobs/b", "/nothing/there"):
        api.get(path).close()
    taken = api.application.extensions["facefit"].meter.take()
    assert taken["facefit_requests_total|GET|/v1/jobs/<job_id>|4xx"] == 2
    assert taken["facefit_requests_total|GET|none|4xx"] == 1
    assert taken["facefit_problems_total|not_found"] == 3
    assert not [kept for kept in taken if "/nothing" in kept or "/a" in parts(kept)[1]]


def test_a_part_that_is_away_is_counted_where_a_client_hears_of_it(api: FlaskClient, live_core: Core) -> None:
    live_core.objects.away = True
    api.post("/v1/jobs", data=b"\xff\xd8\xff", content_type="image/jpeg").close()
    taken = api.application.extensions["facefit"].meter.take()
    assert taken[series(DEPENDENCY_ERRORS, ("storage",))] == 1
    assert taken["facefit_requests_total|POST|/v1/jobs|5xx"] == 1


def test_duties_are_counted_and_one_that_goes_wrong_stops_no_other() -> None:
    meter, stop = Meter(), threading.Event()

    def wrong() -> Counter[str]:
        raise ZeroDivisionError

    def away() -> Counter[str]:
        message = "away"
        raise StorageUnavailable(message)

    def last() -> Counter[str]:
        stop.set()
        return Counter(rung=2, leases=1)

    duties = [Duty("a", wrong, 0), Duty("b", away, 0), Duty("c", last, 0)]
    do_duties(duties, meter, pause_s=0.01, stop=stop)
    assert meter.take() == {
        series(DUTIES, ("a", "wrong")): 1,
        series(DUTIES, ("b", "put_off")): 1,
        series(DUTIES, ("c", "done")): 1,
        series(DEPENDENCY_ERRORS, ("storage",)): 1,
        series(RECONCILED, ("rung",)): 2,
        series(RECONCILED, ("leases",)): 1,
    }
