"""The whole flow of measuring one photo, on one screen."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import FaceTooSmall, NoFace, ReferenceNotFound, RequirementNotMet
from shared.measurements import DEFINITIONS_VERSION
from shared.reference_objects import parse_reference_object
from shared.schemas import JobOptions
from worker.face import KnownRulers, measure_face
from worker.measure.camera import Camera, camera_of_photo
from worker.measure.geometry import outer_eye_distance_px
from worker.measure.requirements import unmet_requirements
from worker.measure.retake import retake_hints
from worker.vision.decode import REDUCTIONS, DecodeLimits, Photo, decode_photo
from worker.vision.face_mesh import ENGINE, engine_version
from worker.vision.faces import MeshFace, largest_first
from worker.vision.mesh_check import too_small
from worker.vision.reference_object import find_reference

FIRST_PASS_LONG_SIDE_PX: Final = 1200
"""A JPEG is first decoded at the largest reduction that leaves its long side at least this long: what the eyes of a
portrait need, which are about a sixth of it apart. Phones' 12 megapixels (4,032 px) are so halved, and not quartered
only to be decoded once more. See docs/adr/0004."""
OUTER_EYE_DISTANCE_PX: Final = 200.0
"""What the mesh should have between the outer eye corners, if the photo has as much: with fewer pixels the iris, the
ruler of millimetres, loses precision. See docs/adr/0004 and `make evaluate`."""

_NOT_FOUND: Final = {
    "too_small": "The face is so small in the photo that {} beside it could not be measured.",
    "not_seen": "No {} was found near the largest face.",
    "ambiguous": "More than one thing near the largest face could be {}.",
}

_TIMING_DECIMALS: Final = 2
_FOCAL_DECIMALS: Final = 1


class FaceFinder(Protocol):
    """Finds faces and their meshes in pixels."""

    def detect(self, pixels: NDArray[np.uint8], max_faces: int = 1) -> list[MeshFace]:
        """Return the faces in an upright RGB picture of shape (h, w, 3), the largest first."""
        ...

    def refine(self, pixels: NDArray[np.uint8], faces: Iterable[MeshFace], scale: float) -> list[MeshFace]:
        """Fit the meshes of faces again, in the same picture with `scale` times as many px to a side."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured photo: the result as it goes into JSON, and the pixels it was measured on."""

    result: dict[str, Any]
    photo: Photo


