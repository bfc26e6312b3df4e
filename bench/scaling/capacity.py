"""What a given number of photos a second takes, computed from what was measured: `python -m bench.scaling.capacity`.

Reads the figures that `python -m bench.scaling` wrote and writes the tables into `docs/scaling.md`, between its marks;
a test compares the two. `--measure` measures first.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.scaling.figures import FIGURES, read_figures

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
PARTS = ("worker", "api", "store", "redis", "sender", "upkeep")
PHOTOS_PER_S = (10, 100, 1000)
POLLS_PER_PHOTO = 3
KINDS = {
    "512 px, one by one": ("single, 512 px", "single, asleep"),
    "12 MP, one by one": ("single, 12 MP", "single, 12 MP"),
    "512 px, in batches": ("batch, 512 px", "batch, asleep"),
}
"""The runs that tell what the worker costs, and what all others cost: these are loaded more while measuring sleeps. A
large photo costs them more than a small one, so its own run tells both."""
MARKS = re.compile(r"(<!-- (\w+): written by .*? -->\n).*?(<!-- end -->)", re.DOTALL)
MS_PER_S = 1000.0
NOT_YET = "*Not measured yet: `make bench-scaling`, on a machine with nothing else to do.*\n"


def costs(figures: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the CPU of a photo in ms, part by part, for each kind; polls are a single photo's own."""
    runs = {run["run"]: run for run in figures["runs"]}
    poll = _without_idling(runs["poll"], figures)
    found = {}
    for kind, (measuring, around) in KINDS.items():
        polls = 0 if "batch" in measuring else POLLS_PER_PHOTO
        others = _without_idling(runs[around], figures)
        found[kind] = {part: others[part] + polls * poll[part] for part in PARTS}
        found[kind]["worker"] = runs[measuring]["cpu_ms"]["worker"]
    return found


def _without_idling(run: dict[str, Any], figures: dict[str, Any]) -> dict[str, float]:
    """Return the cost of a run less what its stack spends anyway: at a low rate that is most of it."""
    idle = next(run["cpu_ms_per_s"] for run in figures["runs"] if run["run"] == "idle")
    return {part: max(0.0, ms - idle[part] / run["per_s"]) for part, ms in run["cpu_ms"].items()}


def cost_table(figures: dict[str, Any]) -> str:
    head = "| ms of CPU for a photo | " + " | ".join(PARTS) + " | all |\n|---|" + "---|" * (len(PARTS) + 1) + "\n"
    rows = (
        f"| {kind} | " + " | ".join(f"{cost[part]:.1f}" for part in PARTS) + f" | {sum(cost.values()):.1f} |"
        for kind, cost in costs(figures).items()
    )
    return head + "\n".join(rows) + "\n"


def ceiling_table(figures: dict[str, Any]) -> str:
    """Return how many photos a second one core of each part carries."""
    head = "| photos/s that one core carries | " + " | ".join(PARTS) + " |\n|---|" + "---|" * len(PARTS) + "\n"
    rows = (
        f"| {kind} | " + " | ".join(_rounded(MS_PER_S / cost[part]) if cost[part] else "any" for part in PARTS) + " |"
        for kind, cost in costs(figures).items()
    )
    return head + "\n".join(rows) + "\n"


def capacity_table(figures: dict[str, Any]) -> str:
    """Return the cores that each part needs, rounded up to tenths."""
    head = (
        "| photos/s | what | " + " | ".join(PARTS) + " | cores in all |\n|---|---|" + "---|" * (len(PARTS) + 1) + "\n"
    )
    rows = []
    for per_s in PHOTOS_PER_S:
        for kind, cost in costs(figures).items():
            cores = {part: math.ceil(per_s * cost[part] / MS_PER_S * 10) / 10 for part in PARTS}
            shown = " | ".join(
                f"**{cores[part]}**" if _is_too_much(part, cores[part]) else f"{cores[part]}" for part in PARTS
            )
            rows.append(f"| {per_s:,} | {kind} | {shown} | {sum(cores.values()):.1f} |")
    return head + "\n".join(rows) + "\n"


def run_table(figures: dict[str, Any]) -> str:
    """Return what each run came to on the machine that it ran on."""
    head = "| run | how many | a second | cores used | the machine's load |\n|---|---|---|---|---|\n"
    rows = (
        f"| {run['run']} | {run['count']:,} | {run['per_s']} | {run['cores_used']} | {run['machine_load']} |"
        for run in figures["runs"]
        if "cpu_ms" in run
    )
    return head + "\n".join(rows) + "\n"


TABLES = {"costs": cost_table, "ceilings": ceiling_table, "capacity": capacity_table, "runs": run_table}


def page(text: str, figures: dict[str, Any] | None) -> str:
    """Return the page with its tables as the figures are; without any, it says that there are none."""

    def table(name: str) -> str:
        return NOT_YET if figures is None else TABLES[name](figures)

    return MARKS.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", text)


def _is_too_much(part: str, cores: float) -> bool:
    """Tell whether one process that uses one core could not do it: Redis, a sender and the upkeep are such."""
    return part == "redis" and cores > 1


def _rounded(per_s: float) -> str:
    digits = 10 ** max(0, math.floor(math.log10(per_s)) - 1)
    return f"{round(per_s / digits) * digits:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, default=FIGURES)
    parser.add_argument("--measure", action="store_true", help="measure first, and overwrite the figures")
    args = parser.parse_args()
    if args.measure:
        subprocess.run([sys.executable, "-m", "bench.scaling", "--out", str(args.figures)], check=True)
    PAGE.write_text(page(PAGE.read_text(), read_figures(args.figures)))


if __name__ == "__main__":
    main()
