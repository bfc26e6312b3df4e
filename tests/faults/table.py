"""The table of a run: `python -m tests.faults.table FILE` prints it from what a run saved, for the docs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.row import Row

_HEADS = (
    "#",
    "fault",
    "accepted",
    "terminal",
    "results",
    "lost",
    "duplicated results",
    "webhooks owed",
    "webhooks missing",
    "sent again",
    "s to recover",
    "verdict",
)


def markdown(rows: Sequence[Row]) -> str:
    """Return the table, with a line of sums."""
    lines = [_line(_HEADS), _line(["---"] * len(_HEADS))]
    lines += [_line(_cells(row)) for row in rows]
    ran = [row for row in rows if not row.not_run]
    sums = [sum(values) for values in zip(*(_counts(row) for row in ran), strict=True)] if ran else []
    if sums:
        lines.append(_line(["", "all", *map(str, sums[:7]), str(sums[7]), "", _verdict(ran)]))
    return "\n".join(lines)


def _verdict(ran: Sequence[Row]) -> str:
    n_passed = sum(row.passed for row in ran)
    return f"{n_passed} of {len(ran)} passed"


def _counts(row: Row) -> tuple[int, ...]:
    webhooks = (row.webhooks_owed, row.webhooks_missing)
    return (row.accepted, row.terminal, row.results, row.lost, row.duplicated, *webhooks, row.put_off)


def _cells(row: Row) -> list[str]:
    if row.not_run:
        return [str(row.number), row.name, *[""] * 9, f"not run: {row.not_run}"]
    recovered = "" if row.recovered_s is None else f"{row.recovered_s:.1f}"
    return [str(row.number), row.name, *map(str, _counts(row)), recovered, row.verdict]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def read(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return what a run was, and its rows."""
    values: dict[str, Any] = json.loads(path.read_text())
    return values, [Row.from_json(row) for row in values.pop("rows")]


if __name__ == "__main__":
    run, found = read(Path(sys.argv[1]))
    print(markdown(found))
    print()
    print(", ".join(f"{name} {value}" for name, value in run.items()))
