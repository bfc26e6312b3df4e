"""Files made of so many parts that reading them costs more than any picture: refused before a decoder sees them.

Decoders bound the size of a part and the number of pixels, not the number of parts. What 20 MB did without these limits
(measured on one core): 6 s and 340 MB by a JPEG of empty comments, 11 s by one of fill bytes, over 30 s by EXIF in
pieces of a byte, 6 s and 180 MB by a PNG of empty chunks. A progressive JPEG can refine nothing again and again: 400
scans of 49 megapixels, in 320 kB, took 17 s.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

MAX_JPEG_SEGMENTS: Final = 500
"""Before the pixels. The largest metadata that 20 MB hold, in segments of 64 KB, are some 300."""
MAX_JPEG_STRAY_BYTES: Final = 65_536
"""Between those segments: fill bytes, or what is no segment; readers skip them one by one."""
MAX_JPEG_SCANS: Final = 64
"""Each goes over the whole picture again, 40 ms at 50 megapixels. libjpeg's own script has ten, and the optimiser of
mozjpeg tries 64 to keep a dozen."""
MAX_PNG_CHUNKS: Final = 20_000
"""Ten times what 20 MB are in libpng's pieces of 8 KB."""

_MARKER: Final = 0xFF
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_ALONE: Final = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))
"""Codes that no length follows: escaped data, TEM, restarts, start of image (ITU-T T.81, table B.1)."""
_START_OF_SCAN_MARKER: Final = b"\xff\xda"
_AFTER_ENTROPY_CODED: Final = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""What ends a scan's pixels: any marker but restarts; 0xFF in the pixels themselves has a zero behind it."""

_PNG_SIGNATURE_BYTES: Final = 8
_PNG_CHUNK_FRAME_BYTES: Final = 12
"""Length, type and checksum (PNG, 5.3)."""


def jpeg_excess(data: bytes) -> str | None:
    """Tell what a JPEG has too much of; None if nothing.

    Parameters
    ----------
    data : bytes
        A file that begins as a JPEG does.
    """
    n_segments = n_stray_bytes = 0
    at = 2
    while (marker_at := data.find(_MARKER, at)) >= 0:
        code_at = marker_at + 1
        while data[code_at : code_at + 1] == b"\xff" and code_at - at <= MAX_JPEG_STRAY_BYTES:
            code_at += 1
        n_stray_bytes += code_at - 1 - at
        if n_stray_bytes > MAX_JPEG_STRAY_BYTES:
            return f"more than {MAX_JPEG_STRAY_BYTES:,} bytes between its segments"
        code = int.from_bytes(data[code_at : code_at + 1], "big")
        if code in {_START_OF_SCAN, _END_OF_IMAGE}:
            break
        n_segments += 1
        if n_segments > MAX_JPEG_SEGMENTS:
            return f"more than {MAX_JPEG_SEGMENTS} segments before its pixels"
        at = code_at + 1
        if code not in _ALONE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return _excess_of_scans(data, at)


def _excess_of_scans(data: bytes, at: int) -> str | None:
    # A cheap bound first: thumbnails and other pictures behind this one have the same marker.
    if _count_pairs(data, _START_OF_SCAN_MARKER, at) <= MAX_JPEG_SCANS:
        return None
    n_scans = 0
    while found := _AFTER_ENTROPY_CODED.search(data, at):
        at = found.end()
        code = data[at - 1]
        if code == _END_OF_IMAGE:
            return None
        n_scans += code == _START_OF_SCAN
        if n_scans > MAX_JPEG_SCANS:
            return f"more than {MAX_JPEG_SCANS} scans"
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return None


def _count_pairs(data: bytes, pair: bytes, at: int) -> int:
    """Count a pair of two different bytes from a place on, in an eighth of the time that `bytes.count` takes."""
    wanted = np.frombuffer(pair, np.uint16)[0]
    starts = (start for start in (at, at + 1) if start + 2 <= len(data))
    return sum(
        int(np.count_nonzero(np.frombuffer(data, np.uint16, (len(data) - start) // 2, start) == wanted))
        for start in starts
    )


def png_excess(data: bytes) -> str | None:
    """Tell what a PNG has too much of; None if nothing.

    Parameters
    ----------
    data : bytes
        A file that begins as a PNG does.
    """
    at, n_chunks = _PNG_SIGNATURE_BYTES, 0
    while at < len(data):
        n_chunks += 1
        if n_chunks > MAX_PNG_CHUNKS:
            return f"more than {MAX_PNG_CHUNKS:,} chunks"
        at += _PNG_CHUNK_FRAME_BYTES + int.from_bytes(data[at : at + 4], "big")
    return None
