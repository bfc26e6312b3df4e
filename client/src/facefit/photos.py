"""Photos on this machine, in whatever form a caller has them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from facefit.errors import PhotoUnreadable

Photo = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes, or a file that is open for reading bytes."""

CONTENT_TYPES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heic",
    ".avif": "image/avif",
}
"""By the end of a name. It is a promise to storage only: the service goes by the bytes."""


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """A photo that can be read as often as it has to be sent.

    Attributes
    ----------
    name : str
        For people and forms.
    content : bytes or Path
        What it is, or where it lies.
    """

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """Bytes.

        Raises
        ------
        PhotoUnreadable
            If it is not there.
        """
        if isinstance(self.content, bytes):
            return len(self.content)
        try:
            return self.content.stat().st_size
        except OSError as error:
            raise PhotoUnreadable(f"{self.name} cannot be read: {error.strerror}") from error

    @property
    def content_type(self) -> str:
        """What the name says it is, JPEG if it says nothing."""
        return CONTENT_TYPES.get(Path(self.name).suffix.lower(), "image/jpeg")

    def open(self, opened: ExitStack) -> bytes | BinaryIO:
        """Return the bytes, or the file opened anew, to be closed with the rest of `opened`.

        Raises
        ------
        PhotoUnreadable
            If it cannot be read.
        """
        if isinstance(self.content, bytes):
            return self.content
        try:
            return opened.enter_context(self.content.open("rb"))
        except OSError as error:
            raise PhotoUnreadable(f"{self.name} cannot be read: {error.strerror}") from error

    def read(self, opened: ExitStack) -> bytes:
        """Return the bytes.

        Raises
        ------
        PhotoUnreadable
            If it cannot be read.
        """
        content = self.open(opened)
        if isinstance(content, bytes):
            return content
        try:
            return content.read()
        except OSError as error:
            raise PhotoUnreadable(f"{self.name} cannot be read: {error.strerror}") from error


def photo_source(photo: Photo, name: str | None = None) -> PhotoSource:
    """Return a photo in a form that can be sent, and sent again.

    Raises
    ------
    PhotoUnreadable
        If it cannot be read.
    """
    if isinstance(photo, bytes):
        return PhotoSource(name or "photo", photo)
    if isinstance(photo, str | os.PathLike):
        if str(photo).startswith(("http://", "https://")):
            raise PhotoUnreadable("a photo at a URL is given as image_url=…; the service fetches it")
        path = Path(photo)
        if not path.is_file():
            why = "is a folder" if path.is_dir() else "is not there" if not path.exists() else "is no file"
            raise PhotoUnreadable(f"{path} {why}")
        return PhotoSource(name or path.name, path)
    content = photo.read()
    if not isinstance(content, bytes):
        raise PhotoUnreadable('open the photo for reading bytes: open(path, "rb")')
    return PhotoSource(name or Path(str(getattr(photo, "name", "photo"))).name, content)


def named_sources(photos: Mapping[str, Photo] | Sequence[str | os.PathLike[str]]) -> dict[str, PhotoSource]:
    """Return photos by reference; those of paths are their names.

    Raises
    ------
    PhotoUnreadable
        If one cannot be read, or two have one name.
    """
    if isinstance(photos, Mapping):
        return {reference: photo_source(photo, reference) for reference, photo in photos.items()}
    found = {source.name: source for source in map(photo_source, photos)}
    if len(found) != len(photos):
        raise PhotoUnreadable("two photos have the same name; give them as a mapping, by references of your own")
    return found
