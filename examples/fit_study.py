# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx", "matplotlib>=3.10", "pandas>=3"]
# ///
"""How much people differ, without the errors of measuring them: from a folder of photos, or from a table of results.

    pip install httpx matplotlib pandas          (or requirements/examples.txt, with hashes)
    python fit_study.py --results results.csv --out study
    python fit_study.py FOLDER --out study       submits the folder first, by bulk_portal.py beside this file

Writes `study/study.csv`, a row for each measurement and each kind of ruler, and `study/study.png`. One photo of each
person is expected, and the largest face of each photo is taken. Only values with the status `ok` count.

The method. A value is a person's true width and an error: x = t + e, with the standard deviation of e in `mm_sd`, other
for each photo. Errors are taken to be independent of the person and of each other.

- Variance of the true widths, by moments: the observed variance minus the mean of `mm_sd` squared (Fuller 1987,
  *Measurement Error Models*, section 1.2; unweighted, so that no kind of photo counts more than another). Where errors
  alone explain the spread it comes out as 0.
- Percentiles: each value is drawn towards the mean as far as its own error says, w = true variance / (true variance +
  mm_sd squared), and these are spread again until their variance is the true one. Drawn values alone would be too
  narrow a crowd, raw ones are too wide a crowd (Louis 1984, J. Am. Stat. Assoc. 79: 393-398).
- Intervals: the 2.5th and 97.5th percentiles of 1,000 bootstrap samples of people (Efron & Tibshirani 1993,
  *An Introduction to the Bootstrap*, chapter 13).

What to beware of. `mm_sd` holds errors that all photos of one camera share, such as a guessed focal length; these move
everybody and spread nobody, so taking them out takes out too much, `face_width` most. The service's own summary,
`GET /v1/batches/{id}/summary`, does not take those out: with one kind of camera, its `sd_true_estimate` is the better
one. And the mesh draws faces nearer to the average than they are (docs/measurements.md), which no arithmetic can undo.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("Agg")
from matplotlib import pyplot as plt  # after what it is to draw with

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
MIN_PEOPLE = 30
"""Of one kind: with fewer the true spread is not known to 13 %, errors or none."""
N_BOOTSTRAP = 1000
SEED = 20261128
COLUMNS = 3
"""Of plots beside each other."""

Values = np.ndarray


def true_sd(values_mm: Values, errors_mm: Values) -> float:
    """Return the standard deviation of the true widths, in mm; 0 where errors alone explain the spread."""
    return float(np.sqrt(max(0.0, np.var(values_mm, ddof=1) - np.mean(np.square(errors_mm)))))


def without_errors(values_mm: Values, errors_mm: Values) -> Values:
    """Return values, in mm, that are spread as the true widths are; their percentiles are the corrected ones."""
    mean, spread = float(np.mean(values_mm)), true_sd(values_mm, errors_mm)
    if spread == 0:
        return np.full_like(values_mm, mean)
    weights = spread**2 / (spread**2 + np.square(errors_mm))
    drawn = weights * (values_mm - mean)
    drawn -= np.mean(drawn)
    return mean + drawn * spread / np.std(drawn, ddof=1)


def interval(values_mm: Values, errors_mm: Values) -> tuple[float, float]:
    """Return between which values the true standard deviation lies, with 95 % confidence, in mm."""
    rng = np.random.default_rng(SEED)
    people = rng.integers(0, len(values_mm), size=(N_BOOTSTRAP, len(values_mm)))
    spreads = [true_sd(values_mm[some], errors_mm[some]) for some in people]
    low, high = np.percentile(spreads, [2.5, 97.5])
    return float(low), float(high)


def describe(values_mm: Values, errors_mm: Values) -> dict[str, Any]:
    """Return what there is to say of one measurement by one kind of ruler."""
    row: dict[str, Any] = {
        "n": len(values_mm),
        "mean_mm": np.mean(values_mm),
        "sd_observed_mm": np.std(values_mm, ddof=1) if len(values_mm) > 1 else np.nan,
        "sd_error_mm": np.sqrt(np.mean(np.square(errors_mm))),
        **dict.fromkeys(("sd_true_mm", "sd_true_low_mm", "sd_true_high_mm"), np.nan),
    }
    enough = len(values_mm) >= MIN_PEOPLE
    if enough:
        low, high = interval(values_mm, errors_mm)
        row |= {"sd_true_mm": true_sd(values_mm, errors_mm), "sd_true_low_mm": low, "sd_true_high_mm": high}
    corrected = without_errors(values_mm, errors_mm) if enough else None
    for percentile in PERCENTILES:
        row[f"p{percentile}_observed_mm"] = np.percentile(values_mm, percentile)
        row[f"p{percentile}_true_mm"] = np.nan if corrected is None else np.percentile(corrected, percentile)
    return row


def read_results(path: Path) -> pd.DataFrame:
    """Return a value a row: measurement, scale_source, mm, mm_sd."""
    table = pd.read_csv(path, dtype={"reference": str})
    faces = table[(table["status"] == "succeeded") & (table["face_index"] == 0)]
    keys = [column.removesuffix("_mm_sd") for column in table.columns if column.endswith("_mm_sd")]
    parts = []
    for key in keys:
        part = faces[faces[f"{key}_status"] == "ok"]
        columns = {"scale_source": part["scale_source"], "mm": part[f"{key}_mm"], "mm_sd": part[f"{key}_mm_sd"]}
        parts.append(pd.DataFrame({"measurement": key, **columns}))
    return pd.concat(parts, ignore_index=True).dropna()


def study(values: pd.DataFrame) -> pd.DataFrame:
    """Return the table of the study, in the order of the results."""
    rows = [
        {"measurement": key, "scale_source": source} | describe(part["mm"].to_numpy(), part["mm_sd"].to_numpy())
        for (key, source), part in values.groupby(["measurement", "scale_source"], sort=False)
    ]
    return pd.DataFrame(rows)


def draw(values: pd.DataFrame, path: Path) -> None:
    """Draw each measurement: what was observed as bars, and without errors as a line."""
    groups = list(values.groupby(["measurement", "scale_source"], sort=False))
    rows = -(-len(groups) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(4 * COLUMNS, 2.6 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(groups) :]:
        axis.remove()
    for axis, ((key, source), part) in zip(axes.flat, groups, strict=False):
        observed, errors = part["mm"].to_numpy(), part["mm_sd"].to_numpy()
        bins = np.histogram_bin_edges(observed, bins="fd" if len(observed) >= MIN_PEOPLE else 5)
        axis.hist(observed, bins=bins, color="#b9cdd1", label="observed")
        if len(observed) >= MIN_PEOPLE:
            axis.hist(
                without_errors(observed, errors), bins=bins, histtype="step", color="#0f5c63", label="without errors"
            )
            axis.legend(fontsize="small", frameon=False)
        axis.set_title(f"{key}, by {source} (n = {len(observed)})", fontsize="medium")
        axis.set_xlabel("mm", fontsize="small")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def submit(folder: Path, table: Path) -> None:
    """Have the photos of a folder measured; what was begun before is gone on with."""
    portal = Path(__file__).with_name("bulk_portal.py")
    subprocess.run([sys.executable, str(portal), str(folder), "--out", str(table)], check=True)


def main() -> None:
    """Do it."""
    arguments = argparse.ArgumentParser(description="How much people differ, without the errors of measuring them.")
    arguments.add_argument("folder", type=Path, nargs="?", help="photos to submit, one of each person")
    arguments.add_argument("--results", type=Path, help="instead: the CSV of /v1/batches/{id}/results")
    arguments.add_argument("--out", type=Path, default=Path("study"))
    given = arguments.parse_args()
    if (given.folder is None) == (given.results is None):
        arguments.error("give a folder of photos or --results, and not both")
    given.out.mkdir(parents=True, exist_ok=True)
    results = given.results or given.out / "results.csv"
    if given.folder is not None:
        submit(given.folder, results)
    values = read_results(results)
    if values.empty:
        sys.exit(f"no measurement in {results} is ok")
    table = study(values)
    table.to_csv(given.out / "study.csv", index=False, float_format="%.2f")
    draw(values, given.out / "study.png")
    shown = ["measurement", "scale_source", "n", "mean_mm", "sd_observed_mm", "sd_error_mm", "sd_true_mm"]
    print(table[shown].to_string(index=False, float_format="%.2f", na_rep="-"))
    if (table["n"] < MIN_PEOPLE).any():
        print(f"- : fewer than {MIN_PEOPLE} people; no true spread can be told from so few")


if __name__ == "__main__":
    main()
