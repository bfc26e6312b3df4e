"""Zips written byte by byte, so that they can say what no tool would let them say."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

UTF_8 = 0x800
ENCRYPTED = 0x1
DESCRIPTOR = 0x8
DEFLATE = 8
LINK = stat.S_IFLNK << 16 | 0o777 << 16
PIPE = stat.S_IFIFO << 16
_BIG = 0xFFFFFFFF


@dataclass(frozen=True)
class Member:
    """An entry; what is None is told truthfully."""

    name: str | bytes
    data: bytes = b""
    method: int = DEFLATE
    flags: int = UTF_8
    attributes: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    header_name: bytes | None = None
    offset: int | None = None
    version: int = 20
    zip64: bool = False

    @property
    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name

    def packed(self) -> bytes:
        if self.method != DEFLATE:
            return self.data
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(self.data) + packer.flush()


def zip_of(
    members: Iterable[Member],
    *,
    count: int | None = None,
    directory_size: int | None = None,
    comment: bytes = b"",
    prefix: bytes = b"",
) -> bytes:
    """Write an archive: entries, directory, end record; `count` and `directory_size` are lies about the directory."""
    body = bytearray(prefix)
    directory = bytearray()
    n_records = 0
    for member in members:
        told = replace(member, offset=len(body) - len(prefix) if member.offset is None else member.offset)
        packed = told.packed()
        told = replace(told, crc=zlib.crc32(told.data) if told.crc is None else told.crc)
        told = replace(told, size=len(told.data) if told.size is None else told.size)
        told = replace(told, packed_size=len(packed) if told.packed_size is None else told.packed_size)
        if member.offset is None:
            body += _local(told, packed)
        directory += _record(told)
        n_records += 1
    at = len(body) - len(prefix)
    size = len(directory) if directory_size is None else directory_size
    told_count = n_records if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, told_count & 0xFFFF, told_count & 0xFFFF, size, at, len(comment))
    return bytes(body + directory + end + comment)


def _local(member: Member, packed: bytes) -> bytes:
    name = member.raw_name if member.header_name is None else member.header_name
    facts = (member.crc, member.packed_size, member.size)
    has_descriptor = member.flags & DESCRIPTOR
    head = struct.pack("<4s5H", b"PK\x03\x04", member.version, member.flags, member.method, 0, 0)
    head += struct.pack("<3I2H", *((0, 0, 0) if has_descriptor else _told(facts, zip64=False)), len(name), 0)
    return head + name + packed + (b"PK\x07\x08" + struct.pack("<3I", *facts) if has_descriptor else b"")


def _record(member: Member) -> bytes:
    name = member.raw_name
    extra = b""
    facts = (member.crc, member.packed_size, member.size)
    if member.zip64:
        extra = struct.pack("<2H3Q", 1, 24, member.size, member.packed_size, member.offset)
    head = struct.pack("<4s6H", b"PK\x01\x02", 3 << 8 | 20, member.version, member.flags, member.method, 0, 0)
    head += struct.pack("<3I5H", *_told(facts, zip64=member.zip64), len(name), len(extra), 0, 0, 0)
    return head + struct.pack("<2I", member.attributes, _BIG if member.zip64 else member.offset) + name + extra


def _told(facts: Sequence[int | None], *, zip64: bool) -> tuple[int, ...]:
    crc, packed_size, size = (fact or 0 for fact in facts)
    return (crc, _BIG, _BIG) if zip64 else (crc, min(packed_size, _BIG), min(size, _BIG))


def plain_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Write an archive as any tool would, and the same bytes whatever the time is."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, compress_type=method)
    return target.getvalue()


def overlapping_zip(photo: bytes, n_entries: int) -> bytes:
    """Write a directory in which all entries are the same bytes."""
    first = Member("0.jpg", photo)
    same = [replace(first, name=f"{n}.jpg", offset=0) for n in range(1, n_entries)]
    return zip_of([first, *same])


def nested_headers_zip(photo: bytes, n_entries: int) -> bytes:
    """Write entries that begin one within the other, each until the end of the last, as a "better zip bomb" has."""
    core = zip_of([Member("last.jpg", photo, method=0)])
    local = core[: core.index(b"PK\x01\x02")]
    members = [Member("last.jpg", photo, method=0, offset=0)]
    for n in range(n_entries):
        name = f"{n}.jpg".encode()
        head = struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, zlib.crc32(local), len(local), len(local), len(name), 0
        )
        members = [replace(member, offset=(member.offset or 0) + len(head + name)) for member in members]
        members.append(Member(name, local, method=0, flags=0, offset=0))
        local = head + name + local
    return zip_of(members, prefix=local)


def lying_directory(n_records: int, told_count: int) -> bytes:
    """Write a directory of many records without entries behind them, and an end record that tells of few."""
    return zip_of((Member(b"x", offset=0) for _ in range(n_records)), count=told_count)
