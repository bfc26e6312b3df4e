"""Plots of an evaluation: small files that say what the tables say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np

from bench.statistics import NORMAL_WITHIN, Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

mpl.use("Agg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "facefit",  # the same figures make the same file
        "svg.fonttype": "none",  # letters stay letters: smaller, and they can be searched
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
INK: Final = "#1f2933"
BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
GREY: Final = "#9aa5b1"
"""Blue and orange of Okabe & Ito's palette, told apart by all colour visions; the shapes differ as well."""
WIDTH_INCHES: Final = 7.2
ROW_INCHES: Final = 0.32

Groups = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Label to the values of the fit half and of the held-out half."""


def plot_errors(path: Path, groups: Groups, x_label: str) -> None:
    """Draw each person's error in per cent, a row per measurement: fit half hollow, held-out half filled."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - slow, and only plots need it

    figure, axes = plt.subplots(figsize=(WIDTH_INCHES, 1.1 + ROW_INCHES * len(groups)), layout="constrained")
    axes.axvline(0, color=GREY, linewidth=0.8)
    for row, (fit, held_out) in enumerate(groups.values()):
        axes.plot(fit, np.full(len(fit), row - 0.14), "o", markersize=3.5, fillstyle="none", color=GREY)
        axes.plot(held_out, np.full(len(held_out), row + 0.14), "o", markersize=3.5, color=BLUE)
        if len(held_out) > 1:
            mean, sd = float(np.mean(held_out)), float(np.std(held_out, ddof=1))
            axes.errorbar(mean, row + 0.14, xerr=sd, color=INK, marker="|", markersize=9, capsize=3, linewidth=1)
    axes.plot([], [], "o", markersize=3.5, fillstyle="none", color=GREY, label="fit half")
    axes.plot([], [], "o", markersize=3.5, color=BLUE, label="held-out half, with mean ± SD")
    _finish(axes, list(groups), x_label)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2)
    _save(figure, path)


def plot_coverage(path: Path, shares: Mapping[str, tuple[Share, Share]]) -> None:
    """Draw the shares within 1 and 2 SD with their intervals, beside a normal's."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, axes = plt.subplots(figsize=(WIDTH_INCHES, 1.1 + ROW_INCHES * len(shares)), layout="constrained")
    styles = {1: (BLUE, "o"), 2: (ORANGE, "s")}
    for place, (multiple, (colour, marker)) in enumerate(styles.items()):
        axes.axvline(100 * NORMAL_WITHIN[multiple], color=colour, linewidth=0.8, linestyle="--")
        for row, pair in enumerate(shares.values()):
            share = pair[place]
            if share.n:
                ends = [[100 * max(share.share - share.low, 0)], [100 * max(share.high - share.share, 0)]]
                y = row + 0.14 * (2 * place - 1)
                axes.errorbar(100 * share.share, y, xerr=ends, color=colour, marker=marker, markersize=4, linewidth=1)
        label = f"within {multiple} SD (dashed: a normal, {100 * NORMAL_WITHIN[multiple]:.0f} %)"
        axes.plot([], [], marker, markersize=4, color=colour, label=label)
    axes.set_xlim(0, 102)
    _finish(axes, list(shares), "share of people, %, with Wilson's 95 % interval")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.45, 1.12), ncols=2)
    _save(figure, path)


def plot_series(
    path: Path, distances_cm: Sequence[float], curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    """Draw millimetres over distance, against each width's mean: with depth on the left, without on the right."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, panels = plt.subplots(1, 2, figsize=(WIDTH_INCHES, 3.2), sharey=True, layout="constrained")
    markers = "os^vDPX*<>hd"
    for place, (panel, title) in enumerate(
        zip(panels, ("each point at its own depth", "one scale for all"), strict=True)
    ):
        panel.axhline(0, color=GREY, linewidth=0.8)
        for marker, (label, pair) in zip(markers, curves.items(), strict=False):
            values = np.array(pair[place], dtype=np.float64)
            percent = 100 * (values / np.nanmean(values) - 1)
            panel.plot(distances_cm, percent, marker=marker, markersize=4, linewidth=1, label=label)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("distance by the name of the file, cm")
        panel.set_xticks(list(distances_cm))
    panels[0].set_ylabel("mm against the width's own mean, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=4, fontsize=8)
    _save(figure, path)


def _finish(axes: Axes, labels: Sequence[str], x_label: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.6)
    axes.set_xlabel(x_label)
    axes.tick_params(axis="y", length=0)


def _save(figure: Figure, path: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    plt.close(figure)
