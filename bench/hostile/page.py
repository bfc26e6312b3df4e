"""The tables of `docs/hostile-input.md`, between their marks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "hostile-input.md"
HEADS = {
    "photos": (
        "| Photo | Bytes | Outcome | Memory over idle, MB | Address space over idle, MB | CPU, s |\n"
        "|---|---|---|---|---|---|\n"
    ),
    "archives": "| Archive | Bytes | Outcome | CPU, s |\n|---|---|---|---|\n",
}


def write_tables(rows: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    text = PAGE.read_text()
    for kind, head in HEADS.items():
        lines = "".join(_line(kind, row) for row in rows[kind])
        text = re.sub(
            rf"(<!-- {kind} -->\n).*?(<!-- end of {kind} -->)",
            lambda found, table=head + lines: found[1] + table + found[2],
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text)


def _line(kind: str, row: Mapping[str, object]) -> str:
    outcome = ", ".join(f"`{code}`" for code in str(row["outcome"]).split(", "))
    cells = [str(row["case"]), f"{row['bytes']:,}", outcome]
    cells += [str(row["resident_mb"]), str(row["mapped_mb"])] if kind == "photos" else []
    return f"| {' | '.join([*cells, str(row['cpu_s'])])} |\n"
