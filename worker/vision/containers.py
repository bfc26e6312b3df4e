"""What a file's container tells before any decoder is asked: pure bytes, for what decoders tell too late or not."""

from __future__ import annotations

_WEBP_SIDE_BITS = 0x3FFF  # a side of a VP8 or VP8L picture has 14 bits

_BOX_HEADER_BYTES = 8
_LARGE_BOX_HEADER_BYTES = 16
_SIZE_IS_LARGE = 1
_BOXES_WITH_PIXELS = frozenset((b"meta", b"mdat"))


def webp_canvas(data: bytes) -> tuple[int, int]:
    """Read the size of a WebP: the decoder takes the memory for all its pixels when it is opened.

    Parameters
    ----------
    data : bytes
        A file that begins as a WebP does.

    Returns
    -------
    tuple of int
        Width and height [px], by RFC 9649 (WebP), sections 2.5 to 2.7, and RFC 6386 (VP8), section 9.1. Nonsense,
        but no error, where the header is damaged: the decoder refuses such a file itself.
    """
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return (packed & _WEBP_SIDE_BITS) + 1, ((packed >> 14) & _WEBP_SIDE_BITS) + 1
    width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
    return width & _WEBP_SIDE_BITS, height & _WEBP_SIDE_BITS


def missing_bytes(data: bytes) -> int:
    """Count the bytes by which a HEIC or AVIF file is shorter than its own boxes say.

    libheif paints the tiles that it cannot find in one colour and reports no error, so a phone's photo that was cut
    short would pass as a whole one.

    Parameters
    ----------
    data : bytes
        A file that begins as an ISO-BMFF file does (ISO/IEC 14496-12, section 4.2).

    Returns
    -------
    int
        0 when the boxes that hold the picture are all there; whatever follows them is not looked at.
    """
    at = 0
    while at + _BOX_HEADER_BYTES <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == _SIZE_IS_LARGE:
            size = int.from_bytes(data[at + 8 : at + _LARGE_BOX_HEADER_BYTES], "big")
        if size < _BOX_HEADER_BYTES:  # 0 says "to the end of the file"; anything else is not a box
            return 0
        at += size
        if at > len(data) and kind in _BOXES_WITH_PIXELS:
            return at - len(data)
    return 0
