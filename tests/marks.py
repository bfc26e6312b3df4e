"""Values that nobody else writes, and a search for them in whatever was written, in every form they may have taken."""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from PIL import Image

_PIXEL_BYTES = 48
_LANDMARK_BYTES = 120
_GZIP = b"\x1f\x8b\x08"
_ROOM = 1_000_000
"""More than a result takes."""


def token() -> str:
    return secrets.token_hex(12)


def marked_photo(photo: bytes, mark: str) -> bytes:
    """Return a photo as JPEG with a comment, compressed as no other is."""
    file = io.BytesIO()
    quality = 80 + secrets.randbelow(15)
    Image.open(io.BytesIO(photo)).convert("RGB").save(file, "JPEG", quality=quality, comment=mark.encode())
    return file.getvalue()


def pixels_of(photo: bytes) -> bytes:
    """Return some bytes from the middle of a photo's file."""
    middle = len(photo) // 2
    return photo[middle : middle + _PIXEL_BYTES]


def landmarks_of(answer: bytes) -> bytes:
    """Return some points of a result, as they are written."""
    found = re.search(rb'"landmarks":\[', answer)
    assert found is not None
    return answer[found.end() + 200 : found.end() + 200 + _LANDMARK_BYTES]


def forms_of(value: bytes) -> set[bytes]:
    """Return a value as it is, in JSON within JSON, in a URL, in hexadecimal, and in base64 at any place."""
    forms = {value, value.hex().encode(), value.hex().upper().encode()}
    with suppress(UnicodeDecodeError):
        text = value.decode()
        forms |= {json.dumps(text)[1:-1].encode(), quote(text, safe="").encode()}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + value)
        inner = encoded[4 if shift else 0 : -4]  # what neighbours do not change
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


def found_in(data: bytes, values: Mapping[str, bytes]) -> set[str]:
    """Return the names of the values that are in `data` in any form."""
    return {name for name, value in values.items() if any(form in data for form in forms_of(value))}


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield what is in a file, and what is packed in it: the store keeps text as gzip."""
    yield data
    at = data.find(_GZIP)
    while at >= 0:
        with suppress(zlib.error):
            yield zlib.decompressobj(wbits=31).decompress(data[at : at + _ROOM], _ROOM)
        at = data.find(_GZIP, at + 1)


def found_below(folders: Iterable[Path], values: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Return the names of the values by the file that they are in, for all files below some folders."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            with suppress(FileNotFoundError):  # rewritten this very moment: whoever calls has let things settle
                parts = unpacked(path.read_bytes()) if path.is_file() else ()
                if names := set[str]().union(*(found_in(part, values) for part in parts)):
                    found[str(path.relative_to(folder))] = names
    return found
