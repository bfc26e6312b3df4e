"""Batches whose photos come along: many parts of a form, or one archive."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from flask import Request
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from api.archive_manifest import MANIFEST_NAME, ManifestLine
from api.archives import ArchiveEntry, ArchiveLimits, read_archive
from api.batch_options import ROUTE, BatchOptions
from api.deadline import upload_deadline
from api.form_reader import FilePart, ReceivedForm, read_form
from api.idempotency import Fingerprint
from api.options import once_each
from api.problems import PAYLOAD_TOO_LARGE, ProblemError, field_errors, invalid, unavailable
from api.rejections import rejection
from api.storing import PhotoStorer
from api.uploads import size_of
from shared.config import MEGABYTE, Settings
from shared.errors import ArchiveInvalid, BatchTooLarge, DuplicateReference, ImageTooLarge, UnsupportedFormat
from shared.image_formats import SNIFF_BYTES, sniff_image_format
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.lifecycle import Upload
from shared.references import reference_of_name
from shared.schemas import JobError, JobOptions
from shared.targets import TargetForbidden

logger = logging.getLogger(__name__)

FORM_TYPE: Final = "multipart/form-data"
PHOTOS_FIELD: Final = "images"
ARCHIVE_FIELD: Final = "archive"
_OVERHEAD_BYTES: Final = 10 * MEGABYTE
"""What a form may hold beside the photos: a kilobyte of headers for each of 10,000."""


class _Files:
    """Judges the files of a form by their fields and names, as they come."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._references: set[str] = set()
        self._n_photos = self._n_archives = 0

    def check(self, field: str, filename: str) -> None:
        if field not in {PHOTOS_FIELD, ARCHIVE_FIELD}:
            message = f"unexpected file; photos go into fields named {PHOTOS_FIELD!r}, a zip into {ARCHIVE_FIELD!r}"
            raise invalid(field, message)
        if not filename:  # what a browser sends of a field in which nothing was chosen
            return
        self._n_photos += field == PHOTOS_FIELD
        self._n_archives += field == ARCHIVE_FIELD
        if self._n_archives and self._n_photos + self._n_archives > 1:
            raise _not_alone()
        if self._n_photos > self._max_items:
            raise BatchTooLarge(f"a batch may have at most {self._max_items} items")
        if field == PHOTOS_FIELD and (reference := reference_of_name(filename)):
            if reference in self._references:
                detail = (
                    f"two files are named {reference!r}; name them apart, or send a zip, where folders tell them apart"
                )
                raise DuplicateReference(detail)
            self._references.add(reference)


@dataclass(frozen=True, slots=True)
class PhotoForm:
    """A form that has come whole, its options checked: what is in it can be stored."""

    options: BatchOptions
    _form: ReceivedForm
    _settings: Settings

    @property
    def n_photos(self) -> int:
        """How many items it is known to make: of an archive, one."""
        return len(self._form.files)

    def fingerprint(self) -> str:
        """Return what tells this form from another: options at their defaults count as not given."""
        fingerprint = Fingerprint(ROUTE).add(self.options.as_bytes())
        for part in self._form.files:
            fingerprint.add(part.field.encode())
            if part.field == PHOTOS_FIELD:  # what an archive is called means nothing
                fingerprint.add(part.filename.encode())
            with self._form.open(part) as body:
                fingerprint.add_file(body)
        return fingerprint.text()

    def write(self, writer: BatchWriter, before_each: Callable[[int], None]) -> None:
        """Store every photo in a batch in the making, and note what is none, in the order in which they came.

        Parameters
        ----------
        before_each : callable
            Called before each of them, with its bytes, 0 for what is no photo; what it raises ends the writing.

        Raises
        ------
        ArchiveInvalid, DuplicateReference
            If an archive is refused whole; nothing of it was stored.
        """
        if self._form.files[0].field == ARCHIVE_FIELD:
            entries = self._entries()
        else:
            entries = (self._open(part) for part in self._form.files)
        with PhotoStorer() as storer:
            for options, photo in entries:
                with ExitStack() as on_failure:
                    if isinstance(photo, Upload):
                        on_failure.enter_context(photo.body)
                    before_each(size_of(photo.body) if isinstance(photo, Upload) else 0)
                    on_failure.pop_all()
                if isinstance(photo, JobError):
                    writer.add_rejected(options, photo)
                else:
                    storer.store(writer.add_place(options)[1], photo)
            storer.finish()

    def _open(self, part: FilePart) -> tuple[JobOptions, Upload | JobError]:
        options = self.options.for_item({"reference": reference_of_name(part.filename)})
        body = self._form.open(part)
        image_format = sniff_image_format(body.read(SNIFF_BYTES))
        if image_format is None or part.size_bytes > self._settings.max_upload_bytes:
            return options, self._fault(part)
        body.seek(0)
        return options, Upload(body, f"image/{image_format}")

    def _fault(self, part: FilePart) -> JobError:
        if part.size_bytes > self._settings.max_upload_bytes:
            message = f"a photo may have {self._settings.max_upload_bytes / MEGABYTE:g} MB"
            return rejection(ImageTooLarge.code, message)
        message = "its bytes are not those of a photo" if part.size_bytes else "it is empty"
        return rejection(UnsupportedFormat.code, message)

    def _entries(self) -> Iterator[tuple[JobOptions, Upload | JobError]]:
        settings = self._settings
        limits = ArchiveLimits(
            max_entry_bytes=settings.max_upload_bytes,
            max_archive_bytes=settings.max_batch_upload_bytes,
            max_entries=settings.max_batch_items,
            folder=settings.spool_folder,
        )
        for entry in read_archive(self._form.open(self._form.files[0]), limits, self._check_line):
            if isinstance(entry, ArchiveEntry):
                options = self.options.for_item({**entry.options, "reference": entry.reference})
                yield options, Upload(entry.body, f"image/{entry.image_format}")
            else:
                options = self.options.for_item({"reference": entry.reference})
                yield options, rejection(entry.code, f"{entry.path}: {entry.reason}")

    def _check_line(self, line: ManifestLine) -> None:
        try:
            self.options.for_item(line.options)
        except ValidationError as error:
            faults = "; ".join(f"{fault.field}: {fault.message}" for fault in field_errors(error))
            raise ArchiveInvalid(f"line {line.number}: {faults}", MANIFEST_NAME) from error
        except TargetForbidden as error:
            raise ArchiveInvalid(f"line {line.number}: webhook_url: {error}", MANIFEST_NAME) from error


