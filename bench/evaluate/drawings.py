"""What of an evaluation is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from bench.evaluate.agreement import SD_MULTIPLES, covered, errors_by_key, pooled
from bench.evaluate.distance_series import Series, curves_of
from bench.evaluate.samples import Sample
from bench.plots import plot_coverage, plot_errors, plot_series
from bench.statistics import halves, share_of

SERIES_KEYS: Final = (
    "face_width",
    "face_edge_breadth",
    "temple_width",
    "jaw_width",
    "biocular_width",
    "interpupillary_distance",
    "face_length",
    "mouth_width",
)
"""What depth matters to, and what it does not: more lines could not be told apart."""


def draw_agreement(folder: Path, samples: list[Sample]) -> None:
    """Draw error and coverage by measurement: `errors.svg`, `coverage.svg`; nothing without truths in mm."""
    judged = [sample for sample in samples if sample.error is not None]
    if not judged:
        return
    fit, held_out = (set(half) for half in halves(sample.person for sample in samples))
    errors = {
        key: tuple([100 * (s.error or 0) for s in of_key if s.person in half] for half in (fit, held_out))
        for key, of_key in errors_by_key(judged).items()
    }
    plot_errors(folder / "errors.svg", errors, "mm against hand-placed points and traced irises, %")  # type: ignore[arg-type]
    held = [sample for sample in judged if sample.person in held_out]
    groups = {**errors_by_key(held), "all of them": pooled(held)}
    shares = {key: tuple(share_of(covered(group, m)) for m in SD_MULTIPLES) for key, group in groups.items()}
    plot_coverage(folder / "coverage.svg", shares)  # type: ignore[arg-type]


def draw_series(folder: Path, series: Series) -> None:
    """Draw millimetres over distance: `distance.svg`; nothing where no photo has millimetres."""
    curves = {key: pair for key, pair in curves_of(series).items() if key in SERIES_KEYS and np.isfinite(pair[0]).any()}
    if curves:
        plot_series(folder / "distance.svg", [distance for distance, _ in series], curves)
