"""The catalogue of hostile archives: what each is, and what becomes of it as a whole or of its entries."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests import files
from tests.zips import (
    DESCRIPTOR,
    ENCRYPTED,
    LINK,
    PIPE,
    UTF_8,
    Member,
    lying_directory,
    nested_headers_zip,
    overlapping_zip,
    plain_zip,
    zip_of,
)

INVALID = "archive_invalid"
REFUSED = "archive_entry_refused"
CORRUPT = "corrupt_image"
UNSUPPORTED = "unsupported_format"
LARGE = "image_too_large"
TAKEN = "taken"

GOOD = Member("good.jpg", files.encoded(files.quadrants(96, 80), "JPEG"))
"""Beside whatever else is in an archive, to show that it is taken all the same."""
PHOTO = GOOD.data


@dataclass(frozen=True)
class ZipCase:
    """One archive.

    Attributes
    ----------
    name : str
        What it is.
    make : callable
        Returns its bytes.
    code : str
        `INVALID` if it is refused whole; else what becomes of its odd entries, `GOOD` aside: `TAKEN` or why they are
        rejected.
    is_costly : bool
        Whether making or reading it takes a second.
    """

    name: str
    make: Callable[[], bytes]
    code: str
    is_costly: bool = False


def _entry(name: str, member: Member, code: str) -> ZipCase:
    return ZipCase(name, lambda: zip_of([member, GOOD]), code)


def _ratio_bomb() -> bytes:
    """Pack 10 entries of the largest photo size, all zeros behind the first bytes: a thousand to one."""
    return zip_of(Member(f"{n}.jpg", PHOTO + bytes(19_000_000)) for n in range(10))


def _repeated(times: int, unpackable_bytes: int = 0) -> bytes:
    """Write an entry of the largest size again and again, without packing it again."""
    noise = random.Random(0).randbytes(unpackable_bytes)
    one = Member("", PHOTO + noise + bytes(20_000_000 - len(PHOTO) - len(noise)))
    packed = one.packed()
    crc = zlib.crc32(one.data)
    body, directory = bytearray(), bytearray()
    for number in range(times):
        name = f"{number}.jpg".encode()
        facts = struct.pack("<5H3I2H", 20, UTF_8, 8, 0, 0, crc, len(packed), len(one.data), len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 0x314) + facts
        directory += struct.pack("<3H2I", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + facts + name + packed
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, times, times, len(directory), len(body), 0)
    return bytes(body + directory + end)


def _name_of_65_535_bytes() -> bytes:
    return zip_of([Member("a" * 65_531 + ".jpg", PHOTO), GOOD])


ZIP_CASES: tuple[ZipCase, ...] = (
    # Whole archives
    ZipCase("empty file", bytes, INVALID),
    ZipCase("a photo, no zip", lambda: PHOTO, INVALID),
    ZipCase("RAR", lambda: b"Rar!\x1a\x07\x01\x00" + bytes(1000), INVALID),
    ZipCase("nothing in it", lambda: plain_zip({}), INVALID),
    ZipCase("cut short", lambda: plain_zip({"a.jpg": PHOTO})[:-30], INVALID),
    ZipCase("entries on the same bytes", lambda: overlapping_zip(PHOTO, 50), INVALID),
    ZipCase("entries within entries (Fifield)", lambda: nested_headers_zip(PHOTO, 50), INVALID),
    ZipCase("entry that runs into the directory", lambda: zip_of([Member("a.jpg", PHOTO, packed_size=10**6)]), INVALID),
    ZipCase("offset beyond the file", lambda: zip_of([GOOD, Member("a.jpg", PHOTO, offset=10**6)]), INVALID),
    ZipCase("directory that says 2 GB", lambda: zip_of([GOOD], directory_size=0x7FFFFFFF), INVALID),
    ZipCase("directory of 100,000 records that says one", lambda: lying_directory(100_000, 1), INVALID, is_costly=True),
    ZipCase("zip64 that promises 2⁴⁰ bytes", lambda: zip_of([Member("a.jpg", PHOTO, size=2**40, zip64=True)]), INVALID),
    ZipCase("10,001 photos", lambda: zip_of(Member(f"{n}.jpg", b"x") for n in range(10_001)), INVALID, is_costly=True),
    ZipCase("more than 4 GB promised", lambda: _repeated(201), INVALID, is_costly=True),
    ZipCase("name that is not the UTF-8 it says", lambda: zip_of([Member(b"\xff\xfe.jpg", PHOTO)]), INVALID),
    ZipCase("needs version 9.9", lambda: zip_of([Member("a.jpg", PHOTO, version=99)]), INVALID),
    ZipCase("manifest that is not UTF-8", lambda: plain_zip({"manifest.csv": b"\xff\xfe", "a.jpg": PHOTO}), INVALID),
    # Entries
    _entry("climbs out (zip slip)", Member("../../a.jpg", PHOTO), REFUSED),
    _entry("absolute path", Member("/etc/a.jpg", PHOTO), REFUSED),
    _entry("drive letter", Member("C:/a.jpg", PHOTO), REFUSED),
    _entry("backslashes", Member("..\\a.jpg", PHOTO), REFUSED),
    _entry("NUL in its name", Member("a\0b.jpg", PHOTO), REFUSED),
    _entry("line break in its name", Member("a\nb.jpg", PHOTO), REFUSED),
    _entry("text turned round in its name", Member("a\u202egpj.exe", PHOTO), REFUSED),
    _entry("no name", Member("", PHOTO), REFUSED),
    ZipCase("name of 65,535 bytes", _name_of_65_535_bytes, REFUSED),
    _entry("same name again", Member("good.jpg", PHOTO + b"second"), REFUSED),
    _entry("link", Member("a.jpg", b"/etc/passwd", attributes=LINK), REFUSED),
    _entry("pipe", Member("a.jpg", b"", attributes=PIPE), REFUSED),
    _entry("encrypted", Member("a.jpg", PHOTO, flags=UTF_8 | ENCRYPTED), REFUSED),
    _entry("LZMA", Member("a.jpg", PHOTO, method=14), REFUSED),
    _entry("method 99", Member("a.jpg", PHOTO, method=99), REFUSED),
    _entry("zip within, by name", Member("a.zip", PHOTO), REFUSED),
    _entry("zip within, by its bytes", Member("a.jpg", plain_zip({"b.jpg": PHOTO})), REFUSED),
    _entry("empty", Member("a.jpg", b""), UNSUPPORTED),
    _entry("no photo", Member("a.jpg", b"This is no photo."), UNSUPPORTED),
    _entry("over 20 MB unpacked", Member("a.jpg", PHOTO + bytes(20_000_000)), LARGE),
    _entry("wrong checksum", Member("a.jpg", PHOTO, crc=1), CORRUPT),
    _entry("less than promised", Member("a.jpg", PHOTO, size=len(PHOTO) + 1), CORRUPT),
    _entry("more than promised", Member("a.jpg", PHOTO, size=len(PHOTO) - 1), CORRUPT),
    _entry("50 MB that promise 900 bytes", Member("a.jpg", PHOTO + bytes(50_000_000), size=900), CORRUPT),
    _entry("another name in its own header", Member("a.jpg", PHOTO, header_name=b"b.jpg"), CORRUPT),
    _entry("data descriptor", Member("a.jpg", PHOTO, flags=UTF_8 | DESCRIPTOR), TAKEN),
    _entry("data descriptor, promises too little", Member("a.jpg", PHOTO, flags=UTF_8 | DESCRIPTOR, size=9), CORRUPT),
    _entry("Cyrillic, Chinese and Arabic", Member("лицо/顔/وجه.jpg", PHOTO), TAKEN),
    _entry("polyglot: a JPEG with a zip behind it", Member("a.jpg", files.jpeg_and_zip()), TAKEN),
    ZipCase("10 photos of 19 MB in 190 kB", _ratio_bomb, TAKEN, is_costly=True),
    ZipCase("10,000 photos", lambda: zip_of(Member(f"{n}.jpg", PHOTO) for n in range(10_000)), TAKEN, is_costly=True),
    ZipCase("3.98 GB out of 4 MB", lambda: _repeated(199), INVALID, is_costly=True),
    ZipCase("3.98 GB out of 190 MB", lambda: _repeated(199, 950_000), TAKEN, is_costly=True),
)
