"""The only door to OpenCV: finds a card or a marker of known size that is held to a face, or says why not.

A false find is worse than none, since a length in millimetres then comes out wrong and looks right. So the search keeps
near the face, and a card must show four straight sides, the rounded corners of ISO/IEC 7810, the proportions of ID-1 at
some tilt before this camera, and a size that the face agrees with; where two do, none is taken. How each was set and
what it finds: docs/adr/0008.

OpenCV is imported with this module, as mediapipe, which every worker imports, does it too. What it raises here is a bug
and becomes a `RuntimeError`; its types stay inside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np

from shared.reference_objects import ReferenceObject
from worker.measure.camera import Camera
from worker.measure.card_shape import (
    LEAST_LONG_SIDE_PX,
    LEAST_MARKER_SIDE_PX,
    OUTER_EYE_DISTANCE_MM,
    SIZE_TOLERANCE,
    Candidate,
    best_without_rival,
    plausible_scale,
    score,
    shows_its_sides,
    shows_round_corners,
)
from worker.measure.edges import FittedRectangle, corner_roundness, fit_rectangles
from worker.measure.geometry import outer_eye_distance_px
from worker.measure.planar import PlanarScale, doubt_of_scale
from worker.measure.rectangles import RectangleShape, candidate_rectangles, corners_apart_px

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Worker processes share the cores among themselves; threads inside one would only make them wait.
cv2.setNumThreads(1)

REACH_EYE_DISTANCES: Final = 1.8
"""How far from the middle of the face is searched, up, down and sideways: 16 cm, so that nothing on a wall or a desk is
looked at and a card on the forehead, upright, is."""
ID1_CORNER_RADIUS_MM: Final = 3.18
"""ISO/IEC 7810: radius of the corners of an ID-1 card."""
ID1_SIZE_SD: Final = 0.001
"""Share by which a card's side may differ: 85.47 to 85.72 mm where it is new (ISO/IEC 7810), taken as even."""

_SEARCH_LONG_SIDE_PX: Final = 130.0
"""Size at which sides are looked for: four sides were found as often as at 220 px, in a third of the time."""
_ROUGH_PX: Final = 1.2
"""To this many of its own px a rough side is right."""
_ASPECT_SLACK: Final = 0.78
"""How far a card's proportions may seem changed: cos 25 degrees, and once more for standing aside of the axis."""
_CORNER_SHARE: Final = 1.25
"""Of a rounded corner's radius, what is left out of a side at each end."""
_MARKER_CORNER_FRACTION: Final = 0.03
_CANDIDATES: Final = 20
_SAME_PX: Final = 1.0
"""Rough candidates often end at the same sides; within this they say the same."""
_LEAST_SEARCHED_PX: Final = 16
_SEGMENT_SCALE: Final = 0.8  # OpenCV's own default
_RED_AND_BLUE: Final = (0, 2)
"""Sky is as bright as skin, and white paper nearly so; in red or in blue they differ."""
_RGB_CHANNELS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceReading:
    """An object of known size as the picture shows it.

    Attributes
    ----------
    mm_per_px : float
        At the object's centre, for a length parallel to the picture at the depth of that centre [mm/px].
    sd : float
        One standard deviation of that [mm/px]: corners, and what the standard allows a card to be.
    focal_slope : float
        By what fraction it grows with a lens that is longer by a fraction.
    corners_px : ndarray of float64, shape (4, 2)
        In order around it, where its sides meet, the first side a long one [px of the picture handed in].
    tilt_deg : float
        Between the object and the picture's plane [degrees].
    """

    mm_per_px: float
    sd: float
    focal_slope: float
    corners_px: NDArray[np.float64]
    tilt_deg: float


@dataclass(frozen=True, slots=True)
class ReferenceSearch:
    """What a search came to.

    Attributes
    ----------
    reading : ReferenceReading or None
        None unless exactly one object was found.
    why : {"found", "too_small", "not_seen", "ambiguous"}
        `too_small`: the face is so small that the object would have too few px. `not_seen`: nothing near the face shows
        all that such an object must. `ambiguous`: two different things do.
    """

    reading: ReferenceReading | None
    why: Literal["found", "too_small", "not_seen", "ambiguous"]