@contextmanager
def read_photos(request: Request, settings: Settings, while_they_come: Callable[[], None]) -> Iterator[PhotoForm]:
    """Receive photos, or an archive, and the batch's options; they live as long as the block.

    Parameters
    ----------
    while_they_come : callable
        Called again and again until they have; what it raises ends the reading.

    Raises
    ------
    ProblemError
        400 naming what is wrong, 408 for what does not arrive, 413 for too many bytes, 503 without room for them, be it
        when they arrive or when they are unpacked in the block.
    BatchTooLarge, DuplicateReference, TargetForbidden
    """
    with _said_if_full(), ExitStack() as until_stored:
        with upload_deadline(request, pause_s=settings.max_upload_pause_s, total_s=settings.max_batch_upload_s):
            form = until_stored.enter_context(_received(request, settings, while_they_come))
        given = once_each([*request.args.items(multi=True), *form.fields])
        for name in (PHOTOS_FIELD, ARCHIVE_FIELD):
            if name in given:
                raise invalid(name, "must be a file, sent with a file name")
        form.files[:] = [part for part in form.files if part.filename or part.size_bytes]
        if not form.files:
            message = "there are none; send photos in fields of this name, or a zip in one named archive"
            raise invalid(PHOTOS_FIELD, message)
        if len(form.files) > 1 and any(part.field == ARCHIVE_FIELD for part in form.files):
            raise _not_alone()
        yield PhotoForm(BatchOptions(given), form, settings)


@contextmanager
def _received(request: Request, settings: Settings, while_they_come: Callable[[], None]) -> Iterator[ReceivedForm]:
    limit_bytes = settings.max_batch_upload_bytes
    request.max_content_length = limit_bytes + _OVERHEAD_BYTES
    files = _Files(settings.max_batch_items)
    with ExitStack() as on_the_way:
        try:
            receiving = read_form(
                request, files.check, settings.spool_folder, while_they_come, max_files=settings.max_batch_items + 1
            )
            form = on_the_way.enter_context(receiving)
        except RequestEntityTooLarge as error:
            raise _too_large(limit_bytes) from error
        if sum(part.size_bytes for part in form.files) > limit_bytes:
            raise _too_large(limit_bytes)
        yield form


def expected_bytes(request: Request, settings: Settings) -> int:
    """Return how many bytes the photos of a form have at most, as far as its head tells; 0 if it does not."""
    return min(request.content_length or 0, settings.max_batch_upload_bytes + _OVERHEAD_BYTES)


def _not_alone() -> ProblemError:
    return invalid(ARCHIVE_FIELD, "is one file, and nothing but options goes with it")


def _too_large(limit_bytes: int) -> ProblemError:
    detail = f"The photos of one request may have {limit_bytes / MEGABYTE:g} MB together; make several batches of them."
    return ProblemError(PAYLOAD_TOO_LARGE, detail)


@contextmanager
def _said_if_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        logger.exception("no room in the spool folder")
        detail = "There is no room for so many photos now. Nothing was accepted; send the same again in a moment."
        raise unavailable(detail) from error
