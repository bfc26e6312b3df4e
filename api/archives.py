"""Reading an uploaded zip: what is in it is handed out entry by entry, unpacked and checked, whatever it claims.

Nothing is written under a name from the archive. All that is refused whole is refused before the first entry is handed
out, so that nothing half-done has to be taken back. An entry never yields more bytes than the directory promises, and
the promises of an archive are bounded, so what is really unpacked is bounded too, whoever lies.

=========================================================== ==========================================================
What is in the archive                                      What becomes of it
=========================================================== ==========================================================
a photo, in folders or not, stored or deflated, zip64 or    an entry; its path is its reference, a leading `./` left
not, with a data descriptor or not                          out
`manifest.csv` at the top, or in the one folder that holds  read: `file,reference` and options, file names counted
everything                                                  from where it lies; files that it leaves out keep theirs
folders, `__MACOSX`, dotfiles and what is in dot-folders,   skipped, and not counted
`Thumbs.db`, `desktop.ini`
absolute path, drive letter, `..`, backslash, empty name    refused: archive_entry_refused
link, device, pipe                                          refused: archive_entry_refused
encrypted, or packed by a method other than deflate         refused: archive_entry_refused
archive within, by extension or by its first bytes          refused: archive_entry_refused
a path that is no reference (over 128 characters, control   refused: archive_entry_refused, unless the manifest gives
characters, no letter or digit first)                       it a reference
the same name or reference again                            the first is an entry; the others archive_entry_refused
a line of the manifest without a file                       refused: archive_entry_refused, with the line's reference
over the limit of a photo                                   refused: image_too_large, not unpacked
empty, or no image by its first bytes                       refused: unsupported_format, not unpacked further
size or checksum other than promised, cut short, a          refused: corrupt_image
different name in its own header
names in any script                                         kept: UTF-8 by the flag, or if they are valid UTF-8 (macOS
                                                            sets no flag), else CP437 as the format says
no zip, cut short, two entries on the same bytes, a         ArchiveInvalid
directory that cannot be read, nothing in it
over 2 GB; a directory over 20 MB or of over 40,000         ArchiveInvalid
records; 10,001 photos; over 4 GB unpacked, as promised, or
over 200 MB and twenty times the archive
a manifest that is not in order                             ArchiveInvalid, or DuplicateReference
=========================================================== ==========================================================
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Final, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from api.archive_entries import (
    ARCHIVE_ENTRY_REFUSED,
    PlannedEntry,
    RefusedEntry,
    match_manifest,
    path_fault,
    path_of,
    planned_entries,
    shown,
)
from api.archive_manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, ManifestLine, parse_manifest
from shared.config import MEGABYTE
from shared.errors import ArchiveInvalid, CorruptImage, ImageTooLarge, UnsupportedFormat
from shared.image_formats import ImageFormat, sniff_image_format
from shared.storage.base import HELD_WHOLE_BYTES

_RECORDS_PER_ENTRY: Final = 4
"""macOS adds a record for each file, and folders have theirs."""
_RECORD_BYTES: Final = 512
"""What a record of the directory may have on average: 46 and the name take less, with all that tools add."""
_RECORD_SIGNATURE: Final = b"PK\x01\x02"
_LOCAL_HEADER_BYTES: Final = 30
_CHUNK_BYTES: Final = 64 * 1024

_ZIP_HEADS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OTHER_HEADS: Final = (
    *(b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh"),
    *(b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"MSCF", b"LZIP", b"\x04\x22\x4d\x18"),
)
"""RAR, 7-Zip, gzip, bzip2, xz, Zstandard, cabinet, lzip, LZ4."""
_TAR_MARK: Final = b"ustar"
_TAR_MARK_AT: Final = 257
_HEAD_BYTES: Final = 512

# What zipfile, struct and zlib raise on what is not as it should be.
_DAMAGE: Final = (BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much an archive may be; see `docs/configuration.md`."""

    max_entry_bytes: int
    max_archive_bytes: int = 2_000 * MEGABYTE
    max_unpacked_bytes: int = 4_000 * MEGABYTE
    max_entries: int = 10_000
    free_unpacked_bytes: int = 200 * MEGABYTE
    max_unpacked_ratio: int = 20
    """Beyond the free bytes, how many may come out of each byte of the archive: photos are packed already."""
    folder: str | None = None
    """Where what is unpacked lies; None for the system's own folder."""


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file that begins like a photo.

    Attributes
    ----------
    reference : str
        By the manifest, else its path.
    path : str
        In the archive.
    options : mapping of str to str
        The manifest's cells for it; not looked into.
    image_format : ImageFormat
        By its first bytes.
    size_bytes : int
        Its real size.
    body : BinaryIO
        At its start; whoever asked for the entry closes it.
    """

    reference: str
    path: str
    options: Mapping[str, str]
    image_format: ImageFormat
    size_bytes: int
    body: BinaryIO


def read_archive(
    file: BinaryIO, limits: ArchiveLimits, check_line: Callable[[ManifestLine], object] = lambda _: None
) -> Iterator[ArchiveEntry | RefusedEntry]:
    """Check an archive as a whole, then unpack it entry by entry, in the order of its directory.

    Parameters
    ----------
    file : BinaryIO
        Seekable; it is not closed.
    limits : ArchiveLimits
        How much it may be.
    check_line : callable
        Told of each line of the manifest; raises `ArchiveInvalid` for one whose options are wrong.

    Returns
    -------
    iterator
        Nothing more is raised while it runs but what the disk raises.

    Raises
    ------
    ArchiveInvalid
        At once, if the archive is refused whole.
    DuplicateReference
        At once, if its manifest gives a reference twice.
    """
    archive_bytes = file.seek(0, os.SEEK_END)
    if archive_bytes > limits.max_archive_bytes:
        raise ArchiveInvalid(f"the archive has more than {limits.max_archive_bytes} bytes")
    try:
        archive = ZipFile(cast("BinaryIO", _Guard(file, limits)))
    except _DAMAGE as error:
        raise ArchiveInvalid(f"it is not a zip archive that can be read ({error})") from error
    _refuse_overlaps(archive.infolist(), archive.start_dir)
    entries = planned_entries(archive.infolist())
    lines, folder = _take_manifest(archive, entries, limits)
    for line in lines.values():
        check_line(line)
    missing = match_manifest(entries, lines, folder)
    _refuse_excess(entries, len(missing), archive_bytes, limits)
    return _unpacked(archive, entries, missing, limits)


class _Guard:
    """The file as `ZipFile` reads it, which takes the whole directory in one read: that read is bounded here."""

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        self._file = file
        self._max_records = limits.max_entries * _RECORDS_PER_ENTRY
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, n_bytes: int = -1) -> bytes:
        if n_bytes > self._max_records * _RECORD_BYTES:
            raise ArchiveInvalid(f"its directory has {n_bytes} bytes")
        data = self._file.read(n_bytes)
        # Each record begins with the signature; found more often than records are allowed, they are too many.
        if data.startswith(_RECORD_SIGNATURE) and data.count(_RECORD_SIGNATURE) > self._max_records:
            raise ArchiveInvalid(f"its directory has more than {self._max_records} records")
        return data


def _refuse_overlaps(infos: list[ZipInfo], directory_at: int) -> None:
    """Refuse entries that share bytes with the next or the directory: they could unpack to any size out of little."""
    by_place = sorted(infos, key=lambda info: info.header_offset)
    places = [*(info.header_offset for info in by_place), directory_at]
    for info, next_place in zip(by_place, places[1:], strict=True):
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
        if info.header_offset < 0 or end > next_place:
            raise ArchiveInvalid("it shares its bytes with another entry", shown(path_of(info)))


def _take_manifest(
    archive: ZipFile, entries: list[PlannedEntry], limits: ArchiveLimits
) -> tuple[dict[str, ManifestLine], str]:
    """Take the manifest out of the entries; return its lines, and the folder that its file names are counted from."""
    tops = {entry.path.partition("/")[0] for entry in entries if path_fault(entry.path) is None}
    folders = ["", *(f"{top}/" for top in tops if len(tops) == 1)]
    for folder in folders:
        for at, entry in enumerate(entries):
            if entry.path.lower() == (folder + MANIFEST_NAME).lower():
                del entries[at]
                return parse_manifest(_manifest_bytes(archive, entry), limits.max_entries), folder
    return {}, ""


def _manifest_bytes(archive: ZipFile, entry: PlannedEntry) -> bytes:
    if entry.fault:
        raise ArchiveInvalid(entry.fault[1], MANIFEST_NAME)
    if entry.info.file_size > MAX_MANIFEST_BYTES:
        raise ArchiveInvalid(f"it has more than {MAX_MANIFEST_BYTES} bytes", MANIFEST_NAME)
    try:
        return archive.read(entry.info)
    except _DAMAGE as error:
        raise ArchiveInvalid("it is damaged", MANIFEST_NAME) from error


def _refuse_excess(entries: list[PlannedEntry], n_missing: int, archive_bytes: int, limits: ArchiveLimits) -> None:
    """Refuse an archive that has nothing, or too much, or promises too much."""
    if not entries and not n_missing:
        raise ArchiveInvalid("there is no photo in the archive")
    if len(entries) > limits.max_entries:
        message = f"it is one more than the {limits.max_entries} allowed"
        raise ArchiveInvalid(message, shown(entries[limits.max_entries].path))
    if len(entries) + n_missing > limits.max_entries:
        raise ArchiveInvalid(f"with it there are more than the {limits.max_entries} allowed", MANIFEST_NAME)
    promised_bytes = 0
    max_bytes = min(limits.max_unpacked_bytes, limits.free_unpacked_bytes + limits.max_unpacked_ratio * archive_bytes)
    for entry in entries:
        promised_bytes += entry.info.file_size
        if promised_bytes > max_bytes:
            message = f"with it the archive unpacks to over {max_bytes} bytes"
            raise ArchiveInvalid(message, shown(entry.path))


def _unpacked(
    archive: ZipFile, entries: list[PlannedEntry], missing: list[RefusedEntry], limits: ArchiveLimits
) -> Iterator[ArchiveEntry | RefusedEntry]:
    for entry in entries:
        fault = entry.fault
        if fault is None and entry.info.file_size > limits.max_entry_bytes:
            fault = ImageTooLarge.code, f"it has more than {limits.max_entry_bytes} bytes"
        with ExitStack() as if_refused:
            spooled = if_refused.enter_context(tempfile.SpooledTemporaryFile(HELD_WHOLE_BYTES, dir=limits.folder))
            body = cast("BinaryIO", spooled)
            found = fault or _unpack(archive, entry.info, body)
            if isinstance(found, tuple):
                yield RefusedEntry(entry.reference, shown(entry.path), *found)
            else:
                reference, size_bytes = cast("str", entry.reference), body.tell()
                body.seek(0)
                if_refused.pop_all()
                yield ArchiveEntry(reference, entry.path, entry.options, found, size_bytes, body)
    yield from missing


def _unpack(archive: ZipFile, info: ZipInfo, body: BinaryIO) -> ImageFormat | tuple[str, str]:
    """Unpack a photo into `body`; return its format, or the code and reason of what is none."""
    try:
        with archive.open(info) as packed:
            head = packed.read(_HEAD_BYTES)
            if head.startswith((*_ZIP_HEADS, *_OTHER_HEADS)) or head.startswith(_TAR_MARK, _TAR_MARK_AT):
                return ARCHIVE_ENTRY_REFUSED, "it is an archive itself"
            image_format = sniff_image_format(head)
            if image_format is None:
                return UnsupportedFormat.code, "its bytes are not those of a photo" if head else "it is empty"
            body.write(head)
            shutil.copyfileobj(packed, body, _CHUNK_BYTES)
    except _DAMAGE:
        return CorruptImage.code, "it is damaged: it does not unpack to what the archive promises"
    if body.tell() != info.file_size:
        return CorruptImage.code, "it is damaged: it is shorter than the archive promises"
    return image_format
