"""What is known of a face in a picture: where a detector saw it, which square of px the mesh model read, its mesh.

Places are px of the picture handed in, x to the right and y down, (0, 0) the centre of the first px. Angles are in rad,
clockwise in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.measure.geometry import bounding_box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Region:
    """The turned square that the mesh model reads a face from.

    Attributes
    ----------
    centre_x_px, centre_y_px : float
        Its centre [px].
    width_px, height_px : float
        Its sides before the turn [px]; equal, but for rounding to float32 in the graph, which the mesh's last bits
        depend on.
    angle_rad : float
        How far it is turned clockwise: 0 where the eyes are level and the face is upright.
    """

    centre_x_px: float
    centre_y_px: float
    width_px: float
    height_px: float
    angle_rad: float

    def scaled(self, scale: float) -> Region:
        """Give the same region in the same picture with `scale` times as many px to a side."""
        half_block = (scale - 1) / 2  # a px stands for a block of finer ones and has its centre
        return Region(
            self.centre_x_px * scale + half_block,
            self.centre_y_px * scale + half_block,
            self.width_px * scale,
            self.height_px * scale,
            self.angle_rad,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face as a detector sees it.

    Attributes
    ----------
    score : float
        How sure the detector is, 0 to 1.
    keypoints : ndarray of float64, shape (6, 2)
        The subject's right eye, left eye, nose tip, mouth, right and left ear [px].
    width_px : float
        Width of the detector's box [px].
    region : Region
        Where the mesh model is to look.
    distinct : bool
        Whether it is the one that is kept among detections that overlap by half or more.
    """

    score: float
    keypoints: NDArray[np.float64]
    width_px: float
    region: Region
    distinct: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class MeshFace:
    """One face as the mesh model sees it.

    Attributes
    ----------
    landmarks : ndarray of float64, shape (478, 3), read-only
        x to the right, y down and z away from the camera [px of the picture handed in]; z is relative to the head's
        centre and of the scale of x.
    confidence : float
        The face detector's score, 0.5 to 1.
    region : Region or None
        What the mesh model read, to look at the same face again at another scale; None where nobody will.
    """

    landmarks: NDArray[np.float64]
    confidence: float
    region: Region | None = None


def largest_first(face: MeshFace) -> tuple[float, float, float, float]:
    """Sort faces by the area of the bounding box, equal ones by confidence, then from the left, then from the top."""
    box = bounding_box(face.landmarks)
    return (-box.area, -face.confidence, box.x, box.y)


def overlap(one: Region, other: Region) -> float:
    """Measure the intersection of two regions over their union, 0 to 1, as if both were upright.

    The turn is left out: the same face found twice gives squares about the same centre, whatever their angles.
    """
    wide = _shared(one.centre_x_px, one.width_px, other.centre_x_px, other.width_px)
    high = _shared(one.centre_y_px, one.height_px, other.centre_y_px, other.height_px)
    both = wide * high
    return both / (one.width_px * one.height_px + other.width_px * other.height_px - both)


def _shared(one_centre: float, one_length: float, other_centre: float, other_length: float) -> float:
    begin = max(one_centre - one_length / 2, other_centre - other_length / 2)
    end = min(one_centre + one_length / 2, other_centre + other_length / 2)
    return max(0.0, end - begin)
