"""The lens, as far as a photo tells: a pinhole with its focal length, how sure that is, and its centre."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite
from typing import Final, Literal

FULL_FRAME_DIAGONAL_MM: Final = 43.27
"""Of the 36 mm x 24 mm frame that "35 mm equivalent" refers to (CIPA DCG-001, EXIF 2.32 tag 0xA405)."""

EXIF_SD_FRACTION: Final = 0.05
"""One standard deviation of a focal length from EXIF. The tag is a whole number of millimetres (2 % at 26 mm); some
makers compare the long sides and not the diagonals, which differ by 4 % on a 4:3 sensor; lenses breathe by 1 to 3 %
when they focus on a face; and correcting the distortion crops a per cent or two."""
EXIF_OTHER_SHAPE_SD_FRACTION: Final = 0.15
"""The same in a frame that is neither 4:3 nor 3:2. Cameras crop those from a sensor of these shapes; some keep the tag
of the whole sensor, whose diagonal is 9 % longer than that of its 16:9 part and 18 % longer than that of its square."""
SENSOR_SHAPES: Final = (4 / 3, 3 / 2)

ASSUMED_FOCAL_FRACTION: Final = 0.75
"""Focal length over long side where nothing is known. Uncropped photos of phones have 0.66 to 0.75."""
ASSUMED_SD_FRACTION: Final = 0.30
"""One standard deviation of that assumption."""

FRAME_SHAPES: Final = (4 / 3, 3 / 2, 16 / 9, 18 / 9, 18.5 / 9, 19.5 / 9, 20 / 9)
"""Long side over short side of what cameras and phones take."""
_SAME_SHAPE: Final = 0.015
"""Sides are rounded to blocks and to handy numbers."""

CROPPED_FOCAL_FRACTION: Final = 1.5
"""The same of a frame of any other shape, which somebody cropped: a square that keeps all of the short side of a
phone's frame has 1.0, a head and shoulders cut out of it 1.5 to 2, a studio portrait of the same size 3 to 4."""
CROPPED_SD_FRACTION: Final = 0.50
"""One standard deviation of that: it spans the phones' squares and most of the studios."""


LONGER: Final = 1.01
"""A lens so much longer tells what a length or a ruler owes to the lens."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera.

    Attributes
    ----------
    focal_px : float
        Focal length [px of the full upright photo].
    focal_sd_px : float
        One standard deviation of it [px].
    centre_px : tuple of float
        Where the optical axis meets the photo, x and y [px]; (0, 0) is the centre of the first px.
    source : {"exif", "assumed"}
        Where the focal length is from.
    """

    focal_px: float
    focal_sd_px: float
    centre_px: tuple[float, float]
    source: Literal["exif", "assumed"]


def camera_of_photo(width_px: int, height_px: int, focal_35mm: float | None) -> Camera:
    """Tell the camera of a photo from its size and, where EXIF has it, its focal length.

    Parameters
    ----------
    width_px, height_px : int
        Size of the full upright photo [px].
    focal_35mm : float or None
        Focal length for a 35 mm film camera [mm], EXIF tag 0xA405. None where it is missing or where the photo is not
        the whole frame, since a crop keeps the tag and loses its meaning; 0 means unknown, as EXIF has it.

    Returns
    -------
    Camera
        Its centre is the middle of the frame, which for a crop is an assumption too.

    Raises
    ------
    ValueError
        If a side is not positive, or the focal length is negative or not finite.
    """
    if width_px <= 0 or height_px <= 0:
        raise ValueError(f"a photo has positive sides, not {width_px} x {height_px}")
    if focal_35mm is not None and not (isfinite(focal_35mm) and focal_35mm >= 0):
        raise ValueError(f"a focal length is finite and not negative, not {focal_35mm}")
    centre_px = ((width_px - 1) / 2, (height_px - 1) / 2)
    long_side_px, short_side_px = max(width_px, height_px), min(width_px, height_px)
    if focal_35mm:
        focal_px = focal_35mm * hypot(width_px, height_px) / FULL_FRAME_DIAGONAL_MM
        whole = _has_shape(long_side_px / short_side_px, SENSOR_SHAPES)
        sd_fraction = EXIF_SD_FRACTION if whole else EXIF_OTHER_SHAPE_SD_FRACTION
        return Camera(focal_px, sd_fraction * focal_px, centre_px, "exif")
    if _has_shape(long_side_px / short_side_px, FRAME_SHAPES):
        focal_px = ASSUMED_FOCAL_FRACTION * long_side_px
        return Camera(focal_px, ASSUMED_SD_FRACTION * focal_px, centre_px, "assumed")
    focal_px = CROPPED_FOCAL_FRACTION * long_side_px
    return Camera(focal_px, CROPPED_SD_FRACTION * focal_px, centre_px, "assumed")


def _has_shape(shape: float, shapes: tuple[float, ...]) -> bool:
    return any(abs(shape / one - 1) <= _SAME_SHAPE for one in shapes)
