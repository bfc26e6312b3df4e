"""Finds the faces of a picture, also those that one look misses: small, turned, or upside down.

First the whole picture goes through the short-range detector and the mesh model, as in `FaceMesh.detect`; nearly every
portrait ends there, and its landmarks are the same to the last bit. What follows costs time and is for the others:

1. A face that is small or not beyond doubt is looked at again, closely; where that leaves doubt, in all four quarter
   turns and by both detectors. Of an upside-down face the detector and the mesh model make an upright one that is not
   there, and none of their own numbers tells alone.
2. Where there are fewer faces than asked for, the full-range detector reads the whole picture, then overlapping tiles.
3. Where there is none at all, it reads the picture turned by quarters.

What the later looks find is only a hint: a face counts when close by both detectors see it, the mesh model sees it,
and its mesh lies where the detector's keypoints are. `bench/finding.py` measures all of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from worker.vision.crops import QUARTER_TURNS, View, close_to, tiles, whole
from worker.vision.face_mesh import FaceMesh
from worker.vision.faces import Detection, MeshFace, largest_first, overlap
from worker.vision.graphs import DetectionRange
from worker.vision.mesh_check import disagreement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from worker.vision.faces import Region

DOUBTFUL_SCORE: Final = 0.85
DOUBTFUL_DISAGREEMENT: Final = 0.06
DOUBTFUL_ANGLE_RAD: Final = radians(60)
"""A face beyond any of these is looked at again. Of 20 portraits under nine conditions (blurred, dark, overexposed,
with sunglasses, narrowed, ...) every bogus mesh on an upside-down face is, and one upright face in ten. Up to 60
degrees of roll the detector is as sure as of upright faces."""

SMALL_SHARE: Final = 0.3
"""A region smaller than this share of the picture's long side (a face of about a fifth) is read again in a close look:
so few of the short-range detector's 128 px are left of it that its landmarks move by 1.3 % of the eye distance instead
of 0.7 %. Larger faces gain nothing."""

CONFIRMED_SCORE: Final = 0.5
CONFIRMED_DISAGREEMENT: Final = 0.15
"""What the full-range detector's score must reach, and the disagreement must not exceed, before a hint is a face. In
809 pictures without one the best was a score of 0.38 at a disagreement of 0.28; small faces have 0.65 and more, and
disagree by less than 0.04 where they are upright."""

REFUSED_DISAGREEMENT: Final = 0.25
"""Beyond this a face seen at first sight is refused, confirmed or not: the mesh lies elsewhere."""

DISAGREEMENT_WEIGHT: Final = 2.0
UPRIGHT_BONUS: Final = 0.15
"""How the quarter turns of one face are compared: the sum of both scores, less twice the disagreement, and a little
more for a face within 60 degrees of upright, since most are. Without the bonus, masks drawn on faces turn one in twenty
upside down."""

SAME_FACE_OVERLAP: Final = 0.3
"""Regions that share this much of their union are one face: mediapipe's own limit for merging detections."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A face as it was seen once; places are px of the picture, the view is None at first sight of all of it."""

    detection: Detection
    landmarks: NDArray[np.float64]
    view: View | None

    @property
    def disagreement(self) -> float:
        return disagreement(self.landmarks, self.detection)

    @property
    def upright(self) -> bool:
        return abs(self.detection.region.angle_rad) <= DOUBTFUL_ANGLE_RAD

    @property
    def clear(self) -> bool:
        return self.detection.score >= DOUBTFUL_SCORE and self.disagreement <= DOUBTFUL_DISAGREEMENT

    @property
    def doubtful(self) -> bool:
        return not (self.clear and self.upright)

    def trust(self, full_range_score: float) -> float:
        bonus = UPRIGHT_BONUS if self.upright else 0.0
        return self.detection.score + full_range_score - DISAGREEMENT_WEIGHT * self.disagreement + bonus

    def is_a_face(self, full_range_score: float) -> bool:
        if self.view is None and self.upright and self.disagreement <= REFUSED_DISAGREEMENT:
            return True  # the detector's and the mesh model's word is enough for a face as most photos show it
        return full_range_score >= CONFIRMED_SCORE and self.disagreement <= CONFIRMED_DISAGREEMENT

    def as_face(self) -> MeshFace:
        return MeshFace(self.landmarks, self.detection.score, self.detection.region)


