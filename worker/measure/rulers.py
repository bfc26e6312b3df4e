"""Rulers: things of known size in a photo that tell how many millimetres a pixel is at the plane of the eyes.

Each function here makes one ruler, `worker.measure.iris` makes another, `worker.measure.scale` chooses among them.

With s millimetres per px at the plane of the eyes and a focal length of f px, that plane is Z = f·s away, and a point
that is q px of that plane behind it (s·q mm) has s·(1 + q/f) millimetres per px of its own. All lengths here are
therefore s times something in px, which needs no iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, log, radians, sqrt, tan
from sys import float_info
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from shared.results import MeasurementStatus
from shared.schemas import KnownPdKind, ReferencePlacement

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from worker.measure.camera import Camera

Source = Literal["reference_object", "known_pd", "iris"]

RIGHT_PUPIL: Final = 468
LEFT_PUPIL: Final = 473

PUPIL_TO_EYE_CENTRE_MM: Final = 10.5
"""From the pupil back to the point that the eye turns about: 13.5 mm behind the cornea, the pupil 3 mm."""
READING_DISTANCE_MM: Final = 400.0
"""What a near PD is made for, from the lenses."""
LENS_TO_EYE_CENTRE_MM: Final = 27.0
"""A near PD is what lenses need, and told in their plane: 13 mm before the cornea, which is 14 mm before the point that
the eye turns about. At 40 cm it is 3 to 4 mm less than a PD for far gaze; the pupils themselves come 1.7 mm closer."""

_MESH_OVER_TRACED_PD: Final = 1.003
_MESH_PD_SD: Final = 0.008
"""Mesh ÷ hand-placed pupils, mean and SD over people (London set and others)."""
GIVEN_PD_SD_MM: Final = 0.7
"""A pupillometer repeats to 0.5 mm, a ruler to 1 mm; people round to a millimetre."""
_GAZE_SD: Final = 0.25
"""Of the convergence: not everybody looks at the lens, but nobody looks far away."""
_LENS_SD: Final = 0.008
"""Behind glasses of -4 dioptres a pupil that is 4 mm beside the middle of its lens is seen 0.24 mm beside its place."""
_YAW_SD_DEG: Final = 4.0
"""Mean error of the pose; it foreshortens the line between the pupils by its own tangent."""
PD_OK_YAW_DEG: Final = 25.0
"""Up to here the pose costs less than the 3.6 % by which irises differ between people, ..."""
PD_MAX_YAW_DEG: Final = 35.0
"""... and here 4.9 %, more than the iris ruler has in all."""

_FOREHEAD: Final = (10, 151, 9)
_UPPER_LIP: Final = (0, 164, 2)
"""Where the object touches: middle of the forehead; from the upper lip's edge to the base of the nose."""
_PLACED_SD_MM: Final = 7.0
"""How far the object is from where the mesh has that skin: 5 mm of the face's own shape, 5 mm of how it is held."""
_UNPLACED_SD_MM: Final = 20.0
"""It may be held anywhere between the cheeks and a hand's breadth of air: 5 % of the scale at 40 cm."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceFacts:
    """What rulers need to know of a face.

    Attributes
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    depth_px : ndarray of float64, shape (478,)
        How far each point lies behind the plane of the eyes [px of that plane].
    camera : Camera
        The lens.
    yaw_deg : float
        How far the head is turned [deg]; the side does not matter.
    eyes_closed, glasses : bool
        What else was seen.
    """

    landmarks: NDArray[np.float64]
    depth_px: NDArray[np.float64]
    camera: Camera
    yaw_deg: float
    eyes_closed: bool = False
    glasses: bool = False

    @property
    def eyes_beside(self) -> tuple[float, float]:
        """Where midway between the pupils is, from the optical axis, over their distance along it."""
        x, y, _ = (_points_px(self, (RIGHT_PUPIL, LEFT_PUPIL)).mean(axis=0) / self.camera.focal_px).tolist()
        return x, y

    @property
    def drawn_out(self) -> float:
        """By how much what looks into the lens is drawn wider, from eye to eye, beside the optical axis than on it."""
        beside_x, beside_y = self.eyes_beside
        across_x, across_y = (self.landmarks[LEFT_PUPIL, :2] - self.landmarks[RIGHT_PUPIL, :2]).tolist()
        along = (beside_x * across_x + beside_y * across_y) / max(hypot(across_x, across_y), float_info.min)
        square = 1 + beside_x**2 + beside_y**2
        return sqrt(square / (square - along**2))


@dataclass(frozen=True, slots=True)
class Ruler:
    """One answer to how many millimetres a pixel is, at the plane of the eyes.

    Attributes
    ----------
    source : str
        What was measured.
    mm_per_px, sd : float
        The scale and one standard deviation of it [mm/px]; what the lens does to it is in that from `with_lens` on.
    status : MeasurementStatus
        `ok` or `unreliable`.
    reasons : tuple of str
        Why it is not `ok`.
    focal_slope : float
        By what fraction the scale grows with a lens that is longer by a fraction, d ln s/d ln f.
    """

    source: Source
    mm_per_px: float
    sd: float
    status: MeasurementStatus = MeasurementStatus.OK
    reasons: tuple[str, ...] = ()
    focal_slope: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A ruler that is in the photo and must not be used, and why."""

    source: Source
    reasons: tuple[str, ...]


