"""Damage to files, by what they are made of: parts left out, doubled, swapped, borrowed; lengths that lie; bits turned.

Everything comes from the generator that is handed in: the same seed damages alike.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable

PARTS_SPLIT = re.compile(
    rb"(?=\xff[\xc0-\xfe])"  # segments of JPEG
    rb"|(?=PK[\x01-\x08][\x02-\x08])"  # records of zip
    rb"|(?=....(?:IHDR|PLTE|tRNS|iCCP|eXIf|zTXt|iTXt|acTL|fcTL|fdAT|IDAT|IEND))"  # chunks of PNG
    rb"|(?=VP8[ XL]|ALPH|ANIM|ANMF|EXIF|XMP )"  # chunks of WebP
    rb"|(?=....(?:ftyp|meta|hdlr|pitm|iloc|iinf|infe|iref|iprp|ipco|ipma|ispe|hvcC|av1C|pixi|irot|imir|colr|grid|mdat"
    rb"|moov|trak|mdhd|stbl|stsz|stco))"  # boxes of HEIC and AVIF
    rb'|(?=[\[\]{},:"\n])'  # JSON and CSV
    rb"|(?=--limit)",  # forms
    re.DOTALL,
)
LIES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS = (
    b'"',
    b"\\u",
    b"\\ud800",
    b"{" * 50,
    b"[" * 2000,
    b"1e999",
    b"9" * 5000,
    b"NaN",
    b"\xff",
    b"\0",
    b"\r\n",
    b"--limit",
)
MAX_CHANGES = 6
MAX_GROWTH_BYTES = 300_000


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return `data` with one to six changes, some of them borrowed from `other`."""
    for _ in range(rng.randint(1, MAX_CHANGES)):
        data = rng.choice(CHANGES)(data, other, rng)[:MAX_GROWTH_BYTES]
    return with_checksums(data) if data.startswith(b"\x89PNG") and rng.random() < 0.8 else data


def parts(data: bytes) -> list[bytes]:
    return [part for part in PARTS_SPLIT.split(data) if part]


def _leave_out(data: bytes, _: bytes, rng: random.Random) -> bytes:
    found = parts(data) or [data]
    at = rng.randrange(len(found))
    return b"".join(found[:at] + found[at + rng.randint(1, 3) :])


def _double(data: bytes, _: bytes, rng: random.Random) -> bytes:
    found = parts(data) or [data]
    at = rng.randrange(len(found))
    return b"".join([*found[:at], found[at] * rng.choice((2, 2, 3, 20)), *found[at + 1 :]])


def _swap(data: bytes, _: bytes, rng: random.Random) -> bytes:
    found = parts(data) or [data]
    one, two = rng.randrange(len(found)), rng.randrange(len(found))
    found[one], found[two] = found[two], found[one]
    return b"".join(found)


def _borrow(data: bytes, other: bytes, rng: random.Random) -> bytes:
    found, theirs = parts(data) or [data], parts(other) or [other]
    found.insert(rng.randrange(len(found) + 1), rng.choice(theirs))
    return b"".join(found)


def _lie(data: bytes, _: bytes, rng: random.Random) -> bytes:
    """Set a number of any width and order within the first bytes of a part: lengths, counts and sizes are there."""
    found = parts(data) or [data]
    at = rng.randrange(len(found))
    form = rng.choice((">H", "<H", ">I", "<I", ">Q", "<Q", "B"))
    width = struct.calcsize(form)
    number = struct.pack(form, rng.choice(LIES) & (1 << 8 * width) - 1)
    where = rng.randrange(24)
    found[at] = found[at][:where] + number + found[at][where + width :]
    return b"".join(found)


def _turn_bits(data: bytes, _: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _n in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set_bytes(data: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    what = rng.choice((rng.randbytes(rng.randint(1, 16)), *WORDS))
    return data[:at] + what + data[at + rng.choice((0, len(what))) :]


def _cut(data: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] if rng.random() < 0.5 else data[:at] + data[at + rng.randint(1, 64) :]


def _splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


Change = Callable[[bytes, bytes, random.Random], bytes]
CHANGES: tuple[Change, ...] = (
    *(_leave_out, _double, _swap, _borrow, _lie, _lie, _lie),
    *(_turn_bits, _turn_bits, _set_bytes, _set_bytes, _cut, _splice),
)


def with_checksums(data: bytes) -> bytes:
    """Mend the checksums of a PNG's chunks, so that the damage in them is looked at."""
    at, mended = 8, [data[:8]]
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            break
        body = data[at + 4 : at + 8 + size]
        mended += [data[at : at + 4], body, zlib.crc32(body).to_bytes(4, "big")]
        at += 12 + size
    return b"".join([*mended, data[at:]])
