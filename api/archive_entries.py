"""What the directory of an archive says of its entries before any is unpacked: which to skip, which to refuse."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from api.archive_manifest import MANIFEST_NAME, ManifestLine, file_key
from shared.errors import ArchiveEntryRefused
from shared.references import reference_fault, without_marks_before
from shared.schemas import MAX_REFERENCE_LENGTH

ARCHIVE_ENTRY_REFUSED: Final = ArchiveEntryRefused.code

# APPNOTE.TXT 6.3.10, section 4.4.4.
_ENCRYPTED_FLAGS: Final = 0x1 | 0x40 | 0x2000
_UTF_8_FLAG: Final = 0x800

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_LITTER: Final = frozenset({"thumbs.db", "desktop.ini"})
_ARCHIVE_NAME: Final = re.compile(
    r".*\.(zip|zipx|jar|7z|rar|tar|gz|tgz|bz2|tbz2?|xz|txz|zst|lz|lz4|lzma|z|cab|arj|iso)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """A file that becomes a rejected item, and why.

    Attributes
    ----------
    reference : str or None
        None where it has none that is legal and its own.
    path : str
        As it can be shown: printable and cut.
    code : str
        The public code of the rejection.
    reason : str
        In words.
    """

    reference: str | None
    path: str
    code: str
    reason: str


@dataclass(slots=True, eq=False)
class PlannedEntry:
    """An entry before it is unpacked.

    Attributes
    ----------
    info : ZipInfo
        Its record.
    path : str
        As the archive has it, a leading `./` left out.
    reference : str or None
        None where it has none that is legal and its own.
    options : mapping of str to str
        The manifest's cells for it.
    fault : (str, str) or None
        Code and reason, where it is refused without being looked into.
    """

    info: ZipInfo
    path: str
    reference: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    fault: tuple[str, str] | None = None


def planned_entries(infos: list[ZipInfo]) -> list[PlannedEntry]:
    """Return the entries that are not skipped, in order, each with its fault."""
    return [
        PlannedEntry(info, path, fault=(ARCHIVE_ENTRY_REFUSED, reason) if reason else None)
        for info in infos
        if not _is_skipped(path := path_of(info), info)
        for reason in [path_fault(path) or _kind_fault(path, info)]
    ]


def path_of(info: ZipInfo) -> str:
    """Return an entry's path: UTF-8 by the flag, or if it is valid UTF-8, else CP437."""
    name = info.orig_filename
    if not info.flag_bits & _UTF_8_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.removeprefix("./")


def shown(path: str) -> str:
    """Return a path as it can be shown: printable, and no longer than a reference."""
    cut = path[:MAX_REFERENCE_LENGTH]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)


def path_fault(path: str) -> str | None:
    """Tell why a path is refused whatever lies there; None if it is not."""
    parts = path.split("/")
    faults = {
        "it has no name": not path,
        "its path has a backslash": "\\" in path,
        "its path is absolute": path.startswith("/") or _DRIVE.match(path) is not None,
        "its path leads out of the archive": ".." in parts,
        "its path is not a plain one": not {"", "."}.isdisjoint(parts),
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)


def match_manifest(entries: list[PlannedEntry], lines: Mapping[str, ManifestLine], folder: str) -> list[RefusedEntry]:
    """Give each entry its reference and options; return the lines whose files are not there, as refused entries.

    Parameters
    ----------
    entries : list of PlannedEntry
        Changed in place.
    lines : mapping of str to ManifestLine
        As `parse_manifest` returns them.
    folder : str
        Where the manifest lies: empty, or with a slash at its end.
    """
    unmatched = {file_key(folder + line.file.removeprefix("./")): line for line in lines.values()}
    taken: set[str] = set()
    for entry in entries:
        line = unmatched.pop(file_key(entry.path), None)
        reference = (line and line.reference) or _reference_of(entry)
        entry.options = line.options if line else {}
        if (fault := reference_fault(reference)) is not None:
            entry.fault = entry.fault or (ARCHIVE_ENTRY_REFUSED, f"{fault}; {MANIFEST_NAME} can give it one")
        elif reference in taken:
            entry.fault = (ARCHIVE_ENTRY_REFUSED, "another entry has the same name or reference")
        else:
            entry.reference = reference
            taken.add(reference)
    return [_missing(line, taken) for line in unmatched.values()]


def _reference_of(entry: PlannedEntry) -> str:
    """Return the path from its first letter or digit on, if that leaves more of it than the kind of file."""
    stem = entry.path.rpartition(".")[0] or entry.path
    return without_marks_before(entry.path) if entry.fault is None and without_marks_before(stem) else entry.path


def _missing(line: ManifestLine, taken: set[str]) -> RefusedEntry:
    reference = line.reference or line.file
    is_its_own = reference not in taken and reference_fault(reference) is None
    reason = f"{MANIFEST_NAME} names it in line {line.number}, and it is not in the archive"
    return RefusedEntry(reference if is_its_own else None, shown(line.file), ARCHIVE_ENTRY_REFUSED, reason)


def _is_skipped(path: str, info: ZipInfo) -> bool:
    if path.endswith("/") or stat.S_ISDIR(info.external_attr >> 16):
        return True
    parts = path.split("/")
    is_hidden = parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts) or parts[-1].lower() in _LITTER
    return is_hidden and path_fault(path) is None


def _kind_fault(path: str, info: ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    faults = {
        "it is a link": kind == stat.S_IFLNK,
        "it is not a file": kind not in {0, stat.S_IFREG, stat.S_IFLNK},
        "it is encrypted": bool(info.flag_bits & _ENCRYPTED_FLAGS),
        "it is packed by another method than deflate": info.compress_type not in {ZIP_STORED, ZIP_DEFLATED},
        "it is an archive itself": _ARCHIVE_NAME.fullmatch(path) is not None,
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)
