"""The table per measurement: mesh against hand-placed points, error in millimetres, coverage of the image part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from bench.evaluate.cross_fit import refitted
from bench.evaluate.report import NONE, Section, Table, number, percent, plus_minus
from bench.evaluate.runs import MeasuredPhoto
from bench.evaluate.samples import Sample, nearby_ratios, samples_of
from bench.statistics import Share, halves, interval_by_person, share_of, summarise, within_sds
from shared.measurements import DEFINITIONS

SD_MULTIPLES: Final = (1, 2)
MAX_GROUPS: Final = 10
"""A column of info.csv with more values than that is no group but an id or an age."""
ALL: Final = "pooled"
FIT: Final = "fit half"
HELD_OUT: Final = "held-out half"
_ORDER: Final = {definition.key: place for place, definition in enumerate(DEFINITIONS)}
_ALSO: Final = "distance_pd"
"""Made of the same two points as `interpupillary_distance`: shown, and not pooled, lest they count twice."""


def evaluate_agreement(photos: list[MeasuredPhoto]) -> tuple[Section, list[Sample]]:
    """Compare one folder of annotated photos with its points."""
    samples = [sample for photo in photos for sample in samples_of(photo)]
    fit, held_out = (set(half) for half in halves(photo.person for photo in photos))
    halves_of = {FIT: fit, HELD_OUT: held_out, "all": fit | held_out}
    tables = [_ratios(samples, nearby_ratios(photos), halves_of)]
    judged = [sample for sample in samples if sample.error is not None]
    coverage = _coverage_groups(judged, halves_of)
    if judged:
        tables += [
            _errors([sample for sample in judged if sample.person in held_out], HELD_OUT),
            _errors(judged, "all"),
            _coverage_pooled(coverage),
        ]
    for column in _group_columns(photos):
        tables += _by_group(samples, column)
    tables.append(_statuses(photos))
    figures = {
        "people": len(fit | held_out),
        "photos": len(photos),
        "fit_half": sorted(fit),
        "held_out_half": sorted(held_out),
        "ratios": {name: _ratio_figures(samples, people) for name, people in halves_of.items()},
        "millimetres": {name: _error_figures(judged, people) for name, people in halves_of.items()},
        "coverage": {name: _coverage_figures(group) for name, group in coverage.items()},
        "status": {key: dict(_status_counts(photos, key)) for key in _ORDER},
    }
    return Section("agreement", "Against hand-placed points", tables, figures), samples


def errors_by_key(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Sort samples by measurement, in the registry's order."""
    by_key: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: _ORDER[sample.key]):
        by_key.setdefault(sample.key, []).append(sample)
    return by_key


def pooled(samples: Iterable[Sample]) -> list[Sample]:
    """Leave out what would count the same two points twice."""
    return [sample for sample in samples if sample.key != _ALSO]


