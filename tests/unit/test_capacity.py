"""The tables of docs/scaling.md are those of the figures that were measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.scaling.capacity import PAGE, PARTS, capacity_table, costs, page
from bench.scaling.figures import FIGURES


@pytest.fixture
def figures() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(FIGURES.read_text())
    return read


def test_the_page_shows_what_was_measured(figures: dict[str, Any]) -> None:
    text = PAGE.read_text()
    assert page(text, figures) == text


def test_ten_times_the_cost_of_redis_is_ten_times_its_cores(figures: dict[str, Any]) -> None:
    before = costs(figures)
    for run in figures["runs"]:
        if "cpu_ms" in run:
            run["cpu_ms"]["redis"] *= 10
    for kind, cost in costs(figures).items():
        assert cost["redis"] == pytest.approx(10 * before[kind]["redis"])
        assert all(cost[part] == before[kind][part] for part in PARTS if part != "redis")
    assert "**" in capacity_table(figures)  # more than one core of Redis, which more hosts do not lift
