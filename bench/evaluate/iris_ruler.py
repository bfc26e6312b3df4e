"""The iris as a ruler, against irises traced by hand on the same photos."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.report import Section, Table, number, percent, plus_minus
from bench.evaluate.runs import MeasuredPhoto
from bench.evaluate.schemes import distance_between, traced_iris_px
from bench.statistics import Summary, halves, share_of, summarise
from worker.measure.iris import IRIS_MM

MESH_IRIS_MM: Final = 12.2
"""What the mesh's own ring is taken to measure: it reads about 1.04 of a traced one."""
RINGS: Final = ((469, 471), (474, 476))
"""Horizontal extremes of the mesh's rings, the subject's right eye first."""
STATED_REFUSED: Final = 0.03
"""At most so many photos like these may lose their ruler."""


def evaluate_iris(photos: list[MeasuredPhoto]) -> Section | None:
    """Compare both rulers, the mesh's ring and the scale of the result, with the traced rings; None without such."""
    traced = {
        photo.path.name: iris_px
        for photo in photos
        if photo.hand and photo.face and (iris_px := traced_iris_px(photo.hand.points, photo.hand.scheme))
    }
    measured = [photo for photo in photos if photo.path.name in traced]
    if not measured:
        return None
    fit, held_out = halves(photo.person for photo in photos)
    scaled = [photo for photo in measured if photo.face and _holds(photo.face["scale"])]
    rulers = {
        "ring of the mesh": {photo: _mesh_scale(photo) for photo in measured},
        "scale of the result": {photo: photo.face["scale"]["mm_per_px"] for photo in scaled if photo.face},
    }
    rows: list[list[str]] = []
    figures: dict[str, Any] = {}
    for name, scales in rulers.items():
        ratios = {photo: s * traced[photo.path.name] / IRIS_MM for photo, s in scales.items()}
        parts = {
            half: summarise([ratio for photo, ratio in ratios.items() if photo.person in people])
            for half, people in (("fit half", fit), ("held-out half", held_out), ("all", fit + held_out))
        }
        rows.append([name, str(parts["all"].n), *(plus_minus(part, 3) for part in parts.values())])
        rows[-1] += [number(_cv_percent(parts["all"]), 2), number(_cv_percent(parts["held-out half"]), 2)]
        figures[name] = {half: {"n": s.n, "mean": s.mean, "sd": s.sd} for half, s in parts.items()}
    tables = [
        Table(
            "Ruler ÷ traced ruler (1 is agreement; mean ± SD over people)",
            ["ruler", "n", "fit half", "held-out half", "all", "CV, all, %", "CV, held-out half, %"],
            rows,
            f"The tracing itself varies: one person's left and right iris, traced, differ so much that their mean is"
            f" uncertain by {_tracing_noise_percent(measured):.1f} % (half the SD of their difference);"
            " that is in every CV above.",
        ),
        _refusals(photos),
    ]
    refused = share_of([not (photo.face and _holds(photo.face["scale"])) for photo in photos])
    figures["refused"] = {"share": refused.share, "n": refused.n}
    problems = [f"{refused.within} of {refused.n} iris scales refused"] if refused.share > STATED_REFUSED else []
    return Section("iris", "The iris as a ruler", tables, figures, problems)


def _holds(scale: dict[str, Any] | None) -> bool:
    return scale is not None and scale["status"] != "not_measurable"


def _mesh_scale(photo: MeasuredPhoto) -> float:
    mesh = photo.landmarks
    return float(MESH_IRIS_MM / np.mean([_across(mesh, ring) for ring in RINGS])) if mesh is not None else np.nan


def _across(points: NDArray[np.float64], pair: tuple[int, int]) -> float:
    return float(np.hypot(*(points[pair[1], :2] - points[pair[0], :2])))


def _cv_percent(summary: Summary) -> float:
    return 100 * summary.sd / summary.mean


def _tracing_noise_percent(photos: list[MeasuredPhoto]) -> float:
    differences = []
    for photo in photos:
        if photo.hand:
            right, left = (distance_between(photo.hand.points, pair) for pair in photo.hand.scheme.irises)
            differences.append((right - left) / (right + left))
    return 100 * float(np.std(differences))


def _refusals(photos: list[MeasuredPhoto]) -> Table:
    scales = [photo.face["scale"] if photo.face else None for photo in photos]
    refused = share_of([not _holds(scale) for scale in scales])
    unreliable = share_of([scale is not None and scale["status"] == "unreliable" for scale in scales])
    reasons = sorted({reason for scale in scales if scale for reason in scale["reasons"]})
    return Table(
        "Scales that were refused, of these photos",
        ["photos", "refused, %", "unreliable, %", "reasons"],
        [[str(len(photos)), percent(refused), percent(unreliable), ", ".join(f"`{r}`" for r in reasons) or "none"]],
    )
