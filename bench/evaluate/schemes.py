"""Which hand-placed points stand for which measurement, in three schemes of points on faces.

Checked by drawing the points over photos and looking at them. Indices count from 0; the subject's right point comes
first. A measurement that a scheme has no points for is left out of its table, never approximated by neighbours:
the monocular PDs everywhere (nobody placed a point on the middle of the bridge), `face_length` everywhere (no scheme
places the sellion; in one of them the spread can be judged, see `Scheme.nearby`), and what each scheme names below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way of placing points on a face.

    Attributes
    ----------
    name : str
        What people call it.
    points : int
        How many; it is by this number that a file's scheme is known.
    widths : dict
        Measurement key to the two points it lies between.
    irises : tuple of pairs
        Horizontal extremes of the traced ring of each iris; empty where nobody traced them, and then nothing can be
        said in millimetres.
    nearby : dict
        Measurement key to two points, the first the middle of a pair, that lie near its ends but mark something else:
        mesh ÷ hand then says how much it varies, and nothing of its bias.
    """

    name: str
    points: int
    widths: dict[str, Pair]
    irises: tuple[Pair, ...] = field(default=())
    nearby: dict[str, tuple[Pair, int]] = field(default_factory=dict)


LONDON: Final = Scheme(
    name="Face Research Lab London, 189 points",
    points=189,
    widths={
        "forehead_width": (135, 143),
        "eye_gap": (22, 23),
        "chin_width": (128, 130),
        "interpupillary_distance": (0, 1),
        "distance_pd": (0, 1),
        "biocular_width": (18, 27),
        "face_width": (110, 113),
        "temple_width": (134, 144),
        "face_edge_breadth": (109, 112),
        "jaw_width": (126, 132),
        "nose_breadth": (62, 67),
        "mouth_width": (87, 93),
    },
    irises=((4, 8), (12, 16)),
    nearby={"face_length": ((51, 57), 129)},  # the sides of the bridge a little below 168; the lowest point of the chin
)
WEBMORPH_83: Final = Scheme(
    # No points on the forehead or the temples, no traced irises.
    name="webmorphR.stim zoom, 83 points",
    points=83,
    widths={
        "eye_gap": (79, 61),
        "chin_width": (13, 60),
        "interpupillary_distance": (63, 81),
        "distance_pd": (63, 81),
        "biocular_width": (44, 40),
        "face_width": (23, 28),
        "face_edge_breadth": (24, 73),
        "jaw_width": (19, 76),
        "nose_breadth": (54, 33),
        "mouth_width": (29, 45),
    },
)
IBUG_68: Final = Scheme(
    # The outline's points 1 to 15 slide along it from person to person, so jaw and chin are left out; no pupils.
    # 31 and 35 are the base of the wings, a little within alare.
    name="iBUG 300-W, 68 points",
    points=68,
    widths={
        "eye_gap": (39, 42),
        "biocular_width": (36, 45),
        "face_width": (0, 16),
        "nose_breadth": (31, 35),
        "mouth_width": (48, 54),
    },
)
SCHEMES: Final = (LONDON, WEBMORPH_83, IBUG_68)


def scheme_of(points: NDArray[np.float64]) -> Scheme | None:
    """Tell which scheme has so many points; None if none has."""
    return next((scheme for scheme in SCHEMES if scheme.points == len(points)), None)


def distance_between(points: NDArray[np.float64], pair: Pair) -> float:
    """Measure between two hand-placed points [px]."""
    return float(np.hypot(*(points[pair[1]] - points[pair[0]])))


def distance_nearby(points: NDArray[np.float64], near: tuple[Pair, int]) -> float:
    """Measure from the middle of a pair of hand-placed points to a third [px]."""
    (a, b), end = near
    return float(np.hypot(*((points[a] + points[b]) / 2 - points[end])))


def traced_iris_px(points: NDArray[np.float64], scheme: Scheme) -> float | None:
    """Give the mean diameter of the traced irises [px]; None where the scheme has none."""
    return float(np.mean([distance_between(points, pair) for pair in scheme.irises])) if scheme.irises else None
