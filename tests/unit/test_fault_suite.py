"""The fault suite itself: what it plans is the same for a seed, and what it counts it counts right."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.accounting import Story
from tests.faults.catalogue import CATALOGUE
from tests.faults.fault import On
from tests.faults.memory import Sample, growth_of
from tests.faults.photos import BAD, Kind, kinds
from tests.faults.plan import Entry, Mixture, Plan, make_entries
from tests.faults.points import Points
from tests.faults.row import Row
from tests.faults.run import Results
from tests.faults.runner import Run
from tests.faults.table import markdown, read

HOUR_S = 3600


def entries(folder: Path, seed: int) -> list[Entry]:
    mixture = Mixture(40, 10.0, special_share=0.05)
    return make_entries(mixture, random.Random(seed), folder, "load", "http://127.0.0.1:1")


def test_a_seed_replays_photos_order_and_times(tmp_path: Path) -> None:
    first, again, other = (entries(tmp_path / name, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    assert first == again
    assert first != other
    for name in ("0.jpg", "39.jpg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_load_has_all_kinds_and_ways(tmp_path: Path) -> None:
    made = entries(tmp_path, 7)
    assert {entry.kind for entry in made} == {Kind.GOOD, Kind.POISON, *BAD}
    assert {entry.batch for entry in made} == {None, 0}
    assert {entry.keyed for entry in made if entry.batch is None} == {True, False}
    assert any(entry.webhook for entry in made)
    assert len({entry.reference for entry in made}) == len(made)
    assert len({(tmp_path / entry.file).read_bytes() for entry in made}) == len(made)


def test_kinds_are_as_many_as_asked_for() -> None:
    found = Counter(kinds(200, random.Random(1), Kind.POISON, 0.02))
    assert found == {Kind.POISON: 4, Kind.TRUNCATED: 8, Kind.NO_FACE: 8, Kind.NO_IMAGE: 8, Kind.GOOD: 172}


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan("http://a", "photos", "http://b", 5.0, entries(tmp_path, 7))
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


def test_the_catalogue_is_the_twenty_faults() -> None:
    assert list(CATALOGUE) == list(range(1, 21))
    assert [number for number, fault in CATALOGUE.items() if fault.needs_root] == [20]
    assert not any(fault.in_mix for fault in CATALOGUE.values() if fault.on is not On.USUAL)


def test_a_token_is_taken_once(tmp_path: Path) -> None:
    points = Points(tmp_path)
    assert not points.take("here")
    points.arm("here", 2)
    assert [points.take("here") for _ in range(3)] == [True, True, False]
    points.arm("here")
    points.disarm()
    assert not points.take("here")
    points.note("there", "text")
    assert (points.noted("there"), points.texts("there")) == (1, ["text"])
    points.forget("there")
    assert points.noted("there") == 0


def story_of(tmp_path: Path, *events: Mapping[str, object]) -> Story:
    log = tmp_path / "log"
    log.write_text("".join(json.dumps({"at_s": 0, **event}) + "\n" for event in events))
    return Story.read(log)


def test_whatever_the_client_finds_odd_is_a_problem(tmp_path: Path) -> None:
    ended = {"event": "ended", "id": "a", "reference": "r", "status": "succeeded", "code": None, "right_photo": False}
    odd = ({"event": name} for name in ("changed", "vanished", "refused", "gave_up", "lost_patience", "not_in_batch"))
    story = story_of(tmp_path, {"event": "accepted", "id": "a", "reference": "r"}, ended, *odd)
    assert len(story.problems) == 7
    assert (story.accepted, list(story.ended)) == ({"a": "r"}, ["a"])


def test_what_is_put_off_is_counted_and_no_problem(tmp_path: Path) -> None:
    put_off = {"event": "put_off", "reference": "r", "took_s": 2.5}
    story = story_of(tmp_path, {**put_off, "status": 503}, {**put_off, "status": None, "took_s": 1.0})
    assert (story.n_refused, story.put_off["r"], story.slowest_refusal_s, story.problems) == (1, 2, 2.5, [])


ROW = Row(3, "a fault", 7, 60, accepted=60, terminal=60, results=50, recovered_s=1.25)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "passed"),
        ({"lost": 1}, "FAILED"),
        ({"problems": ["odd"]}, "FAILED"),
        ({"not_run": "it needs root"}, "not run"),
    ],
)
def test_a_row_passes_only_if_nothing_is_wrong(changes: dict[str, object], verdict: str) -> None:
    row = replace(ROW, **changes)  # type: ignore[arg-type]
    assert (row.verdict, row.passed) == (verdict, verdict == "passed")
    assert Row.from_json(row.as_json()) == row


def test_the_table_sums_what_ran_and_says_what_did_not() -> None:
    table = markdown([ROW, replace(ROW, number=20, not_run="it needs root")]).splitlines()
    assert table[2].startswith("| 3 | a fault | 60 | 60 | 50 | 0 | 0 |")
    assert table[3].endswith("| not run: it needs root |")
    assert "1 of 1 passed" in table[4]


def test_results_are_kept_after_each_row_and_taken_up_again(tmp_path: Path) -> None:
    run, out = Run(60, 7, tmp_path), tmp_path / "faults.json"
    results = Results(out, run, resume=False)
    results.add(ROW)
    results.add(replace(ROW, number=1, lost=1))
    values, rows = read(out)
    assert (values["seed"], [row.number for row in rows]) == (7, [1, 3])
    resumed = Results(out, run, resume=True)
    assert [resumed.has(CATALOGUE[number]) for number in (1, 3)] == [False, True], "what failed is run again"
    assert not Results(out, Run(60, 8, tmp_path), resume=True).rows


def samples(pid: int, from_s: float, to_s: float, mb: float, mb_per_h: float = 0.0, name: str = "api") -> list[Sample]:
    times = range(int(from_s), int(to_s), 10)
    return [Sample(name, pid, at_s, mb + mb_per_h * (at_s - from_s) / HOUR_S) for at_s in times]


def test_memory_that_grows_is_seen_through_restarts() -> None:
    restarted = samples(1, 0, 2400, 100, 60) + samples(2, 2400, HOUR_S, 100, 60)
    growth = growth_of("api", restarted, jobs=0)
    assert (growth.series, growth.is_flat) == (2, False)
    assert growth.mb_per_h == pytest.approx(60, rel=0.01)


def test_the_store_may_fill_what_its_collector_is_given_and_no_more() -> None:
    filling, beyond = samples(1, 0, HOUR_S, 200, 300, "store"), samples(1, 0, HOUR_S, 300, 300, "store")
    assert growth_of("store", filling, jobs=0).is_flat
    assert not growth_of("store", beyond, jobs=0).is_flat


def test_a_restart_is_no_growth_and_neither_is_a_warm_up() -> None:
    restarted = samples(1, 0, 2400, 100) + samples(2, 2400, HOUR_S, 150)
    assert growth_of("api", restarted, jobs=0).mb_per_h == pytest.approx(0, abs=1e-9)
    warming = samples(1, 1800, 1910, 50, 1000) + samples(1, 1920, HOUR_S, 100)
    assert growth_of("api", samples(2, 0, 60, 1) + warming, jobs=0).is_flat
