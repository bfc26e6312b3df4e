"""The scale of a face: the most trusted ruler in the photo, checked against the next one."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Final

from shared.results import MeasurementStatus
from worker.measure.rulers import Refusal, Ruler
from worker.measure.uncertainty import sd_without_lens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.measure.camera import Camera
    from worker.measure.rulers import Source

TRUST: Final[tuple[Source, ...]] = ("reference_object", "known_pd", "iris")
"""The most trusted first: an object's size is printed, a PD was measured once, an iris is an average of mankind."""
AGREEMENT_SD: Final = 2.0
"""Two rulers that are right differ by more than this many standard deviations in one photo of twenty."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the next best ruler says; as `shared.results.ScaleAgreement`."""

    source: Source
    mm_per_px: float
    sd: float
    difference_sd: float
    agrees: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """How many millimetres a pixel is at the plane of the eyes; as `shared.results.Scale`.

    Attributes
    ----------
    mm_per_px, sd : float
        The scale and one standard deviation of it [mm/px].
    source : str
        The ruler.
    status : MeasurementStatus
        `ok` or `unreliable`.
    reasons : tuple of str
        Why it is not `ok`.
    distance_mm, distance_sd_mm : float
        From the camera to the eyes [mm], and one standard deviation of it, most of which is the focal length's.
    agreement : Agreement or None
        None when there is no second ruler.
    focal_slope : float
        As the ruler's.
    """

    mm_per_px: float
    sd: float
    source: Source
    status: MeasurementStatus
    reasons: tuple[str, ...]
    distance_mm: float
    distance_sd_mm: float
    agreement: Agreement | None
    focal_slope: float


def choose_scale(
    rulers: Iterable[Ruler | Refusal], camera: Camera, beside: tuple[float, float] = (0.0, 0.0)
) -> tuple[Scale | None, tuple[str, ...]]:
    """Choose the most trusted ruler and check it against the next one.

    Parameters
    ----------
    rulers : iterable of Ruler or Refusal
        What the photo has, in any order, at most one of each source.
    camera : Camera
        The lens, for the distance.
    beside : tuple of float, optional
        Where the eyes are, from the optical axis, over the focal length; for the distance as well.

    Returns
    -------
    Scale or None
        None when there is no ruler, or all are refused.
    tuple of str
        Why there is no scale: the reasons of what was refused. Empty when there is one.
    """
    found = list(rulers)
    usable = sorted((ruler for ruler in found if isinstance(ruler, Ruler)), key=_most_trusted_first)
    if not usable:
        return None, tuple(dict.fromkeys(reason for refusal in found for reason in refusal.reasons))
    best = usable[0]
    agreement = _agreement(best, usable[1]) if usable[1:] else None
    sight = hypot(1.0, *beside)
    distance_mm = camera.focal_px * best.mm_per_px * sight
    by_lens = best.focal_slope + sight**-2
    disagreement = ("scale_uncertain",) if agreement is not None and not agreement.agrees else ()
    reasons = tuple(dict.fromkeys((*best.reasons, *disagreement)))
    scale = Scale(
        mm_per_px=best.mm_per_px,
        sd=best.sd,
        source=best.source,
        status=MeasurementStatus.UNRELIABLE if reasons else MeasurementStatus.OK,
        reasons=reasons,
        distance_mm=distance_mm,
        distance_sd_mm=distance_mm * _distance_sd_fraction(best, by_lens, camera.focal_sd_px / camera.focal_px),
        agreement=agreement,
        focal_slope=best.focal_slope,
    )
    return scale, ()


def _distance_sd_fraction(ruler: Ruler, by_lens: float, focal_sd_fraction: float) -> float:
    """Z follows the lens by itself and by the scale, which are added with their signs."""
    without_lens = sd_without_lens(ruler.sd / ruler.mm_per_px, ruler.focal_slope, focal_sd_fraction)
    return hypot(without_lens, by_lens * focal_sd_fraction)


def _most_trusted_first(ruler: Ruler) -> tuple[bool, int]:
    """Put what is `ok` before what is not: a card that is held nobody knows where is no better than a PD."""
    return (ruler.status is not MeasurementStatus.OK, TRUST.index(ruler.source))


def _agreement(best: Ruler, other: Ruler) -> Agreement:
    difference_sd = abs(best.mm_per_px - other.mm_per_px) / hypot(best.sd, other.sd)
    return Agreement(other.source, other.mm_per_px, other.sd, difference_sd, difference_sd <= AGREEMENT_SD)
