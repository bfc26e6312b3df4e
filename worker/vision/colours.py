"""One stated outcome for each kind of pixel: every decoded picture becomes 8-bit RGB.

=====================================  =====================================================================
In the file                            In `Photo.pixels`
=====================================  =====================================================================
8-bit RGB                              unchanged
grey, 1-bit                            R = G = B
16-bit grey (PNG), 10-bit grey (HEIC)  the high byte, R = G = B
16-bit RGB, RGBA, grey with alpha      the high byte of each channel, then as their 8-bit kin
palette                                the colours of the palette
alpha, palette alpha, one transparent  composited over white
colour (PNG `tRNS`)
CMYK, YCCK (JPEG)                      read inverted, as Adobe writes them, whether or not the file says so;
                                       R = (255 - C)(255 - K)/255 and so on, no ink profile
10- and 12-bit HEIC and AVIF           scaled to 8 bits
animation, several pictures            the first frame; in HEIC the primary picture
colour profile                         ignored: the numbers are kept as they are
=====================================  =====================================================================

32-bit integer and floating-point pixels cannot come out of the accepted formats.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_WHITE = 255


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded picture of any mode that the accepted formats yield to RGB, as the table above says.

    Parameters
    ----------
    image : Image
        A picture whose pixels are decoded.

    Returns
    -------
    Image
        The picture in mode RGB; the same object when it already was.
    """
    if image.mode.startswith("I;16"):
        return _high_byte(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _high_byte(image: Image.Image) -> Image.Image:
    """Take the high byte of 16-bit grey; Pillow's own conversion would clip every value above 255 to white."""
    grey = np.asarray(image)
    high = (grey >> 8).astype(np.uint8)
    if "transparency" in image.info:
        high[grey == image.info["transparency"]] = _WHITE
    return Image.fromarray(high).convert("RGB")
