"""The tables of a run, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.speed.bars import BARS, Bar

NOT_MEASURED: Final = "not measured"


def bars_table(document: Mapping[str, Any]) -> str:
    """Write every bar: goal, what was reached, its spread over the rounds, and whether it is met."""
    reached = {name: found for part in document["parts"].values() for name, found in part["bars"].items()}
    lines = ["| bar | goal | reached | lowest to highest | met |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(_bar_row(bar, reached.get(name)) for name, bar in BARS.items())])


def _bar_row(bar: Bar, found: Mapping[str, Any] | None) -> str:
    goal = f"{'≥' if bar.at_least else '≤'} {bar.goal:,.{_goal_decimals(bar)}f}{bar.unit}"
    if found is None:
        return f"| {bar.text} | {goal} | {NOT_MEASURED} | | |"
    value = f"{found['median']:,.{bar.decimals}f}{bar.unit}"
    spread = ""
    if found["rounds"] > 1:
        spread = f"{found['low']:,.{bar.decimals}f} to {found['high']:,.{bar.decimals}f}"
    return f"| {bar.text} | {goal} | {value} | {spread} | {'yes' if bar.is_met(found['median']) else '**no**'} |"


def _goal_decimals(bar: Bar) -> int:
    return 0 if bar.goal == int(bar.goal) and bar.unit != " ×" else 2 if bar.goal < 1 or bar.goal % 1 else 1
