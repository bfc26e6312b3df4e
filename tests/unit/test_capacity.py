"""The tables of docs/scaling.md are those of the figures that were measured, and follow them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.scaling.capacity import KINDS, PAGE, PARTS, ceiling_table, costs, page
from bench.scaling.figures import read_figures

RUNS = ("single, asleep", "batch, asleep", "poll", "single, 512 px", "batch, 512 px", "single, 12 MP")


@pytest.fixture
def figures() -> dict[str, Any]:
    """Made up: every part takes 2 ms for whatever is asked, but the worker, which takes 50."""
    cpu_ms = dict.fromkeys(PARTS, 2.0) | {"worker": 50.0}
    common = {"count": 8, "per_s": 1.0, "cores_used": 1.0, "machine_load": 1.0}
    idle = {"run": "idle", "cpu_ms_per_s": dict.fromkeys(PARTS, 0.0)}
    return {"runs": [idle, *({"run": run, "cpu_ms": dict(cpu_ms), **common} for run in RUNS)]}


def test_the_page_shows_what_was_measured() -> None:
    text = PAGE.read_text()
    assert page(text, read_figures()) == text


def test_a_single_photo_pays_for_its_polls_and_a_batch_has_none(figures: dict[str, Any]) -> None:
    single, _, batch = (costs(figures)[kind] for kind in KINDS)
    assert (single["worker"], single["api"], single["redis"]) == (50.0, 8.0, 8.0)
    assert (batch["worker"], batch["api"], batch["redis"]) == (50.0, 2.0, 2.0)


def test_a_large_photo_costs_every_part_what_its_own_run_took(figures: dict[str, Any]) -> None:
    figures["runs"][RUNS.index("single, 12 MP") + 1]["cpu_ms"] |= {"store": 30.0, "api": 11.0}
    small, large, _ = (costs(figures)[kind] for kind in KINDS)
    assert (large["store"], large["api"]) == (36.0, 17.0)  # with three polls of 2 ms
    assert (small["store"], small["api"]) == (8.0, 8.0)


def test_what_a_part_spends_anyway_is_not_a_photos(figures: dict[str, Any]) -> None:
    figures["runs"][0]["cpu_ms_per_s"]["upkeep"] = 1.5  # at one photo a second
    assert costs(figures)["512 px, in batches"]["upkeep"] == 0.5


def test_cores_and_ceilings_follow_from_the_cost(figures: dict[str, Any]) -> None:
    text = page(PAGE.read_text(), figures)
    batch = "512 px, in batches | 50.0 | 2.0 | 2.0 | **2.0** | 2.0 | 2.0 | 60.0"
    assert f"| 1,000 | {batch} |" in text  # 1,000 photos at 50 ms are 50 s of CPU; Redis has one core, which is bold
    assert "| 512 px, in batches | 20 | 500 | 500 | 500 | 500 | 500 |" in ceiling_table(figures)
