"""The registry of measurements: what each is, between which points, and how far it can be trusted.

Plain data, the one source for the worker that measures and for the API that explains (`GET /v1/measurements`).
A new measurement is one more entry in `DEFINITIONS`, and a new `DEFINITIONS_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFINITIONS_VERSION: Final = "2026-11"
"""Changes with every change to an entry; each result names the version it was measured by."""


@dataclass(frozen=True, slots=True)
class KnownError:
    """How the mesh compares with points placed by hand on the same photos.

    Attributes
    ----------
    ratio_mean, ratio_sd : float
        Mean and standard deviation over people of mesh distance ÷ manual distance, both in px. 1 is agreement.
    """

    ratio_mean: float
    ratio_sd: float

    def __str__(self) -> str:
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
        The two mesh points it lies between: the subject's right, then the left.
    formula : str
        How it is computed from them.
    source : str
        Where the points are defined, and against what they were compared.
    stands_for : str
        What on the face it stands for, and what it must not be taken for.
    known_error : KnownError
        Mesh against points placed by hand.
    repeatability : Repeatability
        Of the mesh alone.
    """

    key: str
    term: str
    landmarks: tuple[int, int]
    formula: str
    source: str
    stands_for: str
    known_error: KnownError
    repeatability: Repeatability


_IMAGE_PLANE_DISTANCE = "px = √((x_a - x_b)² + (y_a - y_b)²) in the upright image plane; never corrected"
_MESH_AGAINST_HAND = (
    "Points of the MediaPipe face mesh (attention model, 478 points). Error: against points placed by hand on public"
    " photos (Face Research Lab London Set, DeBruine & Jones 2017, doi:10.6084/m9.figshare.5047666, and others)"
)
_STEADY = Repeatability(low=0.0035, high=0.005)
"""Biocular, face, forehead and jaw widths."""
_LESS_STEADY = Repeatability(low=0.008, high=0.010)
"""Chin, nose, mouth and canthi."""

DEFINITIONS: Final = (
    MeasurementDefinition(
        key="forehead_width",
        term="forehead breadth",
        landmarks=(54, 284),
        formula=_IMAGE_PLANE_DISTANCE,
        source=_MESH_AGAINST_HAND,
        stands_for="Forehead breadth at the side of the hairline."
        " Not 10-338: that is one edge of the mesh beside the midline, and no width.",
        known_error=KnownError(ratio_mean=0.984, ratio_sd=0.041),
        repeatability=_STEADY,
    ),
    MeasurementDefinition(
        key="eye_gap",
        term="intercanthal distance (endocanthion-endocanthion)",
        landmarks=(133, 362),
        formula=_IMAGE_PLANE_DISTANCE,
        source=_MESH_AGAINST_HAND,
        stands_for="Distance between the inner corners of the eyes. Not 155-382: those points lie on the eyelids.",
        known_error=KnownError(ratio_mean=0.975, ratio_sd=0.037),
        repeatability=_LESS_STEADY,
    ),
    MeasurementDefinition(
        key="chin_width",
        term="chin breadth",
        landmarks=(176, 400),
        formula=_IMAGE_PLANE_DISTANCE,
        source=_MESH_AGAINST_HAND,
        stands_for="Breadth of the chin."
        " Not 152-377: that is one edge of the mesh; nor 172-397: that is the width of the jaw.",
        known_error=KnownError(ratio_mean=1.055, ratio_sd=0.10),
        repeatability=_LESS_STEADY,
    ),
)
"""Every measurement, in the order in which they are shown."""
