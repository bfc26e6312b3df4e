"""What a photo's EXIF says of how it was taken: the turn to be upright, and the lens.

EXIF is written by anyone and often nonsense; whatever cannot be right counts as not said.
"""

from __future__ import annotations

import struct
import warnings
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Final

from PIL import Image
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as ExifTag

if TYPE_CHECKING:
    from collections.abc import Mapping

UPRIGHT: Final = 1
"""EXIF 2.32, tag 0x0112: the stored picture is upright as it is."""
LAST_ORIENTATION: Final = 8

FOCAL_LENGTH_35MM: Final = (10.0, 300.0)
"""[mm] Wider than any lens that keeps straight lines straight, or longer than any portrait needs: not believed."""
_SAME_SHAPE: Final = 0.01
"""How far the two aspect ratios of an uncropped frame may be apart: stored sizes are rounded to whole blocks."""
_NEARLY_SAME_SIZE: Final = 1.02

# What Pillow, libavif and libheif were read or seen to raise on damaged files. MemoryError is left out on
# purpose: that says something about the machine, so the job is tried again.
DAMAGE_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
)


class Exif:
    """The EXIF block of one picture."""

    def __init__(self, block: bytes | None) -> None:
        self._tags: Mapping[int, object] = {}
        self._photo_tags: Mapping[int, object] = {}
        with warnings.catch_warnings(), suppress(*DAMAGE_ERRORS):
            warnings.simplefilter("ignore")  # Pillow's opinion of the block
            exif = Image.Exif()
            exif.load(block or b"")
            self._tags = dict(exif)
            self._photo_tags = dict(exif.get_ifd(IFD.Exif))

    @property
    def orientation(self) -> int:
        """How the stored picture must be turned to be upright, 1 to 8; 1 when EXIF says nothing or nonsense."""
        said = self._tags.get(ExifTag.Orientation)
        return said if isinstance(said, int) and UPRIGHT <= said <= LAST_ORIENTATION else UPRIGHT

    def focal_length_35mm(self, stored_size_px: tuple[int, int]) -> float | None:
        """Return the focal length that would give this view on 35 mm film, if the frame is the one the camera took.

        Parameters
        ----------
        stored_size_px : tuple of int
            Width and height of the picture as it is stored [px].

        Returns
        -------
        float or None
            [mm]. None when it is not said, cannot be right, or the frame was cropped or zoomed after it: EXIF keeps
            the size of the camera's frame (PixelXDimension, PixelYDimension) beside it. A smaller copy of the whole
            frame has the same shape, and then the value holds.

        Notes
        -----
        A crop that keeps the shape and whose program also rewrote the size is not seen here.
        """
        said = _number(self._photo_tags.get(ExifTag.FocalLengthIn35mmFilm))
        if said is None or not FOCAL_LENGTH_35MM[0] <= said <= FOCAL_LENGTH_35MM[1]:
            return None
        zoom = _number(self._photo_tags.get(ExifTag.DigitalZoomRatio))
        if zoom is not None and zoom > _NEARLY_SAME_SIZE:
            return None  # makers differ in whether the value has the zoom in it
        taken = [_number(self._photo_tags.get(tag)) for tag in (ExifTag.ExifImageWidth, ExifTag.ExifImageHeight)]
        if None in taken or 0 in taken:
            return None
        long_side, short_side = max(filter(None, taken)), min(filter(None, taken))
        if long_side < max(stored_size_px) / _NEARLY_SAME_SIZE:
            return None  # larger than what was taken: enlarged, or not this picture's
        shape = max(stored_size_px) / min(stored_size_px)
        return said if abs(long_side / short_side / shape - 1) <= _SAME_SHAPE else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever the file holds
    except DAMAGE_ERRORS:
        return None
    return number if isfinite(number) else None
