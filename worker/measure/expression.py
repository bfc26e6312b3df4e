"""Eyelids, mouth and smile from the geometry of the mesh alone.

Every ratio is of lengths in space (x, y and z of the mesh), so that turning, tilting, moving or scaling the head does
not close an eye or open a mouth. What the mesh's z does not know (it is a model's guess) stays in the ratios as noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import dist
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EYE_CLOSED_RATIO: Final = 0.16
"""Opening over width of the narrower eye below which eyes are shut. London's fit half: 0.22 at least in open eyes, 0.15
at most with lids drawn over them; 0.20 is the narrowest open eye seen at any resolution. See docs/adr/0009."""
EYE_WIDE_RATIO: Final = 0.24
"""From here on an eye is as open as a measurement can wish; it is 0.30 on average."""
EYE_SHUT_RATIO: Final = 0.08
"""What the mesh typically gives for lids that touch: its two lid lines do not quite meet."""
MOUTH_OPEN_RATIO: Final = 0.10
"""Gap between the lips over the width of the mouth above which it is open. London's fit half: 0.018 ± 0.012, 0.046 at
most; where teeth show it is 0.14 and more."""
MOUTH_WIDE_OPEN_RATIO: Final = 0.35
"""A mouth opened to speak or to laugh."""
SMILE_VALUE: Final = 0.65
"""Stretch and lift of the mouth from which on it is a smile that moves the cheeks. London's fit half, neutral: 0.51 ±
0.06, and one of 16 above."""
SMILE_BROAD_VALUE: Final = 0.80
"""A laugh that shows the teeth."""
NEUTRAL_SMILE_VALUE: Final = 0.60
"""What most neutral faces stay below."""

_RIGHT_LIDS: Final = ((159, 145), (158, 153), (160, 144))
_LEFT_LIDS: Final = ((386, 374), (385, 380), (387, 373))
_RIGHT_CORNERS: Final = (33, 133)
_LEFT_CORNERS: Final = (362, 263)
_MOUTH_CORNERS: Final = (61, 291)
_INNER_LIPS: Final = (13, 14)
_BRIDGE, _MENTON = 168, 152


@dataclass(frozen=True, slots=True)
class Expression:
    """What the face is doing.

    Attributes
    ----------
    right_eye, left_eye : float
        Opening of each eye over its width (the eye aspect ratio of Soukupová & Čech, 2016, in space); about 0.3 when
        open.
    mouth : float
        Gap between the inner lips over the width of the mouth; about 0.02 when closed.
    smile : float
        Width of the mouth over the biocular width, plus how far its corners lie above its middle over its own width;
        about 0.5 in a neutral face.
    """

    right_eye: float
    left_eye: float
    mouth: float
    smile: float

    @property
    def eyes_open(self) -> bool:
        """Whether both eyes are open."""
        return min(self.right_eye, self.left_eye) >= EYE_CLOSED_RATIO

    @property
    def mouth_open(self) -> bool:
        """Whether the lips are apart so far that chin and mouth are out of shape."""
        return self.mouth > MOUTH_OPEN_RATIO

    @property
    def smiling(self) -> bool:
        """Whether a smile widens the mouth, the wings of the nose and the jaw."""
        return self.smile > SMILE_VALUE


def read_expression(landmarks: NDArray[np.float64]) -> Expression:
    """Read the expression off a mesh.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px, of the full photo or of any reduction], z of the scale of x.

    Returns
    -------
    Expression
        Ratios without unit.
    """
    mouth_width = _distance(landmarks, *_MOUTH_CORNERS)
    down = landmarks[_MENTON] - landmarks[_BRIDGE]
    (upper, lower), (right, left) = _INNER_LIPS, _MOUTH_CORNERS
    corners_to_middle = (landmarks[upper] + landmarks[lower] - landmarks[right] - landmarks[left]) / 2
    lift = float(corners_to_middle @ down) / _distance(landmarks, _BRIDGE, _MENTON) / mouth_width
    biocular = _distance(landmarks, _RIGHT_CORNERS[0], _LEFT_CORNERS[1])
    return Expression(
        right_eye=_opening(landmarks, _RIGHT_LIDS, _RIGHT_CORNERS),
        left_eye=_opening(landmarks, _LEFT_LIDS, _LEFT_CORNERS),
        mouth=_distance(landmarks, *_INNER_LIPS) / mouth_width,
        smile=mouth_width / biocular + lift,
    )


def _opening(landmarks: NDArray[np.float64], lids: tuple[tuple[int, int], ...], corners: tuple[int, int]) -> float:
    return sum(_distance(landmarks, *pair) for pair in lids) / len(lids) / _distance(landmarks, *corners)


def _distance(landmarks: NDArray[np.float64], a: int, b: int) -> float:
    return dist(landmarks[a].tolist(), landmarks[b].tolist())  # of two points numpy's norm takes five times as long
