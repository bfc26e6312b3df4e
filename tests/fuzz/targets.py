"""The doors, each with honest files to start from and the one thing that may come of damaged ones: a stated refusal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from api.archives import ArchiveEntry, ArchiveLimits, read_archive
from api.form_reader import read_form
from api.json_text import JsonText, members_of_lines, members_of_object
from api.problems import ProblemError
from shared.errors import ArchiveInvalid, DuplicateReference, Rejected
from shared.image_formats import ImageFormat
from tests import files
from tests.hostile import CASES
from tests.hostile_zips import PHOTO, ZIP_CASES
from tests.zips import plain_zip
from worker.vision.decode import DecodeLimits, decode_photo

SEED_BYTES = 60_000
"""Larger files are damaged no better, only more slowly."""
LIMITS = DecodeLimits(max_bytes=1_000_000, max_pixels=1_000_000, min_side_px=16)
ZIP_LIMITS = ArchiveLimits(20_000, 1_000_000, 400_000, 50)
MANIFEST = b"file,reference,landmarks\na.jpg,A,true\nb/c.jpg,,\n"
LIST = b'{"items": [{"reference": "a", "size": 9, "content_type": "image/jpeg"}, {"image_url": "https://a.example/b"}],'
LIST += b' "landmarks": true, "max_faces": 2, "nested": {"a": [1, 2.5e3, null, "\\u00e9"]}}'
FORM = (
    b'--limit\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    b"\xff\xd8\xff\r\n--limi\r\n--limit\r\n"
    b'Content-Disposition: form-data; name="landmarks"\r\n\r\ntrue\r\n--limit--\r\n'
)


@dataclass(frozen=True)
class Target:
    """A door.

    Attributes
    ----------
    seeds : tuple of bytes
        What is damaged.
    enter : callable
        Takes the bytes; returns the name of what became of them. What it raises is a finding.
    """

    seeds: tuple[bytes, ...]
    enter: Callable[[bytes], str]


def _decode(data: bytes) -> str:
    try:
        photo = decode_photo(data, LIMITS, long_side_px=50 if len(data) % 2 else None)
    except Rejected as rejection:
        return rejection.code
    expected = (-(-photo.height_px // photo.reduction), -(-photo.width_px // photo.reduction), 3)
    if photo.pixels.shape != expected:
        message = f"{photo.pixels.shape} pixels of {photo.width_px} x {photo.height_px} px by {photo.reduction}"
        raise AssertionError(message)
    return "decoded"


def _unpack(data: bytes) -> str:
    try:
        entries = list(read_archive(io.BytesIO(data), ZIP_LIMITS))
    except (ArchiveInvalid, DuplicateReference) as error:
        return type(error).__name__
    for entry in entries:
        if isinstance(entry, ArchiveEntry):
            with entry.body:
                if len(entry.body.read()) != entry.size_bytes or entry.size_bytes > ZIP_LIMITS.max_entry_bytes:
                    message = f"{entry.path!r} is not of {entry.size_bytes} bytes"
                    raise AssertionError(message)
    return "read"


def _list(data: bytes) -> str:
    pieces = (data[at : at + 97] for at in range(0, len(data), 97))
    members = members_of_lines if data.startswith(b'{"reference') else members_of_object
    try:
        for _ in members(JsonText(pieces)):
            pass
    except ProblemError:
        return "refused"
    return "read"


def _form(data: bytes) -> str:
    environ = EnvironBuilder(method="POST").get_environ()
    sent = {
        "wsgi.input": io.BytesIO(data),
        "CONTENT_LENGTH": str(len(data)),
        "CONTENT_TYPE": "multipart/form-data; boundary=limit",
    }
    try:
        with read_form(Request({**environ, **sent}), lambda *_: None, None, max_files=100) as form:
            for part in form.files:
                with form.open(part) as body:
                    if len(body.read()) != part.size_bytes:
                        message = f"{part} is shorter than it says"
                        raise AssertionError(message)
    except (ProblemError, RequestEntityTooLarge):
        return "refused"
    return "read"


def _photos(image_format: ImageFormat) -> Target:
    made = [case.make() for case in CASES if not case.is_costly]
    picture = files.noise(90, 70)
    name = image_format.upper()
    made += [files.encoded(picture, name), files.encoded(files.quadrants(300, 200), name)]
    seeds = tuple(data for data in made if len(data) <= SEED_BYTES and _looks_like(data, image_format))
    return Target(seeds, _decode)


def _looks_like(data: bytes, image_format: ImageFormat) -> bool:
    marks = {
        ImageFormat.JPEG: data[:3] == b"\xff\xd8\xff",
        ImageFormat.PNG: data[:4] == b"\x89PNG",
        ImageFormat.WEBP: data[8:12] == b"WEBP",
        ImageFormat.HEIC: data[4:8] == b"ftyp" and data[8:11] in {b"hei", b"hev", b"mif"},
        ImageFormat.AVIF: data[4:8] == b"ftyp" and data[8:11] == b"avi",
    }
    return marks[image_format]


def _archives() -> Target:
    made = [case.make() for case in ZIP_CASES if not case.is_costly]
    made.append(plain_zip({"a.jpg": PHOTO, "b/c.jpg": PHOTO * 3, "manifest.csv": MANIFEST}))
    made.append(plain_zip({"top/a.jpg": PHOTO, "top/manifest.csv": MANIFEST}, method=0))
    return Target(tuple(data for data in made if 0 < len(data) <= SEED_BYTES), _unpack)


def _lists() -> Target:
    lines = b'{"reference": "a", "size": 1}\n{"reference": "b"}\n\n{"image_url": "https://a.example/"}\n'
    return Target((LIST, lines, b'{"items": []}', b"\xef\xbb\xbf" + LIST), _list)


MAKERS: dict[str, Callable[[], Target]] = {
    **{image_format.value: (lambda of=image_format: _photos(of)) for image_format in ImageFormat},  # type: ignore[misc]
    "zip": _archives,
    "json": _lists,
    "form": lambda: Target((FORM, FORM.replace(b"limit--", b"limit") * 3), _form),
}
"""By name; made when they are asked for, as the photos take seconds to encode."""
