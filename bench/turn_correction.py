"""Set the corrections of docs/adr/0010: `python -m bench.turn_correction --data DIR [--people N]`.

DIR holds `faces/london`. Heads of the fit half (every second person by number) are turned, rendered in true perspective
at 30 to 100 cm, and found anew; each width is held against the same head's straight view at the same distance. Printed:

1. Candidate forms side by side, each set on all people but one and judged on that one, in turn.
2. The entries for `shared/measurements.py`, by the form in use.

The held-out half is `bench.evaluate`'s to show.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.runs import measure_folders, pipeline_of
from bench.statistics import halves
from bench.turned_widths import WIDTHS, TurnedView, lifted, view
from shared.turn_correction import MAX_PITCH_DEG, MAX_YAW_DEG
from worker.vision.find_faces import FaceFinder

Values = NDArray[np.float64]
Terms = dict[str, float]

DISTANCES_MM: Final = (300.0, 450.0, 600.0, 1000.0)
STRAIGHT: Final = (0.0, 0.0)
_ACROSS: Final = (-40.0, -20.0, 0.0, 20.0, 40.0)
POSES_DEG: Final = (
    *((yaw, 0.0) for yaw in (-40.0, -30.0, -20.0, -10.0, 10.0, 20.0, 30.0, 40.0)),
    *((yaw, pitch) for pitch in (-20.0, -10.0, 10.0, 20.0) for yaw in _ACROSS),
)
"""Yaw and pitch [degrees]."""

TERMS: Final[dict[str, Callable[[Values, Values], Values]]] = {
    "yaw": lambda yaw, _: np.sin(yaw) ** 2,
    "pitch": lambda _, pitch: np.sin(pitch),
    "yaw_and_pitch": lambda yaw, pitch: np.sin(yaw) ** 2 * np.sin(pitch),
    "pitch_squared": lambda _, pitch: np.sin(pitch) ** 2,
}
"""What a width may change by; `shared.turn_correction` has the names of those in use."""
FORMS: Final = {
    "none": (),
    "yaw, pitch": ("yaw", "pitch"),
    "and their product": ("yaw", "pitch", "yaw_and_pitch"),
    "and pitch squared": ("yaw", "pitch", "yaw_and_pitch", "pitch_squared"),
}
IN_USE: Final = "and their product"
SURE_T: Final = 2.0
"""A term stays where it is so many times its standard error over people: about 95 %."""
JITTER, BY_TURN = 0.007, 0.07
"""Weights of the least squares: what remains is about √(0.7² + (7 sin Y)² + (7 sin P)²) % (2.5 % at 20° of yaw, 4.8 at
40), whatever the form."""
ALLOWED: Final = 0.03
FEWEST_PEOPLE: Final = 3
"""Two to fit to, whose difference is the standard error, and one to judge."""
SHOWN: Final[dict[str, Callable[[Values, Values], NDArray[np.bool_]]]] = {
    "yaw 20": lambda yaw, pitch: (np.abs(yaw) == 20) & (pitch == 0),
    "yaw 40": lambda yaw, pitch: (np.abs(yaw) == 40) & (pitch == 0),
    "pitch 20": lambda yaw, pitch: (yaw == 0) & (np.abs(pitch) == 20),
    "yaw 20 with pitch": lambda yaw, pitch: (np.abs(yaw) == 20) & (pitch != 0),
    "yaw 40 with pitch": lambda yaw, pitch: (np.abs(yaw) == 40) & (pitch != 0),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A turned view and the straight view of the same head at the same distance."""

    person: str
    asked_deg: tuple[float, float]
    turned: TurnedView
    straight: TurnedView


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """One width in many pairs; every array has one entry (or row) for each.

    Attributes
    ----------
    people : ndarray of str
        Whose head it is.
    asked_deg : ndarray, shape (n, 2)
        Yaw and pitch that were rendered.
    sines : ndarray, shape (n, 2)
        Of yaw and pitch as they were seen.
    turned, straight : dict of ndarray
        Each of `TERMS` in both views.
    ratio : ndarray
        Turned over straight, without any correction.
    explained : ndarray
        The part of the variance of `ratio` that depth and the points' jitter explain.
    weights : ndarray
        For least squares.
    """

    people: NDArray[Any]
    asked_deg: Values
    sines: Values
    turned: dict[str, Values]
    straight: dict[str, Values]
    ratio: Values
    explained: Values
    weights: Values

    def reading(self, terms: Terms) -> Values:
        """Tell what the mesh should read, turned over straight."""
        factors = [
            1 + sum((value * of_view[name] for name, value in terms.items()), np.zeros(len(self.ratio)))
            for of_view in (self.turned, self.straight)
        ]
        return np.asarray(factors[0] / factors[1])