def covered(samples: Sequence[Sample], multiple: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which samples lie within so many SDs of their image part."""
    errors = [(sample.mm or 0) - (sample.truth_mm or 0) for sample in samples]
    return within_sds(errors, [sample.image_sd_mm for sample in samples], multiple)  # type: ignore[arg-type]


def _ratios(samples: list[Sample], near: dict[str, dict[str, float]], halves_of: dict[str, set[str]]) -> Table:
    rows = []
    for key, of_key in errors_by_key(samples).items():
        registry = next(definition for definition in DEFINITIONS if definition.key == key)
        columns = [
            plus_minus(summarise([s.ratio for s in of_key if s.person in people]), 3) for people in halves_of.values()
        ]
        rows.append([f"`{key}`", f"{registry.bias:.3f} ± {registry.definition_sd * registry.bias:.3f}", *columns])
    for key, by_person in near.items():
        registry = next(definition for definition in DEFINITIONS if definition.key == key)
        columns = [
            plus_minus(summarise([ratio for person, ratio in by_person.items() if person in people]), 3)
            for people in halves_of.values()
        ]
        rows.append([f"`{key}` †", f"{registry.bias:.3f} ± {registry.definition_sd * registry.bias:.3f}", *columns])
    counts = ", ".join(f"{name} {len(people)}" for name, people in halves_of.items())
    note = f"People: {counts}."
    if near:
        note += " † Only the spread counts: the hand-placed points lie near by and mark something else."
    return Table(
        "Mesh ÷ hand, both in pixels (mean ± SD over people), beside what the registry holds",
        ["measurement", "registry", *halves_of],
        rows,
        note,
    )


def _errors(samples: list[Sample], name: str) -> Table:
    groups = {f"`{key}`": of_key for key, of_key in errors_by_key(samples).items()}
    groups[ALL] = pooled(samples)
    rows = []
    for label, group in groups.items():
        figures = _figures(group)
        coverage = [percent(share_of(covered(group, multiple))) for multiple in SD_MULTIPLES]
        rows.append([label, str(figures["n"]), number(figures["mean_percent"], 1, "+"), *_maes(figures), *coverage])
    columns = ["measurement", "n", "mean error, %", "MAE, mm", "MAE, %", "MAE of the points alone, %"]
    return Table(
        f"Millimetres against hand-placed points and traced irises, {name}",
        [*columns, "within 1 SD, %", "within 2 SD, %"],
        rows,
        "SD: the image part of `mm_sd`. In brackets Wilson's 95 % interval. MAE: mean absolute error.",
    )


def _maes(figures: dict[str, Any]) -> list[str]:
    return [number(figures[name], 1) for name in ("mae_mm", "mae_percent", "mae_points_percent")]


def _coverage_groups(samples: list[Sample], halves_of: dict[str, set[str]]) -> dict[str, list[Sample]]:
    groups = {
        f"{name}, the registry's constants": [sample for sample in pooled(samples) if sample.person in people]
        for name, people in halves_of.items()
    }
    fit, held_out = halves_of[FIT], halves_of[HELD_OUT]
    forward, back = refitted(samples, held_out, fit), refitted(samples, fit, held_out)
    groups["held-out half, bias and spread set on the fit half"] = pooled(forward)
    groups["each half, bias and spread set on the other"] = pooled([*forward, *back])
    return groups


def _coverage_pooled(groups: dict[str, list[Sample]]) -> Table:
    rows = []
    for name, group in groups.items():
        cells = []
        for multiple in SD_MULTIPLES:
            hits = covered(group, multiple)
            low, high = interval_by_person(hits, [sample.person for sample in group])
            cells += [percent(share_of(hits)), f"[{number(100 * low, 1)}, {number(100 * high, 1)}]"]
        rows.append([name, str(len({sample.person for sample in group})), str(len(group)), *cells])
    by_person = "interval when people are drawn, not values"
    return Table(
        "Coverage of the image part, pooled over measurements; a normal has 68.3 and 95.4 %",
        ["people of", "people", "n", "within 1 SD, %", by_person, "within 2 SD, %", by_person],
        rows,
        "The widths of one person share a ruler, so they are not as many trials as values: the second interval"
        " (bootstrap over people) allows for that.",
    )


def _by_group(samples: list[Sample], column: str) -> list[Table]:
    values = sorted({sample.groups[column] for sample in samples if sample.groups.get(column)})
    people = {value: {s.person for s in samples if s.groups.get(column) == value} for value in values}
    heads = [f"{value} ({len(people[value])})" for value in values]
    rows = []
    for key, of_key in errors_by_key(samples).items():
        cells = [plus_minus(summarise([s.ratio for s in of_key if s.person in people[value]]), 3) for value in values]
        rows.append([f"`{key}`", *cells])
    tables = [Table(f"Mesh ÷ hand by {column} (people)", ["measurement", *heads], rows)]
    judged = pooled(sample for sample in samples if sample.error is not None)
    if judged:
        rows = []
        for value in values:
            group = [sample for sample in judged if sample.person in people[value]]
            figures = _figures(group)
            shares = [percent(share_of(covered(group, multiple))) for multiple in SD_MULTIPLES]
            row = [value, str(len(people[value])), str(len(group)), number(figures["mean_percent"], 1, "+")]
            rows.append([*row, number(figures["mae_mm"], 1), number(figures["mae_percent"], 1), *shares])
        heads = [column, "people", "n", "mean error, %", "MAE, mm", "MAE, %", "within 1 SD, %", "within 2 SD, %"]
        tables.append(Table(f"Millimetres by {column}, pooled over measurements, all people", heads, rows))
    return tables


def _group_columns(photos: list[MeasuredPhoto]) -> list[str]:
    columns = list(dict.fromkeys(column for photo in photos for column in photo.groups))
    values = {column: {photo.groups.get(column, "") for photo in photos} for column in columns}
    return [column for column in columns if 1 < len(values[column]) <= MAX_GROUPS and not _has_number(values[column])]


def _has_number(values: set[str]) -> bool:
    return any(value.replace(".", "").isdigit() for value in values)


def _statuses(photos: list[MeasuredPhoto]) -> Table:
    rows = []
    for key in _ORDER:
        counts = _status_counts(photos, key)
        shares = [f"{100 * counts[status] / len(photos):.0f}" for status in ("ok", "unreliable", "not_measurable")]
        reasons = Counter(
            reason for photo in photos if photo.face for reason in photo.face["measurements"][key]["reasons"]
        )
        told = ", ".join(f"`{reason}` {count}" for reason, count in reasons.most_common())
        rows.append([f"`{key}`", *shares, str(counts["refused"]), told or NONE])
    return Table(
        f"Status of each measurement on these {len(photos)} photos",
        ["measurement", "ok, %", "unreliable, %", "not_measurable, %", "photos refused", "reasons"],
        rows,
    )


def _status_counts(photos: list[MeasuredPhoto], key: str) -> Counter[str]:
    return Counter(photo.face["measurements"][key]["status"] if photo.face else "refused" for photo in photos)


def _figures(samples: list[Sample]) -> dict[str, Any]:
    errors = np.array([sample.error for sample in samples], dtype=np.float64)
    error_mm = np.array([(sample.mm or 0) - (sample.truth_mm or 0) for sample in samples])
    points = np.array([sample.points_error for sample in samples])
    if not samples:
        return {"n": 0, "mean_percent": None, "mae_mm": None, "mae_percent": None, "mae_points_percent": None}
    return {
        "n": len(samples),
        "mean_percent": float(100 * errors.mean()),
        "mae_mm": float(np.abs(error_mm).mean()),
        "mae_percent": float(100 * np.abs(errors).mean()),
        "mae_points_percent": float(100 * np.abs(points).mean()),
    }


def _ratio_figures(samples: list[Sample], people: set[str]) -> dict[str, Any]:
    figures = {}
    for key, of_key in errors_by_key(s for s in samples if s.person in people).items():
        summary = summarise([sample.ratio for sample in of_key])
        figures[key] = {"n": summary.n, "mean": summary.mean, "sd": summary.sd}
    return figures


def _error_figures(samples: list[Sample], people: set[str]) -> dict[str, Any]:
    of_people = [sample for sample in samples if sample.person in people]
    groups = {**errors_by_key(of_people), ALL: pooled(of_people)}
    return {key: {**_figures(group), "coverage": _coverage_figures(group)} for key, group in groups.items()}


def _coverage_figures(group: list[Sample]) -> dict[str, Any]:
    shares: dict[int, Share] = {multiple: share_of(covered(group, multiple)) for multiple in SD_MULTIPLES}
    return {f"{m}_sd": {"share": s.share, "low": s.low, "high": s.high, "n": s.n} for m, s in shares.items()}
