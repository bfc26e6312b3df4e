"""What four fitted sides must show to be taken for an object of known size held to a face: pure numpy.

The limits were set on cards painted into the photos of the fit half of the London people; what they find and refuse on
the other half is in docs/adr/0008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.planar import PlanarScale, scale_of_rectangle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from worker.measure.camera import Camera
    from worker.measure.edges import FittedRectangle

OUTER_EYE_DISTANCE_MM: Final = 88.0
"""Between the outer corners of the eyes, as the mesh has them on 31 London faces (iris-scaled, SD 3.8): tells roughly
how large the object should be."""
SIZE_TOLERANCE: Final = 0.35
"""By which share the object may be larger or smaller than that: faces, yaw, and an object nearer than the eyes."""
LEAST_LONG_SIDE_PX: Final = 60.0
"""Of a card; shorter, its corners have less than 2.3 px of radius and its shape can no longer be told."""
LEAST_MARKER_SIDE_PX: Final = 30.0
"""Of a marker; shorter, the largest code has fewer than 3.4 px for each of its 9 modules."""

MAX_TILT_DEG: Final = 27.0
"""25 degrees are promised, and noise adds to what is read."""
LEAST_SIDE_SEEN: Final = 0.5
LEAST_SEEN: Final = 0.7
"""Share of each side, and of all four, where the edge is seen: fingers may cover 30 % of a side, and elsewhere what is
behind it may look like it."""
MISFIT_FRACTION: Final = 0.0015
MISFIT_SDS: Final = 2.0
"""By which share of the root of its area, and by how many standard deviations of its corners, a shape may differ from
every view of the object. Cards of the fit half differ
by 0.1 % (95 of 100), a straight business card of 89 mm x 51 mm at 60 cm by 0.8."""
LEAST_ROUNDNESS: Final = 0.3
LEAST_SECOND_ROUNDNESS: Final = 0.05
"""Of the four corners on average, and of the second least round: one may be hidden. Frames that are printed on cards,
screens, paper and books have sharp corners, at -0.2 to -0.9."""

RIVAL_SCORE: Final = 0.1
RIVAL_SCALE: Final = 0.015
RIVAL_PLACE: Final = 0.25
"""Another candidate that scores nearly as much is a rival where it tells another scale, or lies elsewhere, in units of
the long side."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A fitted rectangle that shows all it must.

    Attributes
    ----------
    fitted : FittedRectangle
        Its sides.
    scale : PlanarScale
        What it says of the scale.
    score : float
        How well it shows it, 0 to 1.5.
    """

    fitted: FittedRectangle
    scale: PlanarScale
    score: float


def shows_its_sides(fitted: FittedRectangle) -> bool:
    """Tell whether enough of each side and of all four is seen."""
    return bool(fitted.seen.min() >= LEAST_SIDE_SEEN and fitted.seen.mean() >= LEAST_SEEN)


def shows_round_corners(roundness: NDArray[np.float64]) -> bool:
    """Tell whether four corners, shape (4,) of `worker.measure.edges.corner_roundness`, are a card's."""
    return bool(roundness.mean() >= LEAST_ROUNDNESS and np.sort(roundness)[1] >= LEAST_SECOND_ROUNDNESS)


def score(fitted: FittedRectangle, roundness: NDArray[np.float64]) -> float:
    """Rank candidates: the edge of a shadow or a print is seen less than the card's, and its corners are less round."""
    return float(fitted.seen.mean() + roundness.mean() / 2)


def plausible_scale(
    fitted: FittedRectangle, size_mm: tuple[float, float], camera: Camera, expected_px: float
) -> PlanarScale | None:
    """Tell the scale, if the shape is a view of the object, not tilted too far, of a size that the face agrees with.

    Parameters
    ----------
    fitted : FittedRectangle
        The sides [px of the picture].
    size_mm : tuple of float
        Long and short side of the object [mm].
    camera : Camera
        In px of the picture.
    expected_px : float
        How long the long side should be for this face, roughly [px].

    Returns
    -------
    PlanarScale or None
        None if it cannot be the object.
    """
    try:
        scale = scale_of_rectangle(fitted.corners_px, size_mm, camera)
    except ValueError:
        return None
    sides_px = np.linalg.norm(np.roll(fitted.corners_px, -1, axis=0) - fitted.corners_px, axis=1)
    allowed_px = np.hypot(MISFIT_FRACTION * np.sqrt(sides_px[0] * sides_px[1]), MISFIT_SDS * fitted.corner_sd_px)
    long_px = size_mm[0] / scale.mm_per_px
    fits = scale.misfit_px <= allowed_px and scale.tilt_deg <= MAX_TILT_DEG
    return scale if fits and abs(long_px / expected_px - 1) <= SIZE_TOLERANCE else None


def best_without_rival(candidates: Sequence[Candidate]) -> Candidate | None:
    """Give the candidate with the highest score, or None where another is nearly as good and says something else."""
    best, *others = sorted(candidates, key=lambda candidate: -candidate.score)
    return None if any(_is_rival(other, best) for other in others) else best


def _is_rival(other: Candidate, best: Candidate) -> bool:
    apart_px = np.linalg.norm(other.fitted.corners_px.mean(axis=0) - best.fitted.corners_px.mean(axis=0))
    long_px = np.linalg.norm(best.fitted.corners_px[1] - best.fitted.corners_px[0])
    differs = abs(other.scale.mm_per_px / best.scale.mm_per_px - 1) > RIVAL_SCALE or apart_px > RIVAL_PLACE * long_px
    return bool(differs and other.score > best.score - RIVAL_SCORE)
