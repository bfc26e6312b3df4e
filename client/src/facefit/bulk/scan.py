"""Which photos a folder has, and by which references they are known."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facefit.errors import PhotoUnreadable
from facefit.photos import CONTENT_TYPES

MAX_REFERENCE: Final = 128
CHANGED: Final = "has changed since this was begun"
_HASH_LENGTH: Final = 10
_PASSED_OVER: Final = frozenset({"__MACOSX"})


@dataclass(frozen=True, slots=True)
class Found:
    """A photo of the folder.

    Attributes
    ----------
    path : str
        Relative to the folder, with `/` between its parts, as the operating system names it.
    reference : str
        The path, or what is made of it where it cannot be a reference.
    size : int
        Bytes, as announced.
    changed_ns : int
        When it was last written to.
    trouble : str or None
        Why it cannot be sent: `empty`, `unreadable`.
    """

    path: str
    reference: str
    size: int
    changed_ns: int
    trouble: str | None = None

    @property
    def content_type(self) -> str:
        """What its name says it is."""
        return CONTENT_TYPES[Path(self.path).suffix.lower()]

    def problem_now(self, folder: Path) -> PhotoUnreadable | None:
        """Tell why it cannot be sent any more; None if it is as it was found."""
        try:
            now = (folder / self.path).stat()
        except OSError as error:
            return PhotoUnreadable(f"{self.path} cannot be read: {error.strerror}")
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed_ns):
            return PhotoUnreadable(f"{self.path} {CHANGED}")
        return None


def scan(folder: Path) -> tuple[list[Found], int]:
    """Return the photos of a folder and of those in it, by name, and how many other files there are.

    A photo is what is named like one; dotfiles, what is in folders whose name begins with a dot, and `__MACOSX` are
    passed over. Links to folders are not followed.
    """
    paths, n_others = [], 0
    for path in _files(folder):
        if path.suffix.lower() in CONTENT_TYPES:
            paths.append(path)
        else:
            n_others += 1
    taken: set[str] = set()
    found = []
    for path in sorted(paths, key=lambda path: (not _fits(path.relative_to(folder).as_posix()), path.as_posix())):
        name = path.relative_to(folder).as_posix()
        reference = reference_of(name, taken)
        taken.add(reference)
        found.append(_look_at(path, name, reference))
    return sorted(found, key=lambda photo: photo.path), n_others


def reference_of(path: str, taken: set[str]) -> str:
    """Return the reference of a photo: its path where that can be one, else one made of it that is not taken.

    The service takes 128 printable characters that begin with a letter or digit. What comes before these is left out,
    what cannot be printed becomes `_`, and the middle of what is too long, or taken, becomes a checksum of the path.
    """
    if _fits(path):
        return path
    printable = "".join(letter if letter.isprintable() else "_" for letter in path)
    start = next((at for at, letter in enumerate(printable) if letter.isalnum()), len(printable))
    reference = printable[start:] or "photo"
    if len(reference) <= MAX_REFERENCE and reference not in taken:
        return reference
    checksum = hashlib.sha256(os.fsencode(path)).hexdigest()[:_HASH_LENGTH]
    half = (MAX_REFERENCE - _HASH_LENGTH - 2) // 2
    head, tail = (reference[:half], reference[-half:]) if len(reference) > 2 * half else (reference, "")
    return f"{head}~{checksum}~{tail}"


def _fits(path: str) -> bool:
    return len(path) <= MAX_REFERENCE and path.isprintable() and path[:1].isalnum()


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise PhotoUnreadable(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _PASSED_OVER]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _look_at(path: Path, name: str, reference: str) -> Found:
    try:
        found = path.stat()
    except OSError:
        return Found(name, reference, 0, 0, "unreadable")
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.R_OK):
        return Found(name, reference, found.st_size, found.st_mtime_ns, "unreadable")
    return Found(name, reference, found.st_size, found.st_mtime_ns, None if found.st_size else "empty")
