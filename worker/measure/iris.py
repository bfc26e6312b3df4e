"""The iris as a ruler: grown people's irises are nearly of one size.

s = K/d, with d the horizontal diameter of the iris in px and K what it stands for in millimetres. Constant and ruler go
together: the mesh's ring is wider than the iris by 4.3 %, the limbus fitted on the pixels (`worker.measure.limbus`) by
0.9 %. Both are first divided by that, and K is then what anatomy says. Vertical diameters are cut by the lids: unused.

A turned head does not foreshorten the iris: its owner looks at the camera. So there is no division by cos(yaw), which
would over-correct by 4 to 7 %; that the gaze may follow the head is part of the uncertainty instead.
"""

from __future__ import annotations

from math import cos, dist, hypot, radians
from sys import float_info
from typing import TYPE_CHECKING, Final

from worker.measure.limbus import MESH_OVER_TRACED
from worker.measure.rulers import LEFT_PUPIL, RIGHT_PUPIL, Refusal, Ruler, ruler

if TYPE_CHECKING:
    from worker.measure.rulers import FaceFacts

IRIS_MM: Final = 11.7
"""Horizontal visible iris diameter of adults (Rüfer, Schröder & Erb 2005, "White-to-white corneal diameter", Cornea 24,
doi:10.1097/01.ico.0000148312.01805.53: 11.71 ± 0.42 mm, 743 eyes). With the mesh's ring that is K = 12.2 mm."""
ANATOMY_SD: Final = 0.036
"""0.42 of 11.71 mm: how irises differ between people. Cited; it cannot be tested without calipers."""
LIMBUS_OVER_TRACED: Final = 1.009
"""The fitted limbus is this much wider than the iris traced by hand: London set, mean of the fit half."""

_LIMBUS_SD: Final = 0.018
"""Image part of the fitted limbus, both eyes together: 2.5 % from the traced rings on the fit half, of which the hand's
own 2.1 % are taken out (from how it disagrees between two eyes of one person): 1.5 %; and 1 % for blur."""
_MESH_SD: Final = 0.027
"""Image part of the mesh's ring, both eyes together, taken likewise from 102 London faces."""
_GLASSES_SD: Final = 0.06
"""A lens of -4 dioptres shrinks the iris by this much; which lens it is nobody knows."""

MIN_IRIS_PX: Final = 8.0
"""Of the mesh's ring: below, one px is more than an eighth of the ruler."""
MAX_DISAGREEMENT: Final = 0.15
"""Two eyes of one person differ by about 1 %; by this much, one of them was not measured. On the London photos the mesh
differs by up to 9 %, the fitted limbus by up to 3 %."""
OK_YAW_DEG: Final = 12.0
MAX_YAW_DEG: Final = 25.0
"""Where the gaze, if it follows the head, has cost 2 % and 9 %, and the nose begins to hide the far eye."""

_RINGS: Final = ((469, 471), (474, 476))


def iris_ruler(face: FaceFacts, limbus_px: tuple[float | None, float | None] = (None, None)) -> Ruler | Refusal:
    """Make a ruler of both irises.

    Parameters
    ----------
    face : FaceFacts
        The face.
    limbus_px : tuple of float or None
        Diameters of the subject's right and left limbus, fitted on the pixels [px of the full photo]; the mesh's ring
        stands in for those that are None.

    Returns
    -------
    Ruler or Refusal
        Refused with `eyes_closed`, `head_turned` (beyond 25°), `face_too_small` (an iris under 8 px), or
        `scale_uncertain` (the eyes disagree by more than 15 %).
    """
    yaw_deg = abs(face.yaw_deg)
    mesh_px = [dist(*face.landmarks[ring, :2].tolist()) for ring in _RINGS]
    traced_px = [
        mesh / MESH_OVER_TRACED if limbus is None else limbus / LIMBUS_OVER_TRACED
        for mesh, limbus in zip(mesh_px, limbus_px, strict=True)
    ]
    drawn_out = face.drawn_out
    # An iris that is farther away than the plane of the eyes looks smaller than it would there.
    right_px, left_px = (
        traced * (1 + float(face.depth_px[pupil]) / face.camera.focal_px) / drawn_out
        for traced, pupil in zip(traced_px, (RIGHT_PUPIL, LEFT_PUPIL), strict=True)
    )
    disagreement = abs(right_px - left_px) / max((right_px + left_px) / 2, float_info.min)
    refused = {
        "eyes_closed": face.eyes_closed,
        "head_turned": yaw_deg > MAX_YAW_DEG,
        "face_too_small": min(mesh_px) < MIN_IRIS_PX,
        "scale_uncertain": disagreement > MAX_DISAGREEMENT,
    }
    if any(refused.values()):
        return Refusal("iris", tuple(reason for reason, holds in refused.items() if holds))

    image_sds = [_MESH_SD if limbus is None else _LIMBUS_SD for limbus in limbus_px]
    right_weight, left_weight = (sd**-2 for sd in image_sds)
    iris_px = (right_px * right_weight + left_px * left_weight) / (right_weight + left_weight)
    mm_per_px = IRIS_MM / iris_px
    parts = (
        ANATOMY_SD,
        max(image_sds),
        disagreement / 2,
        (1 - cos(radians(yaw_deg))) / 2,
        _GLASSES_SD if face.glasses else 0.0,
    )
    unreliable = {"glasses": face.glasses, "head_turned": yaw_deg > OK_YAW_DEG}
    reasons = [reason for reason, holds in unreliable.items() if holds]
    return ruler("iris", mm_per_px, hypot(*parts) * mm_per_px, reasons)