def known_pd_ruler(face: FaceFacts, pd_mm: float, kind: KnownPdKind) -> Ruler | Refusal:
    """Make a ruler of a pupillary distance that the person knows.

    A distance PD shrinks by the convergence of the eyes when they look at the camera: P = PD·(Z - 10.5 mm)/Z. With
    P = s·D and Z = f·s, f along the line of sight, that is a quadratic equation in s. A near PD is one at 40 cm.

    Parameters
    ----------
    face : FaceFacts
        The face it belongs to.
    pd_mm : float
        The pupillary distance [mm].
    kind : KnownPdKind
        How it was measured.

    Returns
    -------
    Ruler or Refusal
        Refused when the head is turned too far, and when no distance from the camera fits: the face is closer than
        the eyes can converge.

    Raises
    ------
    ValueError
        If `pd_mm` is not positive.
    """
    if pd_mm <= 0:
        raise ValueError(f"a pupillary distance is positive, not {pd_mm}")
    yaw_deg = abs(face.yaw_deg)
    if yaw_deg > PD_MAX_YAW_DEG:
        return Refusal("known_pd", ("head_turned",))
    focal_px = face.camera.focal_px
    pupils = _points_px(face, (RIGHT_PUPIL, LEFT_PUPIL))
    pupils_px = float(np.linalg.norm(pupils[1] - pupils[0])) / _MESH_OVER_TRACED_PD
    parts = [
        GIVEN_PD_SD_MM / pd_mm,
        _MESH_PD_SD,
        tan(radians(yaw_deg)) * radians(_YAW_SD_DEG),
        _LENS_SD if face.glasses else 0.0,
    ]
    if kind is KnownPdKind.AS_PHOTOGRAPHED:
        mm_per_px = pd_mm / pupils_px
    else:
        far_mm = pd_mm
        if kind is KnownPdKind.NEAR:
            far_mm *= (READING_DISTANCE_MM + LENS_TO_EYE_CENTRE_MM) / READING_DISTANCE_MM
        # s²·D - s·PD + 10.5·PD/f = 0; of its two distances the far one is the one people are at.
        sight_px = focal_px * hypot(1.0, *face.eyes_beside)
        discriminant = far_mm**2 - 4 * pupils_px * PUPIL_TO_EYE_CENTRE_MM * far_mm / sight_px
        if discriminant < 0:
            return Refusal("known_pd", ("too_close",))
        mm_per_px = (far_mm + sqrt(discriminant)) / (2 * pupils_px)
        parts.append(PUPIL_TO_EYE_CENTRE_MM / (sight_px * mm_per_px) * _GAZE_SD)
    reasons = [*(["eyes_closed"] if face.eyes_closed else []), *(["head_turned"] if yaw_deg > PD_OK_YAW_DEG else [])]
    return ruler("known_pd", mm_per_px, hypot(*parts) * mm_per_px, reasons)


