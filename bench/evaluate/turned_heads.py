"""Widths of turned heads against their straight view, on textured renders in true perspective.

Turning a mesh's points proves nothing: the network has to see the turned head. So the mesh of a photo is lifted into
space, textured with the photo, turned, photographed at a distance, and the network finds its points anew. The scale at
the eyes and the focal length are known here, so what is left is the geometry: depth, pose and the network itself.
(The iris on a render turns with the head, which real eyes do not, and is no ruler here.)

Heads are of held-out people, each lifted twice: with the mesh's own depth and with the mean face's, both with gains
that are not the one in use, so that the result does not just repeat the depth that went in. Everything is shown with
the correction for the turn of the head (docs/adr/0010), which was set on other people, and without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bench.evaluate.report import NONE, Section, Table, number, percent
from bench.evaluate.runs import MeasuredPhoto
from bench.statistics import share_of, within_sds
from bench.turned_widths import WIDTHS, TurnedView, TurnedWidth, deviation_sd, lifted, view
from shared.results import MeasurementStatus
from worker.measure.verdicts import FaceFacts, judge
from worker.vision.find_faces import FaceFinder

DISTANCES_MM: Final = (300.0, 450.0, 600.0, 1000.0)
POSES_DEG: Final = {
    "yaw 20°": ((20.0, 0.0), (-20.0, 0.0)),
    "yaw 40°": ((40.0, 0.0), (-40.0, 0.0)),
    "pitch +20°": ((0.0, 20.0),),
    "pitch -20°": ((0.0, -20.0),),
    "yaw 30°, pitch +15°": ((30.0, 15.0), (-30.0, 15.0)),
    "yaw 30°, pitch -15°": ((30.0, -15.0), (-30.0, -15.0)),
}
"""(yaw, pitch) of each turn, to both sides; the mean over up and down would hide what cancels."""
NEARER: Final = "straight, 30 to 60 cm against 1 m"
STATED_PERCENT: Final = 3.0
SD_MULTIPLES: Final = (1, 2)

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One width of one view against the straight one.

    Attributes
    ----------
    after, before : float
        With the correction for the turn and without it [%].
    sd : float
        What `mm_sd` holds of that deviation [%].
    is_ok : bool
        Whether the width would come out `ok` from this view, as far as the turn has a say.
    """

    after: float
    before: float
    sd: float
    is_ok: bool


Deviations = dict[str, defaultdict[str, list[Deviation]]]
"""Turn to measurement to deviations."""


def evaluate_turned_heads(photos: list[MeasuredPhoto], finder: FaceFinder) -> Section | None:
    """Turn the heads of these photos; None if none of them can be lifted."""
    found: Deviations = {name: defaultdict(list) for name in (*POSES_DEG, NEARER)}
    lost, heads = 0, [head for photo in photos for head in lifted(photo)]
    for head in heads:
        straight = {distance: view(head, distance, (0.0, 0.0), finder) for distance in DISTANCES_MM}
        furthest = straight[DISTANCES_MM[-1]]
        for distance, seen in straight.items():
            if seen is None or furthest is None:
                lost += 1
                continue
            if distance != DISTANCES_MM[-1]:
                _deviate(found[NEARER], seen, furthest)
            for name, poses in POSES_DEG.items():
                for pose in poses:
                    turned = view(head, distance, pose, finder)
                    lost += turned is None
                    if turned is not None:
                        _deviate(found[name], turned, seen)
    return _section(found, len(heads), lost) if heads else None


def _deviate(deviations: defaultdict[str, list[Deviation]], turned: TurnedView, straight: TurnedView) -> None:
    facts = FaceFacts(yaw_deg=turned.yaw_deg, pitch_deg=turned.pitch_deg, scale_status=MeasurementStatus.OK)
    for definition in WIDTHS:
        width, truth = turned.widths[definition.key], straight.widths[definition.key]
        deviations[definition.key].append(
            Deviation(
                after=_percent_off(width, truth, lambda one: one.mm),
                before=_percent_off(width, truth, lambda one: one.uncorrected_mm),
                sd=100 * deviation_sd(width, truth),
                is_ok=judge(definition, facts)[0] is MeasurementStatus.OK,
            )
        )


