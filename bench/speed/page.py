"""Puts the tables of a run into docs/performance.md: `python -m bench.speed.page [speed-output/full.json]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.speed.plot import draw_costs
from bench.speed.record import FULL_RUN
from bench.speed.tables import TABLES

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "performance.md"
IMAGE: Final = ROOT / "docs" / "images" / "speed" / "cost_by_process.svg"


def updated(page: str, document: Mapping[str, Any]) -> str:
    """Put each table between its marks, `<!-- speed:NAME -->` and `<!-- /speed:NAME -->`.

    Raises
    ------
    ValueError
        If the page has not exactly one place for a table.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- speed:{name} -->", f"<!-- /speed:{name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed) or begin in rest:
            raise ValueError(f"the page has no one place {begin} … {end}")
        page = f"{before}{begin}\n{table(document)}\n{end}{after}"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, nargs="?", default=FULL_RUN)
    document = json.loads(parser.parse_args().document.read_text())
    PAGE.write_text(updated(PAGE.read_text(), document))
    if "throughput" in document["parts"]:
        draw_costs(document, IMAGE)


if __name__ == "__main__":
    main()
