"""What `bench.bulk.resumed` would find: a count that cannot fail proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bench.bulk.resumed import faults_of

WANTED = {"a.jpg": "succeeded", "b.jpg": "no_face"}
ROWS = [
    {"file": "a.jpg", "status": "succeeded", "error_code": ""},
    {"file": "b.jpg", "status": "rejected", "error_code": "no_face"},
]
ITEMS: list[dict[str, Any]] = [{"reference": "a.jpg"}, {"reference": "b.jpg"}]
STRANGER = {"file": "c.jpg", "status": "succeeded", "error_code": ""}


def test_nothing_is_found_where_it_comes_out_even() -> None:
    assert faults_of(WANTED, ROWS, ["bat_1"], ITEMS) == {}


@pytest.mark.parametrize(
    ("rows", "batches", "items", "found"),
    [
        (ROWS, ["bat_1", "bat_2"], ITEMS, {"more than one batch": 1}),
        ([*ROWS, ROWS[0]], ["bat_1"], ITEMS, {"photos with more than one row": 1}),
        (ROWS[:1], ["bat_1"], ITEMS, {"photos with no row": 1}),
        ([*ROWS, STRANGER], ["bat_1"], ITEMS, {"rows of no photo": 1, "ended otherwise": 1}),
        (ROWS, ["bat_1"], [*ITEMS, ITEMS[1]], {"photos with more than one item": 1}),
        (ROWS, ["bat_1"], ITEMS[1:], {"photos with no item": 1}),
        (
            [ROWS[0] | {"status": "rejected", "error_code": "no_face"}, ROWS[1]],
            ["bat_1"],
            ITEMS,
            {"ended otherwise": 1},
        ),
    ],
)
def test_each_miscount_is_found(
    rows: list[dict[str, str]], batches: list[str], items: list[dict[str, Any]], found: dict[str, int]
) -> None:
    assert faults_of(WANTED, rows, batches, items) == found