def reference_ruler(
    face: FaceFacts,
    mm_per_px: float,
    sd: float,
    placement: ReferencePlacement | None,
    *,
    focal_slope: float = 0.0,
    read_with: Camera | None = None,
) -> Ruler:
    """Make a ruler of an object of known size that is held against the face.

    Parameters
    ----------
    face : FaceFacts
        The face it is held against: its own forehead and lip tell how far they are in front of its eyes.
    mm_per_px, sd : float
        The scale at the object, corrected for its tilt, and one standard deviation of it [mm/px].
    placement : ReferencePlacement or None
        Where it is held. None is taken for the middle between forehead and lip, and makes the ruler unreliable.
    focal_slope : float, optional
        By what fraction its scale would have been read as larger with a lens that is longer by a fraction.
    read_with : Camera, optional
        The lens that it was read with, where that is not the face's.

    Returns
    -------
    Ruler
        The scale at the plane of the eyes: what is nearer looks larger, so s = s_object / (1 + q/f), q the depth of
        the object behind the eyes, which is negative.

    Raises
    ------
    ValueError
        If `mm_per_px` is not positive, or the object is at the lens.
    """
    where = {
        ReferencePlacement.FOREHEAD: _FOREHEAD,
        ReferencePlacement.UPPER_LIP: _UPPER_LIP,
        None: _FOREHEAD + _UPPER_LIP,
    }
    if read_with is not None:
        mm_per_px *= (face.camera.focal_px / read_with.focal_px) ** focal_slope
    behind = float(face.depth_px[list(where[placement])].mean()) / face.camera.focal_px
    if mm_per_px <= 0 or behind <= -1:
        raise ValueError(f"no object has {mm_per_px} mm/px and lies {behind} of its distance behind the eyes")
    at_eyes = mm_per_px / (1 + behind)
    placed_sd_mm = _UNPLACED_SD_MM if placement is None else _PLACED_SD_MM
    at_eyes_sd = hypot(sd / mm_per_px * at_eyes, placed_sd_mm / face.camera.focal_px)
    return ruler("reference_object", at_eyes, at_eyes_sd, ["scale_uncertain"] if placement is None else [])


def with_lens(
    make: Callable[[FaceFacts], Ruler | Refusal], face: FaceFacts, with_longer_lens: FaceFacts
) -> Ruler | Refusal:
    """Make a ruler, and add to its standard deviation what the lens does to it.

    Parameters
    ----------
    make : callable
        Makes it of a face.
    face, with_longer_lens : FaceFacts
        The same picture, believed to be taken with the lens that it was, and with one that is longer.

    Returns
    -------
    Ruler or Refusal
        With its `focal_slope`.
    """
    made, longer = make(face), make(with_longer_lens)
    if isinstance(made, Refusal) or isinstance(longer, Refusal):
        return made
    camera, longer_px = face.camera, with_longer_lens.camera.focal_px
    focal_slope = log(longer.mm_per_px / made.mm_per_px) / log(longer_px / camera.focal_px)
    by_lens = made.mm_per_px * focal_slope * camera.focal_sd_px / camera.focal_px
    return replace(made, sd=hypot(made.sd, by_lens), focal_slope=focal_slope)


def ruler(source: Source, mm_per_px: float, sd: float, reasons: list[str]) -> Ruler:
    """Make a ruler that is unreliable when there are reasons, and `ok` when there are none."""
    status = MeasurementStatus.UNRELIABLE if reasons else MeasurementStatus.OK
    return Ruler(source, mm_per_px, sd, status, tuple(reasons))


def _points_px(face: FaceFacts, points: tuple[int, ...]) -> NDArray[np.float64]:
    """Back-project points, in px of the plane of the eyes: s times this is in millimetres, from the optical axis."""
    depth = face.depth_px[list(points), np.newaxis]
    across = (face.landmarks[list(points), :2] - face.camera.centre_px) * (1 + depth / face.camera.focal_px)
    return np.concatenate([across, depth], axis=1)
