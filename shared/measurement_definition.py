"""What an entry of the registry of measurements is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.turn_correction import TurnCorrection


@dataclass(frozen=True, slots=True)
class KnownError:
    """How the mesh compares with points placed by hand on the same photos.

    Attributes
    ----------
    ratio_mean : float, optional
        Mean over people of mesh distance ÷ manual distance, both in px. 1 is agreement. None where the points placed
        by hand lie near by but mark something else, so that only the spread can be judged.
    ratio_sd : float
        Standard deviation of the same, around its mean.
    """

    ratio_mean: float | None
    ratio_sd: float

    def __str__(self) -> str:
        if self.ratio_mean is None:
            return f"mesh ÷ manual varies by {self.ratio_sd:.3f} (SD over people); its bias is not known"
        return f"mesh ÷ manual {self.ratio_mean:.3f} ± {self.ratio_sd:.3f} (mean ± SD over people); px is not corrected"


@dataclass(frozen=True, slots=True)
class Repeatability:
    """How far a measurement moves when the same photo is perturbed slightly.

    Attributes
    ----------
    low, high : float
        The range of its standard deviation, as a fraction of the measurement.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"SD {self.low:.2%} to {self.high:.2%} under small perturbations of the same photo"


class Kind(StrEnum):
    """How a measurement is made of its points."""

    WIDTH = "width"
    """The distance between two points."""
    FAR_GAZE = "far_gaze"
    """The distance between the pupils, converted to parallel gaze."""
    TO_MIDLINE = "to_midline"
    """From one pupil to the middle plane of the face."""


class Region(StrEnum):
    """A part of the face that can be covered, cut off, or out of shape."""

    FOREHEAD = "forehead"
    EYES = "eyes"
    NOSE = "nose"
    MOUTH = "mouth"
    CHIN = "chin"
    SIDES = "sides"


@dataclass(frozen=True, slots=True)
class MeasurementDefinition:
    """One named quantity of a face.

    Attributes
    ----------
    key : str
        Its stable public name.
    term : str
        What anthropometry calls it.
    landmarks : tuple of int
        The mesh points it is made of. Of a width: the subject's right, then the left (or the upper, then the lower).
    kind : Kind
        How it is made of them.
    source : str
        Where the points are defined, and against what they were compared.
    stands_for : str
        What on the face it stands for, and what it must not be taken for.
    known_error : KnownError, optional
        Mesh against points placed by hand. None where nobody placed such points.
    repeatability : Repeatability
        Of the mesh alone.
    needs : tuple of Region
        What must be seen for it to hold.
    turn : TurnCorrection, optional
        How the mesh misreads it on a turned head. None where that was not looked at.
    """

    key: str
    term: str
    landmarks: tuple[int, ...]
    kind: Kind
    source: str
    stands_for: str
    known_error: KnownError | None
    repeatability: Repeatability
    needs: tuple[Region, ...]
    turn: TurnCorrection | None = None

    @property
    def formula(self) -> str:
        """How it is computed, in words for people."""
        return _FORMULAS[self.kind]

    @property
    def bias(self) -> float:
        """What `mm` is divided by, beside `turn_factor`: 1 where the mesh was not compared with the same thing."""
        return (self.known_error and self.known_error.ratio_mean) or 1.0

    @property
    def definition_sd(self) -> float:
        """The part of `mm_sd` that comes from the points, as a fraction of the measurement."""
        return self.known_error.ratio_sd / self.bias if self.known_error else self.repeatability.high

    def turn_factor(self, yaw_deg: float, pitch_deg: float) -> float:
        """Tell what else `mm` is divided by when the head is turned away from the camera [degrees]; straight, 1."""
        return self.turn.factor(yaw_deg, pitch_deg) if self.turn else 1.0


_FORMULAS: Final = {
    Kind.WIDTH: "px = √((x_a - x_b)² + (y_a - y_b)²) in the upright image plane, never corrected;"
    " mm = ‖X_a - X_b‖ ÷ bias ÷ turn, each X back-projected to its own depth with the 0.55 of the perspective that the"
    " mesh shows",
    Kind.FAR_GAZE: "mm = P · Z ÷ (Z - 10.5 mm) ÷ bias ÷ turn, P the distance between the pupils as photographed, Z the"
    " distance to the camera; the gaze is taken to be at the camera",
    Kind.TO_MIDLINE: "mm = distance in space from the pupil to the middle plane of the face, which holds the bridge"
    " (points 168 and 6)",
}
