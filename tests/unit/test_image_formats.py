"""A file's format is told by its first bytes, and by nothing else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.image_formats import SNIFF_BYTES, ImageFormat, sniff_image_format
from tests import files


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    """Write the first box of an ISO-BMFF file."""
    return struct.pack(">I4s4sI", 16 + 4 * len(compatible), b"ftyp", major, 0) + b"".join(compatible)


@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_real_files_are_told_by_their_first_bytes(image_format: ImageFormat) -> None:
    data = files.encoded(files.quadrants(), image_format.upper())

    assert sniff_image_format(data[:SNIFF_BYTES]) is image_format
    assert sniff_image_format(data) is image_format


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (ftyp(b"heic", b"mif1"), ImageFormat.HEIC),
        (ftyp(b"heix"), ImageFormat.HEIC),
        (ftyp(b"hevc", b"msf1"), ImageFormat.HEIC),
        (ftyp(b"heim"), ImageFormat.HEIC),
        (ftyp(b"heis"), ImageFormat.HEIC),
        (ftyp(b"hevm"), ImageFormat.HEIC),
        (ftyp(b"hevs"), ImageFormat.HEIC),
        (ftyp(b"mif1", b"heic", b"miaf"), ImageFormat.HEIC),
        (ftyp(b"mif1"), ImageFormat.HEIC),
        (ftyp(b"msf1", b"hevc"), ImageFormat.HEIC),
        (ftyp(b"miaf", b"mif1", b"heic"), ImageFormat.HEIC),
        (ftyp(b"avif"), ImageFormat.AVIF),
        (ftyp(b"avis", b"msf1"), ImageFormat.AVIF),
        (ftyp(b"mif1", b"miaf", b"avif"), ImageFormat.AVIF),
        (ftyp(b"msf1", b"avis"), ImageFormat.AVIF),
        (ftyp(b"heic", b"avif"), ImageFormat.HEIC),
        (ftyp(b"isom", b"iso2", b"avc1", b"mp41"), None),
        (ftyp(b"crx ", b"isom"), None),
        # a brand that stands after the box is not one of its brands
        (ftyp(b"isom") + b"avif", None),
    ],
)
def test_brands_tell_heic_from_avif_and_both_from_video(head: bytes, expected: ImageFormat | None) -> None:
    assert sniff_image_format(head) is expected


@pytest.mark.parametrize(
    "head",
    [
        files.empty(),
        files.plain_text(),
        files.html(),
        b"\xff\xd8",
        b"\x89PNG\r\n",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"GIF89a",
        b"BM\x00\x00",
        b"II*\x00",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x00\x00\x00\x1cftyp",
    ],
)
def test_everything_else_is_none(head: bytes) -> None:
    assert sniff_image_format(head) is None


def test_only_the_first_bytes_count() -> None:
    photo = files.encoded(files.quadrants(), "PNG")

    assert sniff_image_format(photo[:8] + files.html()) is ImageFormat.PNG
    assert sniff_image_format(b"\n" + photo) is None


@given(st.binary(max_size=2 * SNIFF_BYTES))
def test_no_bytes_are_an_error_and_none_beyond_the_head_matter(data: bytes) -> None:
    assert sniff_image_format(data) is sniff_image_format(data[:SNIFF_BYTES])


@given(st.binary(min_size=3, max_size=SNIFF_BYTES))
def test_no_boxes_are_an_error(data: bytes) -> None:
    assert sniff_image_format(b"\x00" + data[:3] + b"ftyp" + data[3:]) in {None, ImageFormat.HEIC, ImageFormat.AVIF}
