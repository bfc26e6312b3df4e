"""How well a photo shows a face: eleven components of 0 to 100, named as in ISO/IEC 29794-5.

Every component is a straight line between a worst and a best value of something a person can picture (`_Ramp`). The
overall score is that of the weakest component: a photo is as good as what is worst about it, and the name of that
component says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, cos, degrees, radians
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from worker.measure.expression import (
    EYE_SHUT_RATIO,
    EYE_WIDE_RATIO,
    MOUTH_OPEN_RATIO,
    MOUTH_WIDE_OPEN_RATIO,
    NEUTRAL_SMILE_VALUE,
    SMILE_BROAD_VALUE,
    Expression,
)
from worker.measure.geometry import outer_eye_distance_px
from worker.measure.landmarks import CANONICAL_POINTS
from worker.measure.occlusion import COVERED, Occlusion
from worker.measure.sharpness import edge_slope

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COMPONENTS", "FullFacts", "assess", "edge_slope", "overall"]

COMPONENTS: Final = (
    "sharpness",
    "exposure",
    "contrast",
    "face_size",
    "pose_frontal",
    "eyes_open",
    "mouth_closed",
    "expression_neutral",
    "iris_size",
    "occlusion",
    "crop_margin",
)


class _Ramp(NamedTuple):
    """A line from 0 at `worst` to 100 at `best`, flat beyond."""

    worst: float
    best: float

    def score(self, value: float) -> int:
        return round(100 * min(1.0, max(0.0, (value - self.worst) / (self.best - self.worst))))


_SHARPNESS: Final = _Ramp(0.20, 0.38)
"""Slope of the steepest edges around the eyes (see `edge_slope`). London as it is: 0.37 to 0.5. At 0.2 the points begin
to move, and measurements are called `blurred`."""
_BRIGHTEST: Final = _Ramp(20, 80)
"""Luma of the brightest twentieth of the face: whites of the eyes and a shine, so that dark skin in good light is not
taken for bad light (London: 85 at least)."""
_CLIPPED: Final = _Ramp(0.25, 0.02)
"""Share of the face that is pure white or black."""
_SPREAD: Final = _Ramp(10, 55)
"""Luma between the darkest and the brightest twentieth of the face (London: 55 at least, in the darkest skins)."""
_FACE_SIZE: Final = _Ramp(30, 200)
"""Between the outer eye corners [px of the full photo]: the mesh sees a face at about 60 px whatever the photo has, and
below half of that it guesses; the iris gains up to 200."""
_TURNED: Final = _Ramp(35, 5)
"""Angle between the face and the camera [degrees]."""
_EYES: Final = _Ramp(EYE_SHUT_RATIO, EYE_WIDE_RATIO)
_MOUTH: Final = _Ramp(MOUTH_WIDE_OPEN_RATIO, MOUTH_OPEN_RATIO / 2)
_SMILE: Final = _Ramp(SMILE_BROAD_VALUE, NEUTRAL_SMILE_VALUE)
_IRIS: Final = _Ramp(8, 25)
"""Its diameter [px of the full photo]: refused as a ruler under 8, and 25 at 200 px between the eye corners."""
_COVERED: Final = _Ramp(0.5, 0.05)
"""Share of the face that is covered."""
_MARGIN: Final = _Ramp(0.0, 0.25)
"""From the mesh to the nearest edge of the photo [outer eye distances]."""

_WHITE, _BLACK = 247, 8
"""Luma of a pixel that holds no more detail; ISO/IEC 29794-5 counts from 247 up as over-exposed. Down to 8 hair and
pupils of a good photo are still above."""
_TWENTIETH: Final = 0.05
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, slots=True)
class FullFacts:
    """What is known of a face beside its pixels.

    Attributes
    ----------
    yaw_deg, pitch_deg : float
        How the head is turned.
    outer_eye_distance_px : float
        Between the outer eye corners [px of the full photo].
    iris_diameter_px : float or None
        Of the smaller iris [px of the full photo]; None when none was measured.
    edge_slope : float or None
        As the function of this name tells, for callers that have it already; None measures it.
    """

    yaw_deg: float
    pitch_deg: float
    outer_eye_distance_px: float
    iris_diameter_px: float | None
    edge_slope: float | None = None


def assess(
    pixels: NDArray[np.uint8],
    landmarks: NDArray[np.float64],
    facts: FullFacts,
    expression: Expression,
    occlusion: Occlusion,
) -> dict[str, int | None]:
    """Assess every component.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, of any reduction, C-contiguous.
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of `pixels`].
    facts : FullFacts
        Pose and sizes in the full photo.
    expression : Expression
        Of this mesh.
    occlusion : Occlusion
        Of this face.

    Returns
    -------
    dict of str to int or None
        A value of 0 to 100 for each of `COMPONENTS`; None where the face hides what would be assessed: eyes and irises
        behind dark lenses, mouth and smile behind a mask, the iris of closed eyes.
    """
    luma = _luma_at_mesh(pixels, landmarks)
    dark, bright = _twentieths(luma)
    clipped = float(((luma >= _WHITE) | (luma <= _BLACK)).mean())
    eyes_seen = not occlusion.eyewear.sunglasses
    mouth_seen = occlusion.mouth < COVERED
    iris_seen = eyes_seen and expression.eyes_open and facts.iris_diameter_px is not None
    return {
        "sharpness": _SHARPNESS.score(edge_slope(pixels, landmarks) if facts.edge_slope is None else facts.edge_slope),
        "exposure": min(_BRIGHTEST.score(bright), _CLIPPED.score(clipped)),
        "contrast": _SPREAD.score(bright - dark),
        "face_size": _FACE_SIZE.score(facts.outer_eye_distance_px),
        "pose_frontal": _TURNED.score(_angle_deg(facts.yaw_deg, facts.pitch_deg)),
        "eyes_open": _EYES.score(min(expression.right_eye, expression.left_eye)) if eyes_seen else None,
        "mouth_closed": _MOUTH.score(expression.mouth) if mouth_seen else None,
        "expression_neutral": _SMILE.score(expression.smile) if mouth_seen else None,
        "iris_size": _IRIS.score(facts.iris_diameter_px or 0.0) if iris_seen else None,
        "occlusion": _COVERED.score(occlusion.share),
        "crop_margin": _MARGIN.score(_margin(pixels, landmarks)),
    }


def overall(components: dict[str, int | None]) -> int:
    """Give the overall score: that of the weakest component that could be assessed.

    Parameters
    ----------
    components : dict of str to int or None
        As `assess` gives them.

    Returns
    -------
    int
        0 to 100.
    """
    return min(value for value in components.values() if value is not None)


def _luma_at_mesh(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the pixel at each point of the skin: a bounded sample of the face, whatever its size."""
    height, width = pixels.shape[:2]
    x, y = np.rint(landmarks[:CANONICAL_POINTS, :2].T).astype(np.intp)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if not inside.any():
        return np.zeros(1)
    return np.asarray(pixels.reshape(-1, 3).take((y * width + x)[inside], axis=0) @ _LUMINANCE)


def _twentieths(luma: NDArray[np.float64]) -> tuple[float, float]:
    ordered = np.sort(luma)
    return float(ordered[int(_TWENTIETH * len(ordered))]), float(ordered[int((1 - _TWENTIETH) * len(ordered))])


def _angle_deg(yaw_deg: float, pitch_deg: float) -> float:
    """Angle between where the face looks and the camera: Ry and Rx multiplied, the middle element of the product."""
    return degrees(acos(min(1.0, max(-1.0, cos(radians(yaw_deg)) * cos(radians(pitch_deg))))))


def _margin(pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> float:
    height, width = pixels.shape[:2]
    flat = landmarks[:CANONICAL_POINTS, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    nearest = min(low[0], low[1], width - 1 - high[0], height - 1 - high[1])
    return float(nearest) / max(outer_eye_distance_px(landmarks), 1.0)
