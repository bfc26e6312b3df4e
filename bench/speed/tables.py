"""The tables of a run, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.speed.bars import BARS, TIMES, Bar
from bench.speed.service import KINDS, is_worker

NOT_MEASURED: Final = "not measured"
PICTURE: Final = "![CPU per photo of each contender, in pieces by kind of process](images/speed/cost_by_process.svg)"
"""Drawn by `bench.speed.page` with the table that it stands above."""


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
    return 0 if bar.goal == int(bar.goal) and bar.unit != TIMES else 2 if bar.goal < 1 or bar.goal % 1 else 1


def about_table(document: Mapping[str, Any]) -> str:
    """Say where, when and with what it was measured."""
    machine, sizes = document["machine"], document["sizes"]
    used = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    took_min = sum(part["took_s"] for part in document["parts"].values()) / 60
    return (
        f"Measured on {document['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['system']}; {used}."
        f" {sizes['rounds']} rounds, a large batch of {sizes['batch']:,}; {took_min:.0f} minutes, while"
        f" {document['load_at_start']:.1f} processes of others wanted the cores when it began."
    )


def contenders_table(document: Mapping[str, Any]) -> str:
    """Write photos a second and CPU per photo of every contender, by kind of process."""
    parts = []
    for kind, contenders in _part(document, "throughput").get("contenders", {}).items():
        columns = sorted({name for each in contenders.values() for name in each["cpu_ms"]}, key=_place)
        lines = [f"**{kind}**, CPU per photo [ms]", ""]
        lines += [_row(["", "photos/s", "all", *columns]), _row(["---"] * (len(columns) + 3))]
        for name, each in contenders.items():
            cells = [f"{each['cpu_ms'][column]:.1f}" if column in each["cpu_ms"] else "" for column in columns]
            rate, whole = each["photos_per_s"]["median"], each["cpu_ms_all"]["median"]
            lines.append(_row([name, f"{rate:.1f}", f"{whole:.1f}", *cells]))
        parts.append("\n".join(lines))
    return "\n\n".join([PICTURE, *parts]) if parts else NOT_MEASURED


def formats_table(document: Mapping[str, Any]) -> str:
    """Write the other kinds of photos."""
    lines = [
        _row(["photos", "kB", "photos/s", "bare loop, CPU ms", "workers, CPU ms", "efficiency"]),
        _row(["---"] * 6),
    ]
    for kind, row in _part(document, "formats").get("formats", {}).items():
        bare, ours = row["contenders"].values()
        workers = sum(used for name, used in ours["cpu_ms"].items() if is_worker(name))
        cells = [f"{row['photo_bytes'] / 1000:.0f}", f"{ours['photos_per_s']['median']:.1f}"]
        cells += [f"{bare['cpu_ms_all']['median']:.1f}", f"{workers:.1f}", f"{row['efficiency']:.2f}"]
        lines.append(_row([kind, *cells]))
    return "\n".join(lines)


def api_table(document: Mapping[str, Any]) -> str:
    """Write what each kind of request costs."""
    part = _part(document, "api")
    columns = ["API", "Redis", "object store", "upkeep"]
    lines = [_row(["request", "per second of the API's CPU", *(f"{name}, CPU ms" for name in columns)])]
    lines.append(_row(["---"] * (len(columns) + 2)))
    for name, rate in part.get("per_api_cpu_s", {}).items():
        lines.append(_row([name, f"{rate['median']:,.0f}", *(f"{part['cpu_ms'][name][kind]:.2f}" for kind in columns)]))
    return "\n".join(lines)


def imports_table(document: Mapping[str, Any]) -> str:
    """Write what is imported at the start, the dearest packages first."""
    found = _part(document, "start_up").get("imports_ms", {})
    lines = []
    for name, packages in found.items():
        dearest = ", ".join(f"{package} {ms:.0f}" for package, ms in packages.items() if package != "all")
        lines.append(f"Imports of the {name}: {packages['all']:.0f} ms, of which {dearest}.")
    return "\n\n".join(lines) or NOT_MEASURED


TABLES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "bars": bars_table,
    "about": about_table,
    "contenders": contenders_table,
    "formats": formats_table,
    "api": api_table,
    "imports": imports_table,
}


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document["parts"].get(name, {})
    return found


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


_ORDER: Final = ("bare loop", "original service", *KINDS.values())


def _place(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER) - 1, name)