def find_reference(
    pixels: NDArray[np.uint8], reference: ReferenceObject, landmarks_px: NDArray[np.float64], camera: Camera
) -> ReferenceSearch:
    """Find an object of known size near a face.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        An upright RGB picture.
    reference : ReferenceObject
        What to look for. A marker may have any id of its dictionary; of several the one nearest to the face is taken.
    landmarks_px : ndarray of float64, shape (478, 3)
        The mesh of the face it is held to [px of `pixels`].
    camera : Camera
        In px of `pixels`.

    Returns
    -------
    ReferenceSearch
        The reading, or why there is none.

    Raises
    ------
    ValueError
        If the picture or the mesh has another shape.
    RuntimeError
        If OpenCV failed, which is a bug.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != _RGB_CHANNELS or pixels.shape[2] != _RGB_CHANNELS:
        raise ValueError(f"a picture is uint8 of shape (height, width, 3), not {pixels.dtype} of {pixels.shape}")
    eyes_px = outer_eye_distance_px(landmarks_px)
    expected_px = eyes_px * reference.width_mm / OUTER_EYE_DISTANCE_MM
    is_card = reference.aruco_dictionary is None
    if expected_px < (LEAST_LONG_SIDE_PX if is_card else LEAST_MARKER_SIDE_PX):
        return ReferenceSearch(None, "too_small")
    region = _near_face(pixels, landmarks_px, REACH_EYE_DISTANCES * eyes_px, expected_px)
    if min(region.small.shape[:2]) < _LEAST_SEARCHED_PX:
        return ReferenceSearch(None, "not_seen")
    find = _find_card if is_card else _find_marker
    try:
        return find(region, reference, camera)
    except cv2.error as exc:
        raise RuntimeError(f"OpenCV failed on a picture of shape {pixels.shape}") from exc


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """The part of the picture near the face.

    `pixels` begin at `origin_px` of the picture; `small` is `shrink` times their size, for the search, in which the
    object's long side should measure about `expected_px`; `middle_px` is the face's in `pixels`.
    """

    pixels: NDArray[np.uint8]
    origin_px: NDArray[np.float64]
    middle_px: NDArray[np.float64]
    small: NDArray[np.uint8]
    shrink: float
    expected_px: float

    def scale_of(self, fitted: FittedRectangle, size_mm: tuple[float, float], camera: Camera) -> PlanarScale | None:
        """Tell the scale of what was fitted in `pixels`, if it can be the object."""
        in_picture = replace(fitted, corners_px=fitted.corners_px + self.origin_px)
        return plausible_scale(in_picture, size_mm, camera, self.expected_px / self.shrink)

    def to_region_px(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take px of `small` to px of `pixels`; a px's centre is half a px in, in either."""
        return (points + 0.5) / self.shrink - 0.5

    def sample(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Read colours between px, as `worker.measure.edges.Sampler`."""
        flat = positions.reshape(-1, positions.shape[-2], 2).astype(np.float32)
        colours = cv2.remap(self.pixels, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(colours, dtype=np.float64).reshape(*positions.shape[:-1], _RGB_CHANNELS)


def _near_face(
    pixels: NDArray[np.uint8], landmarks_px: NDArray[np.float64], reach_px: float, expected_px: float
) -> _Region:
    middle = (landmarks_px[:, :2].min(axis=0) + landmarks_px[:, :2].max(axis=0)) / 2
    size = np.array(pixels.shape[1::-1])
    left, top = np.clip(np.floor(middle - reach_px), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(middle + reach_px), 0, size).astype(int)
    near = np.ascontiguousarray(pixels[top:bottom, left:right])
    shrink = min(1.0, _SEARCH_LONG_SIDE_PX / expected_px)
    small = near
    if shrink < 1 and min(near.shape[:2]) * shrink >= 1:
        small = np.asarray(cv2.resize(near, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    origin = np.array((left, top), dtype=np.float64)
    return _Region(near, origin, middle - origin, small, shrink, expected_px * shrink)


def _find_card(region: _Region, reference: ReferenceObject, camera: Camera) -> ReferenceSearch:
    size_mm = (reference.width_mm, reference.height_mm)
    corner_fraction = _CORNER_SHARE * ID1_CORNER_RADIUS_MM / reference.width_mm
    aspect = reference.width_mm / reference.height_mm
    shape = RectangleShape(
        (region.expected_px * (1 - SIZE_TOLERANCE), region.expected_px * (1 + SIZE_TOLERANCE)),
        (aspect * _ASPECT_SLACK, aspect / _ASPECT_SLACK),
        corner_fraction,
    )
    rough = region.to_region_px(candidate_rectangles(_segments(region.small), shape, _CANDIDATES))
    shown = []
    for fitted in fit_rectangles(region.sample, rough, corner_fraction, _ROUGH_PX / region.shrink + 1):
        if shows_its_sides(fitted):
            roundness = corner_roundness(region.sample, fitted.corners_px, size_mm, ID1_CORNER_RADIUS_MM)
            if shows_round_corners(roundness):
                shown.append((score(fitted, roundness), fitted))
    passed: list[Candidate] = []
    for points, fitted in sorted(shown, key=lambda one: -one[0]):
        if any(corners_apart_px(fitted.corners_px, other.fitted.corners_px) < _SAME_PX for other in passed):
            continue
        scale = region.scale_of(fitted, size_mm, camera)
        if scale is not None:
            passed.append(Candidate(fitted, scale, points))
    if not passed:
        return ReferenceSearch(None, "not_seen")
    best = best_without_rival(passed)
    if best is None:
        return ReferenceSearch(None, "ambiguous")
    return _reading(region, best.fitted, best.scale, (size_mm, ID1_SIZE_SD), camera)


def _find_marker(region: _Region, reference: ReferenceObject, camera: Camera) -> ReferenceSearch:
    size_mm = (reference.width_mm, reference.height_mm)
    rough = region.to_region_px(_markers(region, f"DICT_{reference.aruco_dictionary}".upper()))
    nearest = np.argsort(np.linalg.norm(rough.mean(axis=1) - region.middle_px, axis=1), kind="stable")[:_CANDIDATES]
    reach_px = _ROUGH_PX / region.shrink + 1
    for fitted in fit_rectangles(region.sample, rough[nearest], _MARKER_CORNER_FRACTION, reach_px):
        scale = region.scale_of(fitted, size_mm, camera) if shows_its_sides(fitted) else None
        if scale is not None:
            return _reading(region, fitted, scale, (size_mm, 0.0), camera)
    return ReferenceSearch(None, "not_seen")


def _reading(
    region: _Region,
    fitted: FittedRectangle,
    scale: PlanarScale,
    size_mm_and_sd: tuple[tuple[float, float], float],
    camera: Camera,
) -> ReferenceSearch:
    size_mm, size_sd = size_mm_and_sd
    corners_px = fitted.corners_px + region.origin_px
    doubt = doubt_of_scale(corners_px, fitted.corner_sd_px, size_mm, camera)
    sd = float(np.hypot(doubt.sd, size_sd * scale.mm_per_px))
    reading = ReferenceReading(scale.mm_per_px, sd, doubt.focal_slope, corners_px, scale.tilt_deg)
    return ReferenceSearch(reading, "found")


def _segments(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Find straight edges (LSD, Grompone von Gioi et al., IPOL 2012): their ends x, y, x, y, shape (n, 4)."""
    detector = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD, _SEGMENT_SCALE)
    segments = []
    for channel in _RED_AND_BLUE:
        found: Any = detector.detect(np.ascontiguousarray(pixels[..., channel]))[0]  # None where there are none
        segments.append(np.empty((0, 4)) if found is None else np.reshape(found, (-1, 4)).astype(np.float64))
    return np.concatenate(segments)


def _markers(region: _Region, dictionary: str) -> NDArray[np.float64]:
    """Find the markers of a dictionary in the small picture: corners, shape (n, 4, 2)."""
    parameters = cv2.aruco.DetectorParameters()
    # OpenCV's default would look at every spot of four px a side.
    smallest_px = 4 * region.expected_px * (1 - SIZE_TOLERANCE) / 2
    parameters.minMarkerPerimeterRate = smallest_px / max(region.small.shape[:2])
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    found, _, _ = cv2.aruco.ArucoDetector(known, parameters).detectMarkers(
        cv2.cvtColor(region.small, cv2.COLOR_RGB2GRAY)
    )
    return np.array([np.reshape(one, (4, 2)) for one in found], dtype=np.float64).reshape(-1, 4, 2)
