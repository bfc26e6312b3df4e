"""What an evaluation leaves behind: tables in Markdown, figures in JSON, and the pages that keep both."""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bench.statistics import Share, Summary
from shared.measurements import DEFINITIONS_VERSION

NONE: Final = "–"  # noqa: RUF001 - a dash in a table, not a minus
"""What stands in a cell that has no figure."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: every cell is text already."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """What one part of the evaluation found.

    Attributes
    ----------
    name : str
        Stable; the marker of docs/accuracy.md and the key of accuracy.json.
    title : str
        For people.
    tables : sequence of Table
        For people.
    figures : dict
        For machines: what the tables say and more.
    problems : sequence of str
        What is worse than this project states; the evaluation then ends with 1.
    """

    name: str
    title: str
    tables: Sequence[Table]
    figures: dict[str, Any]
    problems: Sequence[str] = field(default=())


def number(value: float | None, decimals: int, sign: str = "") -> str:
    """Write a number; a dash where there is none. `sign` is "" or "+"."""
    return NONE if value is None or not math.isfinite(value) else f"{value:{sign}.{decimals}f}"


def plus_minus(summary: Summary, decimals: int) -> str:
    """Write mean ± SD; the mean alone of one value, a dash of none."""
    if summary.n == 0:
        return NONE
    mean = number(summary.mean, decimals)
    return f"{mean} ± {summary.sd:.{decimals}f}" if summary.n > 1 else mean


def percent(share: Share) -> str:
    """Write a share with its interval, all in per cent."""
    if share.n == 0:
        return NONE
    return f"{100 * share.share:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def markdown_table(table: Table) -> str:
    """Write one table, its caption above and its note below."""
    lines = [f"**{table.caption}**", ""]
    lines += [_row(table.columns), _row(["---"] * len(table.columns)), *map(_row, table.rows)]
    return "\n".join([*lines, "", table.note] if table.note else lines)


def markdown_section(section: Section) -> str:
    """Write the tables of one section."""
    return "\n\n".join(map(markdown_table, section.tables))


def updated_page(page: str, sections: Sequence[Section]) -> str:
    """Put the tables of each section between its markers, `<!-- accuracy:name -->` and `<!-- /accuracy:name -->`.

    What no section of this run is named for stays as it is.

    Raises
    ------
    ValueError
        If a section has no place in the page.
    """
    for section in sections:
        begin, end = f"<!-- accuracy:{section.name} -->", f"<!-- /accuracy:{section.name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"the page has no one place {begin} … {end}")
        filled = f"{begin}\n{markdown_section(section)}\n{end}"
        page = pattern.sub(lambda _, filled=filled: filled, page)  # type: ignore[misc]
    return page


def save(folder: Path, sections: Sequence[Section], date: str) -> None:
    """Write accuracy.json and accuracy.md; neither names the machine or where the photos lie."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "date": date,
        "versions": versions(),
        "sections": {section.name: {**section.figures, "problems": list(section.problems)} for section in sections},
    }
    text = json.dumps(_without_nan(document), indent=1, ensure_ascii=False)
    (folder / "accuracy.json").write_text(f"{text}\n", encoding="utf-8")
    parts = [f"# Accuracy, {date}", _sentence_of_versions()]
    parts += [f"## {section.title}\n\n{markdown_section(section)}" for section in sections]
    (folder / "accuracy.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Name what was measured with."""
    packages = {name: metadata.version(name) for name in ("mediapipe", "numpy", "opencv-python-headless", "pillow")}
    return {"definitions": DEFINITIONS_VERSION, "python": platform.python_version(), **packages}


def _sentence_of_versions() -> str:
    return "Measured with " + ", ".join(f"{name} {version}" for name, version in versions().items()) + "."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null says that there is no figure."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
