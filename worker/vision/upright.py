"""From a decoded picture as it is stored to one array of upright RGB pixels, a strip at a time.

The decoder's picture takes four bytes a pixel and the array three. Whatever lies between them, such as alpha over
white, a turn, or a copy on the way into numpy, is made for one strip only: a photo at the limit of pixels would else be
held three or four times over. A strip is small enough for a processor's cache, and Pillow turns it there: written
sideways pixel by pixel, a photo of 12 megapixels would take three times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL.Image import Transpose

from worker.vision.colours import to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_STRIP_PIXELS: Final = 400_000
"""1.6 MB as Pillow holds them. See docs/performance-profiles.md."""
_CHANNELS: Final = 3

AXES_SWAPPED: Final = frozenset((5, 6, 7, 8))
"""Orientations in which the stored picture lies on its side."""
X_REVERSED: Final = frozenset((2, 3, 6, 7))
Y_REVERSED: Final = frozenset((3, 4, 7, 8))
"""Orientations after which upright x (or y) starts at the far end of the stored picture: its right or lower edge."""

_TURNS: Final = {
    (False, False, False): None,
    (False, True, False): Transpose.FLIP_LEFT_RIGHT,
    (False, True, True): Transpose.ROTATE_180,
    (False, False, True): Transpose.FLIP_TOP_BOTTOM,
    (True, False, False): Transpose.TRANSPOSE,
    (True, True, False): Transpose.ROTATE_270,
    (True, True, True): Transpose.TRANSVERSE,
    (True, False, True): Transpose.ROTATE_90,
}
"""How stored pixels become upright: by whether the axes are swapped, and upright x and y reversed."""


def upright_pixels(image: Image.Image, orientation: int, *, mirrored: bool) -> NDArray[np.uint8]:
    """Turn a loaded picture upright, in RGB.

    Parameters
    ----------
    image : Image
        Of any mode that the accepted formats yield; its pixels are decoded.
    orientation : int
        How it is stored, 1 to 8 as EXIF counts (EXIF 2.32, tag 0x0112).
    mirrored : bool
        Whether the upright picture is turned left to right besides.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3), read-only
        RGB, C-contiguous.
    """
    width, height = image.size
    swapped, y_reversed = orientation in AXES_SWAPPED, orientation in Y_REVERSED
    x_reversed = (orientation in X_REVERSED) != mirrored
    turn = _TURNS[swapped, x_reversed, y_reversed]
    upright: NDArray[np.uint8] = np.empty(
        (width, height, _CHANNELS) if swapped else (height, width, _CHANNELS), np.uint8
    )
    # A strip is some rows of the stored picture: columns of the upright one where that lies on its side.
    along_strips = upright.swapaxes(0, 1) if swapped else upright
    is_last_first = x_reversed if swapped else y_reversed
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        strip = to_rgb(image.crop((0, top, width, bottom)))
        pixels = np.asarray(strip if turn is None else strip.transpose(turn))
        first, end = (height - bottom, height - top) if is_last_first else (top, bottom)
        along_strips[first:end] = pixels.swapaxes(0, 1) if swapped else pixels
    upright.flags.writeable = False
    return upright
