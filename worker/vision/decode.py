"""The only door to image decoding: untrusted bytes in, upright RGB pixels out, or the reason why not.

The order is what protects the process: the number of bytes, the format by its first bytes, the size by its
header, and only then pixels. One vendor decodes everything: Pillow, with pillow-heif for HEIC.

What becomes of each kind of pixel is said in `worker/vision/colours.py`.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
from PIL import AvifImagePlugin, Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shared.errors import CorruptImage, ImageTooLarge, ImageTooSmall, UnsupportedFormat
from shared.image_formats import SNIFF_BYTES, ImageFormat, sniff_image_format
from worker.vision.containers import missing_bytes, webp_canvas
from worker.vision.excess import jpeg_excess, png_excess
from worker.vision.exif import DAMAGE_ERRORS, UPRIGHT, Exif
from worker.vision.upright import AXES_SWAPPED, X_REVERSED, Y_REVERSED, upright_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

REDUCTIONS = (1, 2, 4, 8)
"""The denominators by which libjpeg can shrink a JPEG while it decodes it."""

# Worker processes share the cores among themselves; threads inside one would only make them wait.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pillow_heif.options.DECODE_THREADS = 1
# Nobody looks at these, so their bytes need not be believed either.
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


class _Jpeg(JpegImageFile):
    """A JPEG whose EXIF is not read while it is opened: nonsense there would make Pillow refuse the picture."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _WebP(WebPImageFile):
    """A WebP whose decoder, which holds two canvases of its own, is let go once the first frame is there."""

    def _get_next(self) -> tuple[bytes, int, int]:
        frame = super()._get_next()
        del self._decoder
        return frame


# Each format has its own opener, called directly instead of through `Image.open`: no other plugin ever sees the
# bytes, nothing is registered globally, and Pillow's own guard against large images does not warn beside ours.
_OPENERS: dict[ImageFormat, Callable[[BytesIO], ImageFile]] = {
    ImageFormat.JPEG: _Jpeg,
    ImageFormat.PNG: PngImageFile,
    ImageFormat.WEBP: _WebP,
    ImageFormat.HEIC: pillow_heif.HeifImageFile,
    ImageFormat.AVIF: AvifImageFile,
}