@dataclass(slots=True)
class Timings:
    """Stage by stage, in milliseconds; a stage that runs twice counts both, one that raises counts none."""

    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what the block takes to a stage."""
        began = time.perf_counter()
        yield
        self.ms[name] = round(self.ms.get(name, 0.0) + (time.perf_counter() - began) * 1000, _TIMING_DECIMALS)


def measure_photo(
    data: bytes, options: JobOptions, finder: FaceFinder, limits: DecodeLimits, timings: Timings | None = None
) -> Measured:
    """Decode a photo, find its faces and measure them.

    Parameters
    ----------
    data : bytes
        The file as it was uploaded.
    options : JobOptions
        What was asked for.
    finder : FaceFinder
        The face finder of this process.
    limits : DecodeLimits
        What a photo may be.
    timings : Timings or None
        Where the time of each stage is noted, also of a photo that is rejected after it.

    Returns
    -------
    Measured
        With `shared.results.JobResult` as its result, in pixels of the full upright photo.

    Raises
    ------
    Rejected
        If the photo is at fault: no image, too large, too small, damaged, without a face or with one that is too
        small, without the reference object that was asked for, or not good enough for what was required.
    """
    timings = timings or Timings()
    photo, faces = _find_faces(data, options, finder, limits, timings)
    camera = camera_of_photo(photo.width_px, photo.height_px, photo.focal_35mm)
    with timings.stage("measure"):
        known = _known_rulers(photo, faces[0], camera, options)
        measured = [
            measure_face(
                face,
                photo,
                camera,
                known if face is faces[0] else KnownRulers(),
                with_landmarks=options.landmarks,
            )
            for face in faces
        ]
        sha256 = hashlib.sha256(data).hexdigest()
    _check_requirements(measured[0], options)
    result = {
        "image": {
            "width": photo.width_px,
            "height": photo.height_px,
            "format": photo.format,
            "exif_orientation": photo.exif_orientation,
            "mirrored": photo.mirrored,
            "sha256": sha256,
        },
        "model": {"engine": ENGINE, "version": engine_version(), "definitions": DEFINITIONS_VERSION},
        "camera": {
            "focal_px": round(camera.focal_px, _FOCAL_DECIMALS),
            "focal_sd_px": round(camera.focal_sd_px, _FOCAL_DECIMALS),
            "source": camera.source,
        },
        "timings_ms": timings.ms,
        "faces": measured,
    }
    return Measured(result, photo)


def _find_faces(
    data: bytes, options: JobOptions, finder: FaceFinder, limits: DecodeLimits, timings: Timings
) -> tuple[Photo, Sequence[MeshFace]]:
    """Find the largest faces at reduced scale, and look closer if that left them too few pixels."""
    with timings.stage("decode"):
        photo = decode_photo(data, limits, long_side_px=FIRST_PASS_LONG_SIDE_PX, mirrored=options.mirrored)
    with timings.stage("mesh"):
        faces = finder.detect(photo.pixels, options.max_faces)[: options.max_faces]
    finer = finer_reduction(photo.reduction, [outer_eye_distance_px(face.landmarks) for face in faces])
    if finer < photo.reduction:
        coarse = photo
        with timings.stage("decode"):
            photo = decode_photo(data, limits, reduction=finer, mirrored=options.mirrored)
        with timings.stage("mesh"):
            refined = finder.refine(photo.pixels, faces, coarse.reduction / photo.reduction)
            faces = sorted(refined, key=largest_first)
    if not faces:
        message = "No face was found in the photo."
        raise NoFace(message)
    if why := too_small(photo.to_full_px(faces[0].landmarks)):
        raise FaceTooSmall(why)
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


def _known_rulers(photo: Photo, face: MeshFace, camera: Camera, options: JobOptions) -> KnownRulers:
    """Gather what the client gave for the scale of the largest face; look for the object that is held to it."""
    reading = None
    if options.reference_object is not None:
        reference = parse_reference_object(options.reference_object)
        search = find_reference(photo.pixels, reference, face.landmarks, _of_pixels(camera, photo))
        if search.reading is None:
            raise ReferenceNotFound(_NOT_FOUND[search.why].format(options.reference_object))
        reading = replace(
            search.reading,
            mm_per_px=search.reading.mm_per_px / photo.reduction,
            sd=search.reading.sd / photo.reduction,
        )
    return KnownRulers(options.known_pd_mm, options.known_pd_kind, reading, options.reference_object_placement)


def _of_pixels(camera: Camera, photo: Photo) -> Camera:
    """Give the camera of the reduced picture, which sees the same with fewer px."""
    height, width = photo.pixels.shape[:2]
    return replace(
        camera,
        focal_px=camera.focal_px / photo.reduction,
        focal_sd_px=camera.focal_sd_px / photo.reduction,
        centre_px=((width - 1) / 2, (height - 1) / 2),
    )


def _check_requirements(face: dict[str, Any], options: JobOptions) -> None:
    unmet = unmet_requirements(face["measurements"], options.require, options.max_mm_sd)
    if unmet:
        reasons = [reason for key in options.require for reason in face["measurements"][key]["reasons"]]
        # Well taken, and still not sure enough: a better ruler is all that helps.
        hints = tuple((hint.code, hint.message) for hint in retake_hints(reasons or ["scale_uncertain"]))
        raise RequirementNotMet(f"What was required did not come out: {'; '.join(unmet)}.", hints)
