"""The whole flow of measuring one photo, on one screen."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import NoFace
from shared.measurements import DEFINITIONS, DEFINITIONS_VERSION
from shared.schemas import JobOptions
from worker.measure.geometry import bounding_box, distance_px, outer_eye_distance_px
from worker.vision.decode import REDUCTIONS, DecodeLimits, Photo, decode_photo
from worker.vision.face_mesh import ENGINE, MeshFace, engine_version

FIRST_PASS_LONG_SIDE_PX: Final = 1000
"""A JPEG is first decoded at the largest reduction that leaves its long side at least this long."""
OUTER_EYE_DISTANCE_PX: Final = 200.0
"""What the mesh should have between the outer eye corners, if the photo has as much: with fewer pixels the iris, the
ruler of millimetres, loses precision. See docs/adr/0004 and `make evaluate`."""

_COORDINATE_DECIMALS: Final = 2
_CONFIDENCE_DECIMALS: Final = 4
_TIMING_DECIMALS: Final = 2


class FaceFinder(Protocol):
    """Finds faces and their meshes in pixels."""

    def detect(self, pixels: NDArray[np.uint8]) -> list[MeshFace]:
        """Return the faces in an upright RGB picture of shape (h, w, 3), the largest first."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured photo: the result as it goes into JSON, and the pixels it was measured on."""

    result: dict[str, Any]
    photo: Photo


@dataclass(slots=True)
class _Timings:
    """Stage by stage, in milliseconds; a stage that runs twice counts both."""

    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.ms[name] = round(self.ms.get(name, 0.0) + (time.perf_counter() - began) * 1000, _TIMING_DECIMALS)


def measure_photo(data: bytes, options: JobOptions, finder: FaceFinder, limits: DecodeLimits) -> Measured:
    """Decode a photo, find its faces and measure them.

    Parameters
    ----------
    data : bytes
        The file as it was uploaded.
    options : JobOptions
        What was asked for.
    finder : FaceFinder
        The face mesh of this process.
    limits : DecodeLimits
        What a photo may be.

    Returns
    -------
    Measured
        With `shared.schemas.JobResult` as its result, in pixels of the full upright photo.

    Raises
    ------
    Rejected
        If the photo is at fault: no image, too large, too small, damaged, or without a face.
    """
    timings = _Timings()
    photo, faces = _find_faces(data, options.max_faces, finder, limits, timings)
    with timings.stage("measure"):
        measured = [_measure_face(face, photo, options) for face in faces]
        sha256 = hashlib.sha256(data).hexdigest()
    result = {
        "image": {
            "width": photo.width_px,
            "height": photo.height_px,
            "format": photo.format,
            "exif_orientation": photo.exif_orientation,
            "sha256": sha256,
        },
        "model": {"engine": ENGINE, "version": engine_version(), "definitions": DEFINITIONS_VERSION},
        "timings_ms": timings.ms,
        "faces": measured,
    }
    return Measured(result, photo)


def _find_faces(
    data: bytes, max_faces: int, finder: FaceFinder, limits: DecodeLimits, timings: _Timings
) -> tuple[Photo, Sequence[MeshFace]]:
    """Find the largest faces at reduced scale, and once more at a finer one if that left them too few pixels."""
    with timings.stage("decode"):
        photo = decode_photo(data, limits, long_side_px=FIRST_PASS_LONG_SIDE_PX)
    with timings.stage("mesh"):
        faces = finder.detect(photo.pixels)[:max_faces]
    finer = finer_reduction(photo.reduction, [outer_eye_distance_px(face.landmarks) for face in faces])
    if finer < photo.reduction:
        with timings.stage("decode"):
            photo = decode_photo(data, limits, reduction=finer)
        with timings.stage("mesh"):
            faces = finder.detect(photo.pixels)[:max_faces]
    if not faces:
        message = "No face was found in the photo."
        raise NoFace(message)
    return photo, faces


def finer_reduction(reduction: int, outer_eye_distances_px: Sequence[float]) -> int:
    """Return the largest reduction that leaves every face enough pixels between its eye corners.

    Parameters
    ----------
    reduction : int
        The reduction the faces were found at.
    outer_eye_distances_px : sequence of float
        Between the outer eye corners of each face [px at that reduction].

    Returns
    -------
    int
        At most `reduction`; 1 if no reduction leaves enough.
    """
    smallest_full_px = min(outer_eye_distances_px, default=np.inf) * reduction
    enough = [k for k in REDUCTIONS if k <= reduction and smallest_full_px / k >= OUTER_EYE_DISTANCE_PX]
    return max(enough, default=1)


def _measure_face(face: MeshFace, photo: Photo, options: JobOptions) -> dict[str, Any]:
    landmarks = photo.to_full_px(face.landmarks)
    box = bounding_box(landmarks)
    measured: dict[str, Any] = {
        "bounding_box": {name: round(float(value), _COORDINATE_DECIMALS) for name, value in box._asdict().items()},
        "confidence": round(face.confidence, _CONFIDENCE_DECIMALS),
        "measurements": {
            definition.key: {"px": round(distance_px(landmarks, *definition.landmarks), _COORDINATE_DECIMALS)}
            for definition in DEFINITIONS
        },
    }
    if options.landmarks:
        points = landmarks.round(_COORDINATE_DECIMALS).tolist()
        measured["landmarks"] = [{"id": i, "x": x, "y": y, "z": z} for i, (x, y, z) in enumerate(points)]
    return measured