_EXCESSES = {ImageFormat.JPEG: jpeg_excess, ImageFormat.PNG: png_excess}


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a photo may be.

    Attributes
    ----------
    max_bytes : int
        Bytes of the file, at most.
    max_pixels : int
        Width times height of the full picture, at most.
    min_side_px : int
        The shorter side of the full picture, at least [px].
    """

    max_bytes: int
    max_pixels: int
    min_side_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo, upright, perhaps at reduced scale.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, C-contiguous, read-only, upright; `h` and `w` are the full sizes over `reduction`, rounded up.
    width_px, height_px : int
        Size of the full upright photo [px].
    reduction : int
        How many px of the full photo one px of `pixels` is wide and high: 1, 2, 4 or 8.
    format : ImageFormat
        What the file was.
    exif_orientation : int
        The turn, 1 to 8 as EXIF counts them, that was applied to the stored pixels; 1 when the file names none
        or nonsense. AVIF names it in the container; in HEIC the decoder has already applied it, so it is 1.
    focal_35mm : float, optional
        The lens, as the focal length that gives this view on 35 mm film [mm]; None when the file does not say, or
        says it of a larger frame.
    mirrored : bool
        Whether the upright picture was turned left to right, as it was asked for.
    """

    pixels: NDArray[np.uint8]
    width_px: int
    height_px: int
    reduction: int
    format: ImageFormat
    exif_orientation: int
    focal_35mm: float | None = None
    mirrored: bool = False

    def to_full_px(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Move points from `pixels` to the full upright photo.

        A reduced px stands for a block of `reduction` full ones and has its centre, hence half a px. Where a side
        is not divisible, the stored picture's last block hangs over its edge; a turn can bring that edge to the
        front, and everything then lies nearer to the origin by what hangs over.

        Parameters
        ----------
        points : ndarray, shape (n, 2) or (n, 3)
            x, y and perhaps z [px of `pixels`]; x to the right, y down, (0, 0) the centre of the first px.

        Returns
        -------
        ndarray of float64, same shape
            The same points [px of the full photo], in the same convention; z is scaled only.
        """
        height, width = self.pixels.shape[:2]
        x_reversed = (self.exif_orientation in X_REVERSED) != self.mirrored
        overhang_x = width * self.reduction - self.width_px if x_reversed else 0
        overhang_y = height * self.reduction - self.height_px if self.exif_orientation in Y_REVERSED else 0
        half_block = (self.reduction - 1) / 2
        full = np.asarray(points, dtype=np.float64) * self.reduction
        full[..., 0] += half_block - overhang_x
        full[..., 1] += half_block - overhang_y
        return full


def decode_photo(
    data: bytes,
    limits: DecodeLimits,
    *,
    long_side_px: int | None = None,
    reduction: int | None = None,
    mirrored: bool = False,
) -> Photo:
    """Decode a photo upright, in RGB; a JPEG perhaps at reduced scale, which costs a fraction of the time.

    Parameters
    ----------
    data : bytes
        The whole file.
    limits : DecodeLimits
        What the photo may be.
    long_side_px : int, optional
        Decode a JPEG by the largest reduction that leaves its long side at least this long [px].
    reduction : int, optional
        Decode a JPEG by this one of `REDUCTIONS`, or by the largest below it that leaves each side a px.
        Without either, and in every other format, the photo is decoded in full.
    mirrored : bool
        Whether the photo is stored as seen in a mirror; the upright picture is then turned left to right.

    Returns
    -------
    Photo
        The pixels, what they are of, and the way back to the full photo.

    Raises
    ------
    UnsupportedFormat
        When the first bytes are none of the accepted formats.
    ImageTooLarge, ImageTooSmall
        When the file or, by its header, the picture is outside the limits; nothing has been decoded then.
    CorruptImage
        When the file is cut short or damaged so that it cannot be decoded.
    ValueError
        When both `long_side_px` and `reduction` are given, or a `reduction` that is none.
    """
    if reduction is not None and (long_side_px is not None or reduction not in REDUCTIONS):
        raise ValueError(f"Give either long_side_px or one of the reductions {REDUCTIONS}, not {reduction}.")
    image_format = _accepted_format(data, limits)
    _check_container(data, image_format, limits)
    with _file_at_fault(image_format, data):
        image = _OPENERS[image_format](BytesIO(data))
    stored_size = image.size
    _check_size(stored_size, limits)
    applied = _reduce_on_decode(image, long_side_px, reduction)
    with _file_at_fault(image_format, data):
        image.load()
    exif = Exif(image.info.get("exif"))
    # libheif has turned the pixels of a HEIC, and what its EXIF says of them does not count.
    orientation = UPRIGHT if image_format is ImageFormat.HEIC else exif.orientation
    if applied == 1:
        stored_size = image.size  # libheif may learn the true size only while it decodes
        _check_size(stored_size, limits)
    pixels = upright_pixels(image, orientation, mirrored=mirrored)
    width_px, height_px = reversed(stored_size) if orientation in AXES_SWAPPED else stored_size
    focal_35mm = exif.focal_length_35mm(stored_size)
    return Photo(pixels, width_px, height_px, applied, image_format, orientation, focal_35mm, mirrored)


def _accepted_format(data: bytes, limits: DecodeLimits) -> ImageFormat:
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"The file has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted.")
    if not data:
        raise UnsupportedFormat("The file is empty.")
    image_format = sniff_image_format(data[:SNIFF_BYTES])
    if image_format is None:
        raise UnsupportedFormat("By its first bytes the file is no JPEG, PNG, WebP, HEIC or AVIF.")
    return image_format


def _check_container(data: bytes, image_format: ImageFormat, limits: DecodeLimits) -> None:
    """Judge what the decoder would tell too late, or not at all."""
    if image_format is ImageFormat.WEBP:
        _check_size(webp_canvas(data), limits)
    elif image_format in {ImageFormat.HEIC, ImageFormat.AVIF} and (missing := missing_bytes(data)):
        raise CorruptImage(
            f"The file is cut short: it has {len(data):,} bytes, and at least {missing:,} more belong to it."
        )
    elif image_format in _EXCESSES and (excess := _EXCESSES[image_format](data)):
        raise CorruptImage(f"The file has {excess}, as no photo has.")


def _check_size(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"The photo is {width:,} x {height:,} px, which is {width * height:,} pixels;"
            f" at most {limits.max_pixels:,} are accepted."
        )
    if min(size) < limits.min_side_px:
        raise ImageTooSmall(
            f"The photo is {width:,} x {height:,} px; each side must have at least {limits.min_side_px:,} px."
        )


@contextmanager
def _file_at_fault(image_format: ImageFormat, data: bytes) -> Iterator[None]:
    """Raise what a decoder says about a file as `CorruptImage`; keep its warnings about metadata quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Image.DecompressionBombError as exc:  # within limits set wider than what Pillow opens
            raise ImageTooLarge("The photo has more pixels than can be decoded.") from exc
        except DAMAGE_ERRORS as exc:
            raise CorruptImage(
                f"The file begins as {image_format.upper()} does, but it cannot be decoded:"
                f" its {len(data):,} bytes are damaged or not all of the file."
            ) from exc


def _reduce_on_decode(image: ImageFile, long_side_px: int | None, reduction: int | None) -> int:
    """Have a JPEG decoded at reduced scale; return the reduction, 1 for every other format."""
    if not isinstance(image, JpegImageFile):
        return 1
    width, height = image.size
    possible = [step for step in REDUCTIONS if step <= min(width, height)]
    if long_side_px is not None:
        wanted = [step for step in possible if ceil(max(width, height) / step) >= long_side_px]
    else:
        wanted = [step for step in possible if step <= (reduction or 1)]
    chosen = max(wanted, default=1)
    image.draft(None, (width // chosen, height // chosen))
    return chosen
