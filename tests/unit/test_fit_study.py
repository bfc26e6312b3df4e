"""The study of examples/: it finds the truth it was given, says how sure it is, and refuses to guess from a few."""

from __future__ import annotations

import csv
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stack.services import ROOT

SCRIPT = ROOT / "examples" / "fit_study.py"
fit_study: Any = SimpleNamespace(**runpy.run_path(str(SCRIPT)))

TRUE_MEAN_MM, TRUE_SD_MM = 140.0, 5.0
MANY, ORDINARY = 20_000, 200


def people(n: int, seed: int, skewed: bool = False) -> tuple[Any, Any, Any]:
    """Return true widths, what was measured of them, and how sure each is."""
    rng = np.random.default_rng(seed)
    unit = (rng.gamma(4.0, size=n) - 4) / 2 if skewed else rng.standard_normal(n)
    true = TRUE_MEAN_MM + TRUE_SD_MM * unit
    errors = rng.uniform(3.0, 7.0, n)
    return true, true + errors * rng.standard_normal(n), errors


def test_the_true_spread_is_found() -> None:
    _, measured, errors = people(MANY, seed=1)
    assert np.std(measured, ddof=1) == pytest.approx(7.2, abs=0.1)
    # 20,000 people: the standard error of the estimate is 0.05 mm.
    assert fit_study.true_sd(measured, errors) == pytest.approx(TRUE_SD_MM, abs=0.2)


@pytest.mark.parametrize("skewed", [False, True])
def test_percentiles_come_nearer_to_the_true_ones(skewed: bool) -> None:
    true, measured, errors = people(MANY, seed=2, skewed=skewed)
    corrected = fit_study.without_errors(measured, errors)
    assert np.std(corrected, ddof=1) == pytest.approx(fit_study.true_sd(measured, errors))
    for percentile in (5, 95) if skewed else (5, 25, 75, 95):
        truth, raw, ours = (np.percentile(values, percentile) for values in (true, measured, corrected))
        assert ours == pytest.approx(truth, abs=1.3 if skewed else 0.3)  # the shape of errors stays in
        assert abs(ours - truth) < abs(raw - truth)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for seed in range(60):
        low, high = fit_study.interval(*people(ORDINARY, seed)[1:])
        held += low <= TRUE_SD_MM <= high
    assert held >= 51  # 95 % of 60 are 57; fewer than 51 would come by chance once in 200 times


def test_errors_that_explain_everything_leave_nothing() -> None:
    rng = np.random.default_rng(3)
    measured, errors = TRUE_MEAN_MM + rng.standard_normal(500), np.full(500, 2.0)
    assert fit_study.true_sd(measured, errors) == 0
    assert set(fit_study.without_errors(measured, errors)) == {np.mean(measured)}


def table(path: Path, rows: int) -> Path:
    """Write a table as the service does, with rulers of two kinds, a rejected photo, second faces, what is not ok."""
    _, measured, errors = people(rows, seed=4)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ["px", "mm", "mm_sd", "status", "reasons"]
        head = ["reference", "status", "error_code", "face_index", "scale_source"]
        writer.writerow(head + [f"face_width_{column}" for column in columns])
        for number, (mm, sd) in enumerate(zip(measured, errors, strict=True)):
            source = "iris" if number % 4 else "reference_object"
            writer.writerow([f"{number:04}", "succeeded", "", 0, source, 300, mm, sd, "ok", ""])
        writer.writerow(["second", "succeeded", "", 1, "iris", 300, 999, 1, "ok", ""])
        writer.writerow(["turned", "succeeded", "", 0, "iris", 300, 999, 1, "unreliable", "head_turned"])
        writer.writerow(["wall", "rejected", "no_face", "", "", "", "", "", "", ""])
    return path


def test_a_table_becomes_a_study_by_ruler(tmp_path: Path) -> None:
    results = table(tmp_path / "results.csv", rows=400)
    command = [sys.executable, str(SCRIPT), "--results", str(results)]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path / "study")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "MPLCONFIGDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    with (tmp_path / "study" / "study.csv").open(newline="") as file:
        rows = {row["scale_source"]: row for row in csv.DictReader(file)}
    assert {source: row["n"] for source, row in rows.items()} == {"iris": "300", "reference_object": "100"}
    iris = {name: float(value) for name, value in rows["iris"].items() if name.endswith("_mm")}
    assert iris["sd_true_low_mm"] < TRUE_SD_MM < iris["sd_true_high_mm"]
    assert iris["sd_true_mm"] < iris["sd_observed_mm"]
    assert iris["p5_observed_mm"] < iris["p5_true_mm"] < iris["p95_true_mm"] < iris["p95_observed_mm"]
    assert (tmp_path / "study" / "study.png").read_bytes().startswith(b"\x89PNG")


def test_a_few_people_are_no_study(tmp_path: Path) -> None:
    values = fit_study.read_results(table(tmp_path / "results.csv", rows=40))
    study = fit_study.study(values).set_index("scale_source")
    assert study["n"].to_dict() == {"iris": 30, "reference_object": 10}
    assert study["sd_true_mm"].isna().to_dict() == {"iris": False, "reference_object": True}
