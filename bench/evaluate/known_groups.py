"""Men and women apart: what a photo's millimetres tell, beside what calipers told of thousands (ANSUR II).

Two groups that are known to differ are the plainest test of a measurement when nobody's true width is known. The
people are others, so means need not agree; the difference between the sexes should show.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Final

import numpy as np

from bench.evaluate.report import Section, Table, number, plus_minus
from bench.evaluate.runs import MeasuredPhoto
from bench.statistics import Summary, summarise

ANSUR: Final = "ansur2/head.csv"
COLUMNS: Final = {
    "face_width": ("bizygomaticbreadth", 1.0),
    "distance_pd": ("interpupillarybreadth", 0.1),
    "face_length": ("mentonsellionlength", 1.0),
}
"""Measurement to the column of ANSUR II that comes nearest, and what a unit of it is in mm."""
SEXES: Final = ("male", "female")
SEX_COLUMN_ENDS: Final = ("gender", "sex")


def evaluate_known_groups(data: Path, photos: list[MeasuredPhoto]) -> Section | None:
    """Put our figures by sex beside those of ANSUR II; None where either is missing."""
    path = data / ANSUR
    column = next((c for photo in photos for c in photo.groups if c.lower().endswith(SEX_COLUMN_ENDS)), None)
    if column is None or not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    rows, figures = [], {}
    for key, (tape, unit_mm) in COLUMNS.items():
        ours = [summarise(_mm(photos, key, column, sex)) for sex in SEXES]
        theirs = [summarise([float(p[tape]) * unit_mm for p in people if p["sex"] == sex]) for sex in SEXES]
        rows.append(
            [f"`{key}`", *map(_with_n, ours), _difference(ours), tape, *map(_with_n, theirs), _difference(theirs)]
        )
        figures[key] = {
            "ours": {sex: {"n": s.n, "mean": s.mean, "sd": s.sd} for sex, s in zip(SEXES, ours, strict=True)},
            "ansur2": {sex: {"n": s.n, "mean": s.mean, "sd": s.sd} for sex, s in zip(SEXES, theirs, strict=True)},
        }
    table = Table(
        "By sex, mm: mean ± SD (n); difference: male less female ± its standard error",
        ["ours", *SEXES, "difference", "ANSUR II", *SEXES, "difference"],
        rows,
    )
    return Section("known-groups", "Known groups", [table], figures)


def _mm(photos: list[MeasuredPhoto], key: str, column: str, sex: str) -> list[float]:
    values = [p.face["measurements"][key]["mm"] for p in photos if p.face and p.groups.get(column) == sex]
    return [mm for mm in values if mm is not None]


def _with_n(summary: Summary) -> str:
    return f"{plus_minus(summary, 1)} ({summary.n})"


def _difference(summaries: list[Summary]) -> str:
    male, female = summaries
    if min(male.n, female.n) < 2:
        return number(None, 1)
    error = math.sqrt(male.sd**2 / male.n + female.sd**2 / female.n)
    return f"{number(male.mean - female.mean, 1, '+')} ± {number(error, 1)}" if np.isfinite(error) else number(None, 1)