def _percent_off(width: TurnedWidth, truth: TurnedWidth, mm: Callable[[TurnedWidth], float]) -> float:
    return 100 * (mm(width) / mm(truth) - 1)


def _section(found: Deviations, heads: int, lost: int) -> Section:
    distances = ", ".join(f"{distance / 10:.0f}" for distance in DISTANCES_MM)
    note = (
        f"{heads} heads (two of each person) at {distances} cm; in {lost} renders no face was found. In each cell:"
        f" mean, mean size, share within {STATED_PERCENT:.0f} %."
    )
    caption = "Deviation of a width in mm from the straight view at the same distance, %"
    tables = [
        _deviations(f"{caption}, as the service gives it", found, lambda one: one.after, note),
        _deviations(f"{caption}, without the correction for the turn of the head", found, lambda one: one.before, ""),
        _against_sds(found),
    ]
    widths = {
        definition.key: {name: _figures(of_turn[definition.key]) for name, of_turn in found.items()}
        for definition in WIDTHS
    }
    return Section("turned-heads", "Turned heads", tables, {"heads": heads, "lost": lost, "widths": widths})


def _deviations(caption: str, found: Deviations, value: Callable[[Deviation], float], note: str) -> Table:
    rows = []
    means: defaultdict[str, list[float]] = defaultdict(list)
    for definition in WIDTHS:
        cells = [f"`{definition.key}`"]
        for name, of_turn in found.items():
            values = np.array([value(one) for one in of_turn[definition.key]])
            cells.append(_cell(values))
            means[name] += [float(values.mean())] if values.size else []
        rows.append(cells)
    pooled = {name: np.array([value(one) for one in _all(of_turn)]) for name, of_turn in found.items()}
    rows.append(["all", *(_cell(values) for values in pooled.values())])
    held = [f"{sum(abs(mean) <= STATED_PERCENT for mean in means[name])} of {len(means[name])}" for name in found]
    rows.append([f"measurements whose mean is within {STATED_PERCENT:.0f} %", *held])
    return Table(caption, ["measurement", *found], rows, note)


def _against_sds(found: Deviations) -> Table:
    rows = []
    for name in POSES_DEG:  # from near to far it is the perspective that differs, which is no part of this SD
        everything = _all(found[name])
        spoken_for = [one for one in everything if one.is_ok]
        cells = [_covered(everything, multiple) for multiple in SD_MULTIPLES] + [_covered(spoken_for, 2)]
        good = share_of([abs(one.after) <= STATED_PERCENT for one in spoken_for])
        rows.append([name, str(len(everything)), *cells[:2], str(len(spoken_for)), cells[2], percent(good)])
    return Table(
        "What remains against what `mm_sd` holds of it (turn, depth, points); and of what would be `ok` at that turn",
        ["turn", "n", "within 1 SD, %", "within 2 SD, %", "`ok`", "`ok` within 2 SD, %", "`ok` within 3 %, %"],
        rows,
        "In brackets Wilson's 95 % interval, as if the widths of one head had nothing to do with each other.",
    )


def _all(of_turn: defaultdict[str, list[Deviation]]) -> list[Deviation]:
    return [one for definition in WIDTHS for one in of_turn[definition.key]]


def _covered(deviations: list[Deviation], multiple: int) -> str:
    return percent(share_of(within_sds([one.after for one in deviations], [one.sd for one in deviations], multiple)))


def _cell(values: Values) -> str:
    if not values.size:
        return NONE
    within = 100 * float(np.mean(np.abs(values) <= STATED_PERCENT))
    return f"{number(values.mean(), 1, '+')}, {number(np.abs(values).mean(), 1)}, {within:.0f} %"


def _figures(deviations: list[Deviation]) -> dict[str, dict[str, float | None]]:
    return {
        "after": _of(np.array([one.after for one in deviations])),
        "before": _of(np.array([one.before for one in deviations])),
    }


def _of(values: Values) -> dict[str, float | None]:
    if not values.size:
        return {"mean": None, "mean_size": None, "largest": None, "within": None}
    sizes = np.abs(values)
    return {
        "mean": float(values.mean()),
        "mean_size": float(sizes.mean()),
        "largest": float(sizes.max()),
        "within": float(np.mean(sizes <= STATED_PERCENT)),
    }