def pairs_of(data: Path, people: int, finder: FaceFinder) -> Iterator[Pair]:
    """Turn the heads of so many people of the fit half."""
    photos = measure_folders(data / "faces" / "london", pipeline_of(finder)).annotated["."]
    fit_half, _ = halves(photo.person for photo in photos)
    chosen = fit_half[:: max(1, len(fit_half) // people)][:people]
    for photo in photos:
        for head in lifted(photo) if photo.person in chosen else []:
            for distance_mm in DISTANCES_MM:
                straight = view(head, distance_mm, STRAIGHT, finder)
                for asked_deg in POSES_DEG:
                    turned = view(head, distance_mm, asked_deg, finder)
                    if straight is not None and turned is not None:
                        yield Pair(photo.person, asked_deg, turned, straight)


def changes_of(pairs: Sequence[Pair], key: str) -> Changes:
    """Take one width out of the pairs."""
    both = [(pair.turned.widths[key], pair.straight.widths[key]) for pair in pairs]
    turned, straight = (
        np.radians([_clipped(seen) for seen in views])
        for views in ([pair.turned for pair in pairs], [pair.straight for pair in pairs])
    )
    asked_deg = np.array([pair.asked_deg for pair in pairs])
    return Changes(
        people=np.array([pair.person for pair in pairs]),
        asked_deg=asked_deg,
        sines=np.sin(turned),
        turned={name: term(*turned.T) for name, term in TERMS.items()},
        straight={name: term(*straight.T) for name, term in TERMS.items()},
        ratio=np.array([one.uncorrected_mm / other.uncorrected_mm for one, other in both]),
        explained=np.array([one.points_sd**2 + other.points_sd**2 for one, other in both]),
        weights=1 / np.sqrt(JITTER**2 + (BY_TURN**2 * np.sin(np.radians(asked_deg)) ** 2).sum(axis=1)),
    )


def fit(changes: Changes, names: Sequence[str], chosen: NDArray[np.bool_]) -> Terms:
    """Fit by weighted least squares, and leave out, the least sure first, the terms that are not sure over people."""
    weights, kept = changes.weights[chosen], list(names)
    while kept:
        across = np.column_stack([changes.turned[name] - changes.straight[name] for name in kept])[chosen]
        across, target = across * weights[:, np.newaxis], weights * (changes.ratio[chosen] - 1)
        found = np.linalg.lstsq(across, target, rcond=None)[0]
        sureness = np.abs(found) / _errors_over_people(across, target - across @ found, changes.people[chosen])
        if sureness.min() >= SURE_T:
            return dict(zip(kept, found.tolist(), strict=True))
        del kept[int(sureness.argmin())]
    return {}


def remaining_of_others(changes: Changes, names: Sequence[str]) -> Values:
    """Tell what is left of each change by a fit to all people but the one whose it is, as a fraction."""
    remaining = np.zeros(len(changes.ratio))
    for person in np.unique(changes.people):
        own = changes.people == person
        remaining[own] = (changes.ratio / changes.reading(fit(changes, names, ~own)) - 1)[own]
    return remaining


def fit_sds(changes: Changes, names: Sequence[str]) -> tuple[float, float]:
    """Fit what remains, in people whom the terms were not set on, beyond what `mm_sd` explains by other causes."""
    weights = changes.weights**2
    excess = remaining_of_others(changes, names) ** 2 - changes.explained
    variances = np.linalg.lstsq(changes.sines**2 * weights[:, np.newaxis], excess * weights, rcond=None)[0]
    yaw_sd, pitch_sd = np.sqrt(variances.clip(0))
    return float(yaw_sd), float(pitch_sd)


def compare_forms(widths: dict[str, Changes]) -> None:
    """Print each form, judged on people that it was not set on."""
    print(
        "people left out of the fit in turn: share within 3 %, root mean square [%]; then the mean over people of each"
    )
    print("width at each pose, either side: how many are within 3 %, and the largest [%]")
    for name, terms in FORMS.items():
        left = {key: remaining_of_others(changes, terms) for key, changes in widths.items()}
        remaining, means = np.array([*left.values()]), []
        yaw, pitch = next(iter(widths.values())).asked_deg.T
        for pose in {(abs(yaw), pitch) for yaw, pitch in POSES_DEG}:
            means += remaining[:, (np.abs(yaw) == pose[0]) & (pitch == pose[1])].mean(axis=1).tolist()
        cells = [f"{turn} {_figures(remaining[:, holds(yaw, pitch)])}" for turn, holds in SHOWN.items()]
        sizes = np.abs(means)
        print(f"  {name:>18}: {', '.join(cells)}; {(sizes <= ALLOWED).sum()} of {sizes.size}, {100 * sizes.max():.1f}")
    print()


def print_entries(widths: dict[str, Changes]) -> None:
    """Print what the registry holds."""
    print("for shared/measurements.py:")
    for key, changes in widths.items():
        everyone = np.full(len(changes.ratio), True)
        values = fit(changes, FORMS[IN_USE], everyone)
        values["yaw_sd"], values["pitch_sd"] = fit_sds(changes, FORMS[IN_USE])
        given = ", ".join(f"{name}={value:.3f}" for name, value in values.items() if round(value, 3))
        print(f"  {key}: TurnCorrection({given})")


def _clipped(seen: TurnedView) -> tuple[float, float]:
    yaw_deg = min(MAX_YAW_DEG, max(-MAX_YAW_DEG, seen.yaw_deg))
    return yaw_deg, min(MAX_PITCH_DEG, max(-MAX_PITCH_DEG, seen.pitch_deg))


def _errors_over_people(across: Values, left: Values, people: NDArray[Any]) -> Values:
    """Give standard errors that take one person's pairs for one (the cluster-robust sandwich: Liang & Zeger 1986)."""
    names = np.unique(people)
    pulls = np.array([across[people == name].T @ left[people == name] for name in names])
    middle = pulls.T @ pulls * len(names) / (len(names) - 1)
    outside = np.linalg.inv(across.T @ across)
    return np.asarray(np.sqrt(np.diag(outside @ middle @ outside)))


def _figures(remaining: Values) -> str:
    return f"{100 * np.mean(np.abs(remaining) <= ALLOWED):.0f} % {100 * np.sqrt(np.mean(remaining**2)):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with faces/london")
    parser.add_argument("--people", type=int, default=16, help="how many of the fit half to render (two minutes each)")
    arguments = parser.parse_args()
    if arguments.people < FEWEST_PEOPLE:
        parser.error(f"with fewer than {FEWEST_PEOPLE} people there is nobody to judge by")
    with FaceFinder() as finder:
        pairs = list(pairs_of(arguments.data, arguments.people, finder))
    print(f"{len({pair.person for pair in pairs})} people, {len(pairs)} pairs of views\n")
    widths = {definition.key: changes_of(pairs, definition.key) for definition in WIDTHS}
    compare_forms(widths)
    print_entries(widths)


if __name__ == "__main__":
    main()
