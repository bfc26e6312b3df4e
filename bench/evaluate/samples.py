"""Each measurement of each annotated photo beside its hand-placed truth.

The truth of a width in millimetres is its hand-placed px times the ruler of the same person's traced irises
(11.7 mm ÷ traced px), times the depth correction that the mesh's width got: a photo tells nothing better about the
third dimension. (Not times the correction for the turn of the head: that is tested along with the points.)
So what is tested is the image part of the uncertainty: where the points lie, and how the iris was read. Two things
cancel, because both sides share them, and are taken out of `mm_sd` before it is judged: how large this person's iris
really is, and what perspective made of it (focal length and depth of the points).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bench.evaluate.runs import HandPlaced, MeasuredPhoto
from bench.evaluate.schemes import distance_between, distance_nearby, traced_iris_px
from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS
from worker.measure.iris import ANATOMY_SD, IRIS_MM
from worker.measure.uncertainty import focal_term_mm, perspective_term_mm


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one photo.

    Attributes
    ----------
    key : str
        The measurement.
    person : str
        Whose.
    groups : dict
        Of info.csv.
    ratio : float
        Mesh ÷ hand, both px.
    bias, definition_sd : float
        Of the registry: what `mm` is divided by, and the part of its SD that the points make, as a fraction.
    truth_mm : float, optional
        None without traced irises, or where the result has no `mm`.
    mm : float, optional
        As the result gives it.
    image_sd_mm : float, optional
        The part of `mm_sd` that can be tested here.
    """

    key: str
    person: str
    groups: dict[str, str]
    ratio: float
    bias: float
    definition_sd: float
    truth_mm: float | None
    mm: float | None
    image_sd_mm: float | None

    @property
    def error(self) -> float | None:
        """`mm` against the truth, as a fraction."""
        return self.mm / self.truth_mm - 1 if self.mm and self.truth_mm else None

    @property
    def points_error(self) -> float:
        """What is wrong with the points alone, whatever the ruler, as a fraction."""
        return self.ratio / self.bias - 1


def samples_of(photo: MeasuredPhoto) -> list[Sample]:
    """Compare every measurement that the photo's scheme has points for; none where no face was measured."""
    if photo.result is None or photo.face is None or photo.hand is None:
        return []
    compared = [
        _sample(photo, photo.face, photo.result["camera"], photo.hand, definition)
        for definition in DEFINITIONS
        if definition.key in photo.hand.scheme.widths
    ]
    return [sample for sample in compared if sample is not None]


def nearby_ratios(photos: list[MeasuredPhoto]) -> dict[str, dict[str, float]]:
    """Compare what can be judged by its spread only: key to person to mesh ÷ hand."""
    ratios: dict[str, dict[str, float]] = {}
    for photo in photos:
        if photo.face is None or photo.hand is None:
            continue
        for key, near in photo.hand.scheme.nearby.items():
            px = photo.face["measurements"][key]["px"]
            if hand_px := distance_nearby(photo.hand.points, near):
                ratios.setdefault(key, {})[photo.person] = px / hand_px
    return ratios


def _sample(
    photo: MeasuredPhoto,
    face: dict[str, Any],
    camera: dict[str, Any],
    hand: HandPlaced,
    definition: MeasurementDefinition,
) -> Sample | None:
    value, scale = face["measurements"][definition.key], face["scale"]
    px = value["px"] or face["measurements"]["interpupillary_distance"]["px"]  # far gaze has no px of its own
    hand_px = distance_between(hand.points, hand.scheme.widths[definition.key])
    if hand_px == 0:  # both points in one place: nobody placed them
        return None
    iris_px = traced_iris_px(hand.points, hand.scheme)
    truth_mm = image_sd_mm = None
    if value["mm"] is not None and iris_px:
        pose = face["pose"]
        turn = definition.turn_factor(pose["yaw_deg"], pose["pitch_deg"])
        spatial_mm, in_plane_mm = value["mm"] * definition.bias * turn, px * scale["mm_per_px"]
        truth_mm = hand_px * IRIS_MM / iris_px * spatial_mm / in_plane_mm
        image_sd_mm = image_part_mm(definition, value, scale, camera, (spatial_mm - in_plane_mm) / turn)
    return Sample(
        key=definition.key,
        person=photo.person,
        groups=photo.groups,
        ratio=px / hand_px,
        bias=definition.bias,
        definition_sd=definition.definition_sd,
        truth_mm=truth_mm,
        mm=value["mm"],
        image_sd_mm=image_sd_mm,
    )


def image_part_mm(
    definition: MeasurementDefinition,
    value: dict[str, Any],
    scale: dict[str, Any],
    camera: dict[str, Any],
    perspective_mm: float,
) -> float:
    """Take out of `mm_sd` what cancels between a result and its truth.

    Parameters
    ----------
    definition : MeasurementDefinition
        What was measured.
    value : dict
        Its `mm` and `mm_sd`.
    scale : dict
        Its face's ruler: `source`.
    camera : dict
        `focal_px`, `focal_sd_px`.
    perspective_mm : float
        What back-projection added to the width in the plane of the eyes, before the bias [mm].

    Returns
    -------
    float
        [mm].

    Raises
    ------
    ValueError
        If nothing is left: `mm_sd` then lacks a part that it states to hold.
    """
    anatomy_mm = ANATOMY_SD * value["mm"] if scale["source"] == "iris" else 0.0
    focal_fraction = camera["focal_sd_px"] / camera["focal_px"]
    if definition.kind is Kind.FAR_GAZE:  # its depth is the eyes' own turning, which follows from the distance alone
        shared_mm = abs(perspective_mm) * focal_fraction / definition.bias
    else:
        shared_mm = math.hypot(perspective_term_mm(perspective_mm), focal_term_mm(perspective_mm, focal_fraction))
        shared_mm /= definition.bias
    variance = value["mm_sd"] ** 2 - anatomy_mm**2 - shared_mm**2
    if variance <= 0:
        raise ValueError(
            f"mm_sd {value['mm_sd']} of {definition.key} is no more than {anatomy_mm:.3f} and {shared_mm:.3f}"
        )
    return math.sqrt(variance)
