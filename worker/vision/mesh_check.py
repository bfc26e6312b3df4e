"""Tells whether a mesh lies on the face that was detected, and whether that has px enough.

The mesh model always answers with a face's shape, also where it reads none. The detector that sent it there says for
itself where the eyes, the nose and the mouth are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from worker.measure.geometry import outer_eye_distance_px
from worker.measure.landmarks import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LOWER_LIP_INNER,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    UPPER_LIP_INNER,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.vision.faces import Detection

MIN_EYE_DISTANCE_PX: Final = 30.0
"""Between the outer eye corners in the full photo, at least. Portraits shrunk to 32 px and saved as JPEG keep their
landmarks to 1.1 % of that distance on average, the pupils' distance to 0.6 % (SD) and the face's width to 0.9 %; at
25 px the mouth comes out 5 % short and spreads by 5 % (31 portraits, `bench/finding.py`). The iris has its 8 px only
from 58 px on, but other scales do without it."""

_ONE, _OTHER = np.array(
    [
        (RIGHT_EYE_OUTER, RIGHT_EYE_INNER),
        (LEFT_EYE_OUTER, LEFT_EYE_INNER),
        (NOSE_TIP, NOSE_TIP),
        (UPPER_LIP_INNER, LOWER_LIP_INNER),
    ]
).T
"""The detectors' first four keypoints (BlazeFace: right eye, left eye, nose tip, mouth), each as the middle of two
mesh points. The last two, the ears, lie where the mesh has none."""


def disagreement(landmarks: NDArray[np.float64], detection: Detection) -> float:
    """Measure how far a mesh lies from the keypoints of its detection.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px].
    detection : Detection
        What the mesh was fitted to, in px of the same picture.

    Returns
    -------
    float
        The mean distance over eyes, nose and mouth, in widths of the detector's box: 0.01 to 0.05 for portraits.
    """
    of_mesh = (landmarks[_ONE, :2] + landmarks[_OTHER, :2]) / 2
    apart_x, apart_y = (of_mesh - detection.keypoints[: len(_ONE)]).T
    return float(np.hypot(apart_x, apart_y).mean()) / detection.width_px


def too_small(landmarks: NDArray[np.float64]) -> str | None:
    """Tell why a face has too few px to be measured.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full photo].

    Returns
    -------
    str or None
        One sentence with the size it has and the size it needs; None when it has enough.
    """
    eyes_px = outer_eye_distance_px(landmarks)
    if eyes_px >= MIN_EYE_DISTANCE_PX:
        return None
    return (
        f"The largest face has {eyes_px:.0f} px between the outer corners of the eyes; at least"
        f" {MIN_EYE_DISTANCE_PX:.0f} px are needed, {MIN_EYE_DISTANCE_PX / eyes_px:.1f} times as many."
    )
