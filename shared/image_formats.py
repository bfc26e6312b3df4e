"""Which image format some bytes are, judged by the bytes alone: names and content types are only claims."""

from __future__ import annotations

from enum import StrEnum

SNIFF_BYTES = 64
"""How many first bytes of a file decide its format: enough for the dozen brands of an ISO-BMFF file."""


class ImageFormat(StrEnum):
    """The image formats that the service accepts."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    HEIC = "heic"
    AVIF = "avif"


# ISO/IEC 23008-12 (HEIF), annexes B and E, and the AV1 Image File Format, section 6.
_HEVC_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"))
_AV1_BRANDS = frozenset((b"avif", b"avis"))
_STRUCTURAL_BRANDS = frozenset((b"mif1", b"msf1"))

_BRAND_BYTES = 4
_MAJOR_BRAND_AT = 8
_COMPATIBLE_BRANDS_AT = 16


def sniff_image_format(head: bytes) -> ImageFormat | None:
    """Tell the format of a file by its first bytes.

    Parameters
    ----------
    head : bytes
        The file's first bytes. Only the first `SNIFF_BYTES` are looked at; fewer are fine.

    Returns
    -------
    ImageFormat or None
        None when the bytes are none of the accepted formats. A format says that the file begins like one, not
        that it can be decoded.
    """
    head = head[:SNIFF_BYTES]
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    return None


def _format_of_brands(head: bytes) -> ImageFormat | None:
    """Tell the format of an ISO-BMFF file: by its major brand, or if that names no codec by the compatible ones."""
    box_end = int.from_bytes(head[:4], "big")
    major = head[_MAJOR_BRAND_AT : _MAJOR_BRAND_AT + _BRAND_BYTES]
    if major in _AV1_BRANDS:
        return ImageFormat.AVIF
    if major in _HEVC_BRANDS:
        return ImageFormat.HEIC
    listed = head[_COMPATIBLE_BRANDS_AT:box_end]
    brands = {major, *(listed[at : at + _BRAND_BYTES] for at in range(0, len(listed), _BRAND_BYTES))}
    if brands & _AV1_BRANDS:
        return ImageFormat.AVIF
    if brands & (_HEVC_BRANDS | _STRUCTURAL_BRANDS):
        return ImageFormat.HEIC
    return None
