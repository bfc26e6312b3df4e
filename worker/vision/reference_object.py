"""The only door to OpenCV: finds a card or a marker of known size that is held to a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from shared.reference_objects import ReferenceObject
from worker.measure.camera import Camera
from worker.measure.edges import Sampler, corner_roundness, fit_rectangles
from worker.measure.geometry import outer_eye_distance_px
from worker.measure.planar import scale_of_rectangle, scale_sd
from worker.measure.rectangles import RectangleShape, candidate_rectangles

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Worker processes share the cores among themselves; threads inside one would only make them wait.
cv2.setNumThreads(1)

OUTER_EYE_DISTANCE_MM: Final = 88.0
REACH_EYE_DISTANCES: Final = 1.6
SIZE_TOLERANCE: Final = 0.35
SEARCH_LONG_SIDE_PX: Final = 130.0
LEAST_LONG_SIDE_PX: Final = 60.0
ID1_CORNER_RADIUS_MM: Final = 3.18

MAX_TILT_DEG: Final = 36.0
LEAST_SEEN: Final = 0.45
MISFIT_FRACTION: Final = 0.005
MISFIT_SDS: Final = 3.0

_CANDIDATES: Final = 16
DEBUG: list = []


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceReading:
    mm_per_px: float
    sd: float
    corners_px: NDArray[np.float64]
    tilt_deg: float


@dataclass(frozen=True, slots=True)
class ReferenceSearch:
    reading: ReferenceReading | None
    why: Literal["found", "too_small", "not_seen", "ambiguous"]


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Part of the picture near the face: its pixels, and where they begin."""

    pixels: NDArray[np.uint8]
    origin_px: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    corners_px: NDArray[np.float64]
    seen: object
    corner_sd: float
    sd: float
    mm_per_px: float
    tilt_deg: float
    score: float
    roundness: float = 0.0
    misfit: float = 0.0
    why: object = None


def find_reference(
    pixels: NDArray[np.uint8], reference: ReferenceObject, landmarks_px: NDArray[np.float64], camera: Camera
) -> ReferenceSearch:
    eyes_px = outer_eye_distance_px(landmarks_px)
    expected_px = eyes_px * reference.width_mm / OUTER_EYE_DISTANCE_MM
    if expected_px * (1 + SIZE_TOLERANCE) < LEAST_LONG_SIDE_PX:
        return ReferenceSearch(None, "too_small")
    region = _near_face(pixels, landmarks_px, REACH_EYE_DISTANCES * eyes_px)
    return _find_card(region, reference, expected_px, camera)


def _near_face(pixels, landmarks_px, reach_px) -> _Region:
    middle = (landmarks_px[:, :2].min(axis=0) + landmarks_px[:, :2].max(axis=0)) / 2
    left, top = np.maximum(np.floor(middle - reach_px), 0).astype(int)
    right, bottom = np.maximum(np.ceil(middle + reach_px), 0).astype(int)
    return _Region(np.ascontiguousarray(pixels[top:bottom, left:right]), np.array((left, top), dtype=float))


