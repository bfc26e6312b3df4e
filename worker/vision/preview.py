"""A small JPEG of a photo, for people to look at and for overlays to be drawn on."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from worker.vision.decode import Photo

PREVIEW_SIDE_PX = 1280
"""The longer side of a preview [px]: fills a laptop's window, and a face in it can be judged by eye."""
PREVIEW_QUALITY = 85
"""The JPEG quality of a preview: artefacts are not seen at normal size, and a preview has 100 to 300 kB."""


def encode_preview(photo: Photo, max_side_px: int = PREVIEW_SIDE_PX, quality: int = PREVIEW_QUALITY) -> bytes:
    """Encode a photo as a small JPEG that carries nothing but pixels: no EXIF, no profile, no thumbnail.

    Parameters
    ----------
    photo : Photo
        The decoded photo; its pixels are used as they are, upright and perhaps at reduced scale.
    max_side_px : int
        The longer side, at most [px]. A smaller photo is not enlarged.
    quality : int
        JPEG quality, 1 to 95.

    Returns
    -------
    bytes
        A JPEG file. Its aspect ratio is that of the full photo to within a px, so a point of the full photo lies
        at the same fractions of width and height.
    """
    image = Image.fromarray(photo.pixels)
    image.thumbnail((max_side_px, max_side_px))
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
