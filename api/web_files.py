"""The files of the pages: a few, read once, told apart by their content, and compressed once for all who take it so.

What has a hash in its name never changes under that name and is kept by browsers for a year; everything else is asked
for again each time, and answered with 304 while it is the same.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from flask import Request, Response

_HASHED: Final = re.compile(r"-[0-9a-f]{12}\.[a-z]+")
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Every kind of file that there is, not what the machine's own list says of it: a script of another type is not run."""
_ETAG_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file as it is answered."""

    content: bytes
    compressed: bytes
    content_type: str
    etag: str
    cache_control: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file."""
        content = path.read_bytes()
        return cls(
            content=content,
            compressed=gzip.compress(content, mtime=0),
            content_type=_TYPES[path.suffix],
            etag=sha256(content).hexdigest()[:_ETAG_LENGTH],
            cache_control=_FOREVER if _HASHED.search(path.name) else _ASK_AGAIN,
        )

    def answer(self, request: Request) -> Response:
        """Answer a request for it: whole, compressed, or that it has not changed."""
        is_compressed = request.accept_encodings["gzip"] > 0
        response = Response(self.compressed if is_compressed else self.content, content_type=self.content_type)
        # Two ways to send the same thing are two things to a cache: each has a tag of its own.
        response.set_etag(f"{self.etag}-gzip" if is_compressed else self.etag)
        if is_compressed:
            response.headers["Content-Encoding"] = "gzip"
        response.vary.add("Accept-Encoding")
        response.headers["Cache-Control"] = self.cache_control
        response.make_conditional(request)  # in place
        return response


class WebFiles:
    """All files of a folder, by name; a name that is not one of them is nothing, whatever it is made of.

    Parameters
    ----------
    folder : Path
        Its files; folders in it are none of them.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: WebFile.of(path) for path in sorted(folder.iterdir()) if path.is_file()}

    def find(self, name: str) -> WebFile | None:
        """Return a file, or None if there is none of that name."""
        return self._files.get(name)
