"""How a photo and its options come in: a multipart form, the raw bytes, or the URL it is at.

Photos are streamed, never held whole in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.deadline import upload_deadline
from api.form_reader import ReceivedForm, read_form
from api.image_urls import MAX_JSON_BYTES, read_photo_at_url
from api.options import parse_options
from api.problems import PAYLOAD_TOO_LARGE, UNSUPPORTED_FORMAT, ProblemError, invalid
from shared.admission.store import Take
from shared.config import MEGABYTE, Settings
from shared.fetches.tickets import PhotoUrl
from shared.image_formats import SNIFF_BYTES, sniff_image_format
from shared.jobs.lifecycle import Upload
from shared.schemas import JobOptions
from shared.storage.base import HELD_WHOLE_BYTES

FILE_FIELD: Final = "image"
JSON_TYPE: Final = "application/json"
FORM_OVERHEAD_BYTES: Final = MEGABYTE
"""What a multipart form may hold beside the photo."""
_CHUNK_BYTES: Final = 64 * 1024
_MAX_FILES: Final = 2
"""One more than there may be, so that whoever sends two is told."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A photo, or where it is to be fetched from, and what was asked for with it."""

    photo: Upload | PhotoUrl
    options: JobOptions


@contextmanager
def read_submission(request: Request, settings: Settings, *, takes_options: bool = True) -> Iterator[Submission]:
    """Read a photo and its options from a request; its temporary file lives as long as the block.

    Parameters
    ----------
    request : Request
        A multipart form, raw bytes, or JSON that names a URL.
    settings : Settings
        For the limits.
    takes_options : bool
        Whether fields beside the photo are options; else they are passed over, as the original service did, which
        knew no URLs either.

    Raises
    ------
    ProblemError
        400 for wrong options or no photo, 408 for one that does not arrive, 413 for too many bytes, 415 for what is
        no accepted image.
    """
    if takes_options and request.mimetype == JSON_TYPE:
        yield Submission(*read_photo_at_url(read_json(request, settings), _query(request), settings))
        return
    with ExitStack() as opened:
        with upload_deadline(request, pause_s=settings.max_upload_pause_s, total_s=settings.max_upload_s):
            body, fields = _read(request, settings, opened)
        options = parse_options(fields) if takes_options else JobOptions()
        yield Submission(_checked(body, settings), options)


def expected_photo(request: Request, settings: Settings) -> Take:
    """Return what a request with one photo will take of its tenant's limits, as far as its head tells."""
    limit_bytes = settings.max_upload_bytes + FORM_OVERHEAD_BYTES
    is_url = request.mimetype == JSON_TYPE
    return Take(photos=1, jobs=1, size_bytes=0 if is_url else min(request.content_length or 0, limit_bytes))


def size_of(body: BinaryIO) -> int:
    """Return how many bytes a file has; it stands at its start afterwards."""
    size_bytes = body.seek(0, 2)
    body.seek(0)
    return size_bytes


def _read(request: Request, settings: Settings, opened: ExitStack) -> tuple[BinaryIO, list[tuple[str, str]]]:
    request.max_content_length = settings.max_upload_bytes + FORM_OVERHEAD_BYTES
    try:
        if request.mimetype == "multipart/form-data":
            form = opened.enter_context(read_form(request, _check_is_the_photo, None, max_files=_MAX_FILES))
            return opened.enter_context(_form_file(form)), [*_query(request), *form.fields]
        return _raw_file(request, opened), _query(request)
    except RequestEntityTooLarge as error:
        raise _too_large(settings) from error


def _query(request: Request) -> list[tuple[str, str]]:
    return list(request.args.items(multi=True))


def read_json(request: Request, settings: Settings) -> bytes:
    """Read a body that is a JSON object or nothing, within bounds; it can be read again from the request.

    Raises
    ------
    ProblemError
        400 if it is longer than any such object, or cut short, 408 if it does not arrive.
    """
    request.max_content_length = MAX_JSON_BYTES
    with upload_deadline(request, pause_s=settings.max_upload_pause_s, total_s=settings.max_upload_s):
        try:
            body = request.get_data()
        except RequestEntityTooLarge as error:
            raise invalid("body", f"may have {MAX_JSON_BYTES} bytes as JSON") from error
        _check_complete(request, len(body))
    return body


def _check_is_the_photo(field: str, _: str) -> None:
    if field != FILE_FIELD:
        raise invalid(field, f"unexpected file; the photo's field is named {FILE_FIELD!r}")


def _form_file(form: ReceivedForm) -> BinaryIO:
    if len(form.files) != 1:
        is_text = FILE_FIELD in dict(form.fields)
        what = "more than one file" if form.files else "must be a file" if is_text else "is missing"
        raise invalid(FILE_FIELD, f"{what}; send one photo in a multipart file field named {FILE_FIELD!r}")
    return form.open(form.files[0])


def _raw_file(request: Request, opened: ExitStack) -> BinaryIO:
    if not (request.mimetype or request.content_length):
        raise invalid(FILE_FIELD, f"is missing; send one photo in a multipart file field named {FILE_FIELD!r}")
    if not request.mimetype.startswith("image/"):
        detail = (
            f"Send the photo as multipart/form-data in the field {FILE_FIELD!r}, or as the raw body with an image/*"
            f" content type, not as {request.mimetype or 'a body without a content type'}."
        )
        raise ProblemError(UNSUPPORTED_FORMAT, detail)
    body = opened.enter_context(tempfile.SpooledTemporaryFile(HELD_WHOLE_BYTES))  # noqa: SIM115 - the stack closes it
    while chunk := request.stream.read(_CHUNK_BYTES):
        body.write(chunk)
    _check_complete(request, body.tell())
    return cast("BinaryIO", body)


def _check_complete(request: Request, size_bytes: int) -> None:
    if request.content_length not in {None, size_bytes}:
        raise invalid(FILE_FIELD, "was cut short on its way; send it again")


def _checked(body: BinaryIO, settings: Settings) -> Upload:
    size = size_of(body)
    if size == 0:
        raise invalid(FILE_FIELD, "the file is empty")
    if size > settings.max_upload_bytes:
        raise _too_large(settings)
    image_format = sniff_image_format(body.read(SNIFF_BYTES))
    body.seek(0)
    if image_format is None:
        detail = "By its first bytes the file is none of JPEG, PNG, WebP, HEIC or AVIF, whatever its name says."
        raise ProblemError(UNSUPPORTED_FORMAT, detail)
    return Upload(body, f"image/{image_format}")


def _too_large(settings: Settings) -> ProblemError:
    limit_mb = settings.max_upload_bytes / MEGABYTE
    return ProblemError(PAYLOAD_TOO_LARGE, f"A photo may have {limit_mb:g} MB; 12 megapixels are plenty to measure.")
