"""One picture of where the CPU of a photo goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import bench.plots  # noqa: F401  sets how plots look, and that no screen is needed

WIDTH_INCHES: Final = 8.0
HEIGHT_INCHES: Final = 2.6
COLOURS: Final = {
    "bare loop": "#9aa5b1",
    "original service": "#52606d",
    "API": "#0072b2",
    "interactive worker": "#d55e00",
    "bulk worker": "#e69f00",
    "sender and fetcher": "#cc79a7",
    "upkeep": "#f0e442",
    "Redis": "#009e73",
    "object store": "#56b4e9",
    "client": "#cbd2d9",
}
"""Okabe & Ito's palette, told apart by all colour visions, and greys for what is not this service."""


def draw_costs(document: Mapping[str, Any], path: Path) -> None:
    """Draw CPU per photo of each contender, a bar each, in pieces by kind of process."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - slow, and only plots need it
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - as above

    panels = document["parts"]["throughput"]["contenders"]
    figure, all_axes = plt.subplots(len(panels), figsize=(WIDTH_INCHES, HEIGHT_INCHES * len(panels)), squeeze=False)
    for axes, (kind, contenders) in zip(all_axes[:, 0], panels.items(), strict=True):
        for row, each in enumerate(contenders.values()):
            left = 0.0
            for name, used_ms in merged(each["cpu_ms"]).items():
                axes.barh(row, used_ms, left=left, color=COLOURS[name], height=0.7)
                left += used_ms
        axes.set_yticks(range(len(contenders)), list(contenders))
        axes.invert_yaxis()
        axes.set_title(kind, loc="left", fontsize=10)
        axes.set_xlabel("CPU per photo, ms")
        axes.spines[["top", "right"]].set_visible(False)
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS.values()]
    figure.legend(handles, list(COLOURS), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.set_layout_engine("constrained")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def merged(cpu_ms: Mapping[str, float]) -> dict[str, float]:
    """Put processes of one kind that are numbered together, in the order of the legend."""
    found = dict.fromkeys(COLOURS, 0.0)
    for name, used_ms in cpu_ms.items():
        found[name.rstrip(" 0123456789")] += used_ms
    return {name: used_ms for name, used_ms in found.items() if used_ms}
