"""Parts of a picture, turned by quarters and thinned out for a detector, and the way back to the picture.

Places are px of the picture, x to the right and y down, (0, 0) the centre of the first px. mediapipe reads regions so
too: a region turned in this way gives the same mesh as the picture turned upright, to 0.003 % of the eye distance; with
(0, 0) for the corner of the first px the mesh would move by up to 2 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi, remainder
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.vision.faces import Detection, Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

QUARTER_TURNS: Final = 4

CLOSE_LOOK: Final = 5 / 3
"""Side of a closer look over that of the face's region, which itself is 1.5 times the detector's box (mediapipe's
`face_detection_front_detection_to_roi.pbtxt`). A box and three quarters on each side is what a portrait shows, and
leaves room for a face whose box was placed upside down."""

TILE: Final = 5 / 8
"""Side of a tile over the picture's long side: two along each side share 40 % of their length, so that a face of up to
a quarter of the picture lies whole in one of them, and a face of 5 % fills 8 %, which the full-range detector sees."""

_ENOUGH_PX: Final = 512
"""Px along the long side of a view, at least, if the part has as many: the detectors read 128 and 192."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A part of a picture as it is handed to a detector.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, C-contiguous.
    left_px, top_px : int
        Where the part lies in the picture [px].
    part_width_px, part_height_px : int
        How large it is in the picture [px].
    step_px : int
        Each `step_px`-th px of each `step_px`-th row was taken.
    quarter_turns : int
        By how many quarters it was then turned anticlockwise, 0 to 3: a face that lies turned clockwise by as many
        stands upright in it.
    """

    pixels: NDArray[np.uint8]
    left_px: int
    top_px: int
    part_width_px: int
    part_height_px: int
    step_px: int
    quarter_turns: int

    def to_picture(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move points of the view, shape (n, 2), to the picture [px]."""
        height, width = self.pixels.shape[:2]
        if self.quarter_turns % 2:
            width, height = height, width
        last_x, last_y = width - 1, height - 1
        x, y = points[:, 0], points[:, 1]
        unturned = ((x, y), (last_x - y, x), (last_x - x, last_y - y), (y, last_y - x))[self.quarter_turns]
        in_picture: NDArray[np.float64] = np.stack(unturned, axis=1) * self.step_px + np.array(
            (self.left_px, self.top_px)
        )
        return in_picture

    def detection_in_picture(self, detection: Detection) -> Detection:
        """Move what was detected in the view to the picture."""
        region = detection.region
        [(x, y)] = self.to_picture(np.array([(region.centre_x_px, region.centre_y_px)]))
        angle = remainder(region.angle_rad + self.quarter_turns * pi / 2, 2 * pi)
        return replace(
            detection,
            keypoints=self.to_picture(detection.keypoints),
            width_px=detection.width_px * self.step_px,
            region=Region(
                float(x), float(y), region.width_px * self.step_px, region.height_px * self.step_px, float(angle)
            ),
        )


def view_of_part(
    pixels: NDArray[np.uint8], left_top_px: tuple[int, int], size_px: tuple[int, int], quarter_turns: int = 0
) -> View:
    """Cut a part out of a picture, thin it to what a detector needs, and turn it.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        The picture.
    left_top_px, size_px : tuple of int
        x and y of the part's upper left corner, its width and height [px]; it lies within the picture.
    quarter_turns : int
        How far to turn it anticlockwise, 0 to 3.

    Returns
    -------
    View
        With its own pixels.
    """
    (left, top), (width, height) = left_top_px, size_px
    step = max(1, max(width, height) // _ENOUGH_PX)
    part = np.rot90(pixels[top : top + height : step, left : left + width : step], quarter_turns)
    return View(np.ascontiguousarray(part), left, top, width, height, step, quarter_turns)


def whole(pixels: NDArray[np.uint8], quarter_turns: int = 0) -> View:
    """View the whole picture, turned."""
    height, width = pixels.shape[:2]
    return view_of_part(pixels, (0, 0), (width, height), quarter_turns)


def close_to(pixels: NDArray[np.uint8], region: Region, quarter_turns: int = 0) -> View | None:
    """View a face with some room around it; None when it lies outside the picture."""
    height, width = pixels.shape[:2]
    half = CLOSE_LOOK * max(region.width_px, region.height_px) / 2
    left, right = (_within(region.centre_x_px + offset, width) for offset in (-half, half))
    top, bottom = (_within(region.centre_y_px + offset, height) for offset in (-half, half))
    if left == right or top == bottom:
        return None
    return view_of_part(pixels, (left, top), (right - left, bottom - top), quarter_turns)


def tiles(pixels: NDArray[np.uint8]) -> Iterator[View]:
    """View a picture in two to four overlapping parts; one row or column where the picture is that narrow."""
    height, width = pixels.shape[:2]
    side = round(TILE * max(width, height))
    wide, high = min(side, width), min(side, height)
    for top in sorted({0, height - high}):
        for left in sorted({0, width - wide}):
            yield view_of_part(pixels, (left, top), (wide, high))


def _within(place: float, length: int) -> int:
    return round(min(max(place, 0), length))
