"""From a decoded picture as it is stored to one array of upright RGB pixels, a strip at a time.

The decoder's picture takes four bytes a pixel and the array three. Whatever lies between them, such as alpha over
white, a turn, or a copy on the way into numpy, is made for one strip only: a photo at the limit of pixels would else be
held three or four times over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from worker.vision.colours import to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_STRIP_PIXELS: Final = 1_000_000
"""Few enough to cost little, enough that a photo of 12 megapixels is a dozen strips."""
_CHANNELS: Final = 3

AXES_SWAPPED: Final = frozenset((5, 6, 7, 8))
"""Orientations in which the stored picture lies on its side."""
X_REVERSED: Final = frozenset((2, 3, 6, 7))
Y_REVERSED: Final = frozenset((3, 4, 7, 8))
"""Orientations after which upright x (or y) starts at the far end of the stored picture: its right or lower edge."""


def upright_pixels(image: Image.Image, orientation: int, *, mirrored: bool) -> NDArray[np.uint8]:
    """Turn a loaded picture upright, in RGB.

    Parameters
    ----------
    image : Image
        Of any mode that the accepted formats yield; its pixels are decoded.
    orientation : int
        How it is stored, 1 to 8 as EXIF counts.
    mirrored : bool
        Whether the upright picture is turned left to right besides.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3), read-only
        RGB, C-contiguous.
    """
    width, height = image.size
    upright: NDArray[np.uint8] = np.empty(
        (width, height, _CHANNELS) if orientation in AXES_SWAPPED else (height, width, _CHANNELS), np.uint8
    )
    as_stored = _as_stored(upright[:, ::-1] if mirrored else upright, orientation)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        as_stored[top:bottom] = np.asarray(to_rgb(image.crop((0, top, width, bottom))))
    upright.flags.writeable = False
    return upright


def _as_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return a view of upright pixels in which they lie as the file has them (EXIF 2.32, tag 0x0112)."""
    turned = upright.swapaxes(0, 1) if orientation in AXES_SWAPPED else upright
    # The stored picture's rows are upright columns where it lies on its side.
    x_reversed, y_reversed = orientation in X_REVERSED, orientation in Y_REVERSED
    rows_reversed, columns_reversed = (
        (x_reversed, y_reversed) if orientation in AXES_SWAPPED else (y_reversed, x_reversed)
    )
    return turned[:: -1 if rows_reversed else 1, :: -1 if columns_reversed else 1]