class FaceFinder:
    """Finds faces for one process; built after fork, used by one thread, a context manager."""

    def __init__(self) -> None:
        self._mesh = FaceMesh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the graphs; closing twice does nothing."""
        self._mesh.close()

    def detect(self, pixels: NDArray[np.uint8], max_faces: int = 1) -> list[MeshFace]:
        """Find the faces of one picture.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            The upright picture, RGB, C-contiguous.
        max_faces : int
            How many faces are of interest: with fewer found at first sight, smaller ones are looked for. More may be
            returned.

        Returns
        -------
        list of MeshFace
            The largest first, as `FaceMesh.detect` sorts them; empty when no face is found.

        Raises
        ------
        ValueError
            If `pixels` is anything else.
        RuntimeError
            If a graph fails, or this object was built in another process or is closed.
        """
        faces = _distinct(self._at_first_sight(pixels))
        if len(faces) < max_faces:
            self._add_hinted(pixels, [whole(pixels)], faces)
        if len(faces) < max_faces:
            self._add_hinted(pixels, tiles(pixels), faces)
        if not faces:
            self._add_hinted(pixels, (whole(pixels, turns) for turns in range(1, QUARTER_TURNS)), faces)
        return sorted(faces, key=largest_first)

    def refine(self, pixels: NDArray[np.uint8], faces: Iterable[MeshFace], scale: float) -> list[MeshFace]:
        """Fit the meshes of faces again, in the same picture with more px.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            The picture at its finer scale.
        faces : iterable of MeshFace
            As `detect` found them at the coarser scale.
        scale : float
            How many px of `pixels` one px of the coarser picture was wide.

        Returns
        -------
        list of MeshFace
            The same faces in the same order; one that the mesh model no longer sees keeps its mesh, scaled.

        Raises
        ------
        ValueError
            If `pixels` is no picture, or a face has no region.
        RuntimeError
            As for `detect`.
        """
        return [self._refined(pixels, face, scale) for face in faces]

    def _refined(self, pixels: NDArray[np.uint8], face: MeshFace, scale: float) -> MeshFace:
        if face.region is None:
            raise ValueError("only a face that was found here can be looked at again")
        region = face.region.scaled(scale)
        landmarks = self._mesh.mesh(pixels, region)
        if landmarks is None:
            landmarks = face.landmarks * scale + np.array(((scale - 1) / 2, (scale - 1) / 2, 0))
            landmarks.flags.writeable = False
        return MeshFace(landmarks, face.confidence, region)

    def _at_first_sight(self, pixels: NDArray[np.uint8]) -> Iterator[MeshFace]:
        """Find faces as `FaceMesh.detect` does, and settle those that are small or in doubt."""
        small_px = SMALL_SHARE * max(pixels.shape[:2])
        for detection in self._mesh.find(pixels, DetectionRange.SHORT):
            if not detection.distinct:
                continue
            look = None if detection.region.width_px < small_px else self._look(pixels, detection, None)
            if look is None or look.doubtful:
                look = self._looked_at_again(pixels, detection, look)
            if look:
                yield look.as_face()

    def _looked_at_again(self, pixels: NDArray[np.uint8], detection: Detection, first: _Look | None) -> _Look | None:
        close = self._close_look(pixels, detection.region, 0)
        if close and not close.doubtful:
            return close
        first = first or self._look(pixels, detection, None)
        return self._settled(pixels, detection.region, [first, close])

    def _add_hinted(self, pixels: NDArray[np.uint8], views: Iterable[View], faces: list[MeshFace]) -> None:
        """Follow the full-range detector's hints in some views, and add the faces that are not known yet."""
        for view in views:
            for hint in self._mesh.find(view.pixels, DetectionRange.FULL):
                region = view.detection_in_picture(hint).region
                if _known(region, faces):
                    continue
                look = self._close_look(pixels, region, 0)
                if look is None or look.doubtful or not look.is_a_face(self._full_range_score(pixels, look)):
                    look = self._settled(pixels, region, [look], turned_must_be_clear=True)
                if look and not _known(look.detection.region, faces):
                    faces.append(look.as_face())

    def _settled(
        self,
        pixels: NDArray[np.uint8],
        region: Region,
        upright: list[_Look | None],
        *,
        turned_must_be_clear: bool = False,
    ) -> _Look | None:
        """Look closely in the other quarter turns as well; return the face to be trusted most, if there is one.

        Of very small faces, which only hints lead to, some upright ones would otherwise come out upside down.
        """
        turned = [self._close_look(pixels, region, quarter_turns) for quarter_turns in range(1, QUARTER_TURNS)]
        looks = [look for look in upright if look]
        looks += [look for look in turned if look and (look.clear or not turned_must_be_clear)]
        best, best_trust = None, 0.0
        for look in sorted(looks, key=lambda look: -look.trust(1.0)):
            if best and look.trust(1.0) <= best_trust:
                break  # not even a perfect score would make it the best
            score = self._full_range_score(pixels, look)
            if look.is_a_face(score) and (best is None or look.trust(score) > best_trust):
                best, best_trust = look, look.trust(score)
        return best

    def _close_look(self, pixels: NDArray[np.uint8], region: Region, quarter_turns: int) -> _Look | None:
        """Let the short-range detector look for the face of a region, and for none of its neighbours."""
        view = close_to(pixels, region, quarter_turns)
        detection = _best_detection(self._mesh, view, region, DetectionRange.SHORT)
        return self._look(pixels, detection, view) if detection else None

    def _look(self, pixels: NDArray[np.uint8], detection: Detection, view: View | None) -> _Look | None:
        landmarks = self._mesh.mesh(pixels, detection.region)
        return None if landmarks is None else _Look(detection, landmarks, view)

    def _full_range_score(self, pixels: NDArray[np.uint8], look: _Look) -> float:
        region = look.detection.region
        detection = _best_detection(self._mesh, look.view or close_to(pixels, region), region, DetectionRange.FULL)
        return detection.score if detection else 0.0


def _best_detection(
    mesh: FaceMesh, view: View | None, region: Region, detection_range: DetectionRange
) -> Detection | None:
    """Find the detection in a view that is of the face in a region [px of the picture]."""
    if view is None:
        return None
    found = (view.detection_in_picture(detection) for detection in mesh.find(view.pixels, detection_range))
    of_this = (detection for detection in found if _same(detection.region, region))
    return max(of_this, key=lambda detection: detection.score, default=None)


def _same(region: Region, other: Region) -> bool:
    return overlap(region, other) >= SAME_FACE_OVERLAP


def _known(region: Region, faces: Iterable[MeshFace]) -> bool:
    return any(face.region is not None and _same(region, face.region) for face in faces)


def _distinct(faces: Iterable[MeshFace]) -> list[MeshFace]:
    """Keep the first of faces that are the same."""
    kept: list[MeshFace] = []
    for face in faces:
        if face.region is None or not _known(face.region, kept):
            kept.append(face)
    return kept