def _find_card(region, reference, expected_px, camera) -> ReferenceSearch:
    size_mm = (reference.width_mm, reference.height_mm)
    corner_fraction = 1.25 * ID1_CORNER_RADIUS_MM / reference.width_mm
    shrink = min(1.0, SEARCH_LONG_SIDE_PX / expected_px)
    small = (
        cv2.resize(region.pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        if shrink < 1
        else region.pixels
    )
    aspect = size_mm[0] / size_mm[1]
    shape = RectangleShape(
        (expected_px * shrink * (1 - SIZE_TOLERANCE), expected_px * shrink * (1 + SIZE_TOLERANCE)),
        (aspect * 0.78, aspect / 0.78),
        corner_fraction,
    )
    rough = candidate_rectangles(_segments(small), shape, _CANDIDATES)
    DEBUG[:] = [rough, []]
    if not len(rough):
        return ReferenceSearch(None, "not_seen")
    # The middle of the first px of the small picture is not that of the large one.
    rough = (rough + 0.5) / shrink - 0.5
    sample = _sampler(region.pixels)
    fitted = fit_rectangles(sample, rough, corner_fraction, 1.2 / shrink + 1)
    found = []
    for k in range(len(fitted.seen)):
        one = _check(
            sample, fitted.corners_px[k], fitted.seen[k], fitted.corner_sd_px[k], region.origin_px, size_mm, camera
        )
        if one is not None:
            found.append(one)
    DEBUG[:] = [rough, found]
    found = [f for f in found if f.score > 0]
    if not found:
        return ReferenceSearch(None, "not_seen")
    return _decide(found, region)


def _decide(found, region) -> ReferenceSearch:
    ranked = sorted(found, key=lambda f: -f.score)
    best = ranked[0]
    rivals = [o for o in ranked[1:] if abs(o.mm_per_px / best.mm_per_px - 1) > 0.015 and o.score > best.score - 0.1]
    if rivals:
        return ReferenceSearch(None, "ambiguous")
    return ReferenceSearch(
        ReferenceReading(best.mm_per_px, best.sd, best.corners_px + region.origin_px, best.tilt_deg), "found"
    )


def _inside(a, b):
    ca, cb = a.corners_px, b.corners_px
    area = lambda c: (
        abs(np.cross(c[2] - c[0], c[3] - c[1])) / 2
        if False
        else abs((c[2] - c[0])[0] * (c[3] - c[1])[1] - (c[2] - c[0])[1] * (c[3] - c[1])[0]) / 2
    )
    if area(cb) <= area(ca) * 1.01:
        return False
    L = np.hypot(*(cb[1] - cb[0]))
    poly = cb.astype(np.float32).reshape(-1, 1, 2)
    return all(cv2.pointPolygonTest(poly, (float(x), float(y)), True) > -0.02 * L for x, y in ca)


def _check(sample, corners, seen, corner_sd, origin, size_mm, camera):
    c = corners + origin
    why = []
    r = corner_roundness(sample, corners, size_mm, ID1_CORNER_RADIUS_MM)
    if seen.min() < LEAST_SEEN:
        why.append("seen")
    if np.sort(r)[1] < 0 or r.mean() < 0.2:
        why.append("round")
    if why:
        return _Found(corners, seen, corner_sd, 0, 0, 0, 0.0, r, 0, why)
    try:
        s = scale_of_rectangle(c, size_mm, camera)
    except ValueError:
        return None
    L = np.sqrt(np.hypot(*(c[1] - c[0])) * np.hypot(*(c[2] - c[1])))
    misfit = s.misfit_px
    if s.tilt_deg > MAX_TILT_DEG:
        why.append("tilt")
    if misfit > np.hypot(MISFIT_FRACTION * L, MISFIT_SDS * corner_sd):
        why.append("misfit")
    sd = scale_sd(c, corner_sd, size_mm, camera) if not why else 0
    return _Found(
        corners,
        seen,
        corner_sd,
        sd,
        s.mm_per_px,
        s.tilt_deg,
        0.0 if why else seen.mean() + r.mean() / 2,
        r,
        misfit / L,
        why,
    )


def _segments(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    detector = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD, 0.8)
    found = [detector.detect(np.ascontiguousarray(pixels[..., channel]))[0] for channel in (0, 2)]
    return np.concatenate(
        [np.empty((0, 4)), *(one.reshape(-1, 4).astype(np.float64) for one in found if one is not None)]
    )


def _sampler(pixels: NDArray[np.uint8]) -> Sampler:
    def sample(positions: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = positions.reshape(-1, positions.shape[-2], 2).astype(np.float32)
        colours = cv2.remap(pixels, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return colours.reshape(*positions.shape[:-1], 3).astype(np.float64)

    return sample
