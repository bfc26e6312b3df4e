"""Batches that come as a list in JSON: of photos that are uploaded straight to storage, or that are fetched."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Final, cast

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.batch_items import ItemInvalid, PlannedItem, plan_item
from api.batch_options import ROUTE, BatchOptions
from api.deadline import upload_deadline
from api.idempotency import Fingerprint
from api.json_text import ITEMS, JsonText, Member, members_of_lines, members_of_object
from api.options import once_each
from api.problems import PAYLOAD_TOO_LARGE, ProblemError, invalid, invalid_all
from shared.config import MEGABYTE, Settings
from shared.errors import BatchTooLarge, DuplicateReference
from shared.jobs.batch_record import BatchSource
from shared.jobs.batch_writer import BatchWriter
from shared.schemas import FieldError

JSON_TYPES: Final = ("application/json",)
LINES_TYPES: Final = ("application/x-ndjson", "application/ndjson")
_CHUNK_BYTES: Final = 64 * 1024
_IN_MEMORY_BYTES: Final = MEGABYTE
_MAX_MEMBERS: Final = 64
"""Beside the items: several times the options there are, as in a form."""
_ERRORS_SHOWN: Final = 20
"""Wrong fields that are named; who made that many made the rest in the same way."""


@dataclass(frozen=True, slots=True)
class ItemList:
    """A list that was read, and judged as a whole: what is in it can be noted.

    Attributes
    ----------
    source : BatchSource
        That of every item.
    """

    source: BatchSource
    options: BatchOptions
    _lines: IO[bytes]
    _settings: Settings

    def fingerprint(self) -> str:
        """Return what tells this list from another; how it was written as JSON does not."""
        return Fingerprint(ROUTE).add(self.options.as_bytes()).add_file(cast("BinaryIO", self._lines)).text()

    def write(self, writer: BatchWriter) -> int:
        """Note every item in a batch in the making; return the bytes that their photos will have by its words."""
        size_bytes = 0
        for item in _planned(self._lines, self.options, self._settings):
            if not isinstance(item, PlannedItem):
                raise item
            if item.error is not None:
                writer.add_rejected(item.options, item.error)
            else:
                writer.add_awaited(
                    item.options, size_bytes=item.size_bytes, content_type=item.content_type, url=item.url
                )
                size_bytes += item.size_bytes or 0
        return size_bytes


@contextmanager
def read_list(request: Request, settings: Settings) -> Iterator[ItemList]:
    """Read the items of a batch and its options; they live as long as the block, and take little memory.

    Raises
    ------
    ProblemError
        400 naming what is wrong, 408 for what does not arrive, 413 for too many bytes.
    BatchTooLarge, DuplicateReference, TargetForbidden
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=settings.spool_folder) as spooled:
        lines = cast("IO[bytes]", spooled)
        with upload_deadline(request, pause_s=settings.max_upload_pause_s, total_s=settings.max_upload_s):
            given = _receive(request, settings, lines)
        options = BatchOptions(once_each([*request.args.items(multi=True), *given.items()]))
        yield ItemList(_judge(lines, options, settings), options, lines, settings)


def _receive(request: Request, settings: Settings, lines: IO[bytes]) -> dict[str, Any]:
    """Write each item on a line, and return the other members."""
    request.max_content_length = settings.max_manifest_bytes
    try:
        return _written(_members(request), lines, settings.max_batch_items)
    except RequestEntityTooLarge as error:
        detail = f"A list of items may have {settings.max_manifest_bytes / MEGABYTE:g} MB."
        raise ProblemError(PAYLOAD_TOO_LARGE, detail) from error


def _written(members: Iterator[Member], lines: IO[bytes], max_items: int) -> dict[str, Any]:
    given: dict[str, Any] = {}
    n_items = 0
    for name, value in members:
        if name != ITEMS:
            if len(given) == _MAX_MEMBERS:
                raise invalid("body", f"has more than {_MAX_MEMBERS} members beside {ITEMS}")
            given[name] = value
            continue
        if n_items == max_items:
            raise BatchTooLarge(f"a batch may have at most {max_items} items")
        lines.write(orjson.dumps(value, option=orjson.OPT_SORT_KEYS) + b"\n")
        n_items += 1
    if n_items == 0:
        raise invalid(ITEMS, "there are none")
    return given


def _members(request: Request) -> Iterator[Member]:
    text = JsonText(iter(lambda: request.stream.read(_CHUNK_BYTES), b""))
    return members_of_lines(text) if request.mimetype in LINES_TYPES else members_of_object(text)


def _planned(lines: IO[bytes], options: BatchOptions, settings: Settings) -> Iterator[PlannedItem | ItemInvalid]:
    lines.seek(0)
    for line in lines:
        try:
            yield plan_item(orjson.loads(line), options, settings)
        except ItemInvalid as error:
            yield error


def _judge(lines: IO[bytes], options: BatchOptions, settings: Settings) -> BatchSource:
    """Judge every item before any is noted; return where their photos come from."""
    errors: list[FieldError] = []
    sources: set[BatchSource] = set()
    references: set[bytes] = set()
    for index, item in enumerate(_planned(lines, options, settings)):
        if isinstance(item, ItemInvalid):
            errors += [_of_item(index, error) for error in item.errors]
            if len(errors) >= _ERRORS_SHOWN:
                break
            continue
        sources.add(item.source)
        _take_reference(item.options.reference, references, index)
    if errors:
        raise invalid_all(errors[:_ERRORS_SHOWN])
    if len(sources) > 1:
        raise invalid(ITEMS, "some have size and content_type, others image_url; make a batch of each kind")
    return sources.pop()


def _of_item(index: int, error: FieldError) -> FieldError:
    field = f"{ITEMS}[{index}].{error.field}" if error.field else f"{ITEMS}[{index}]"
    return FieldError(field=field, message=error.message)


def _take_reference(reference: str | None, taken: set[bytes], index: int) -> None:
    if reference is None:
        return
    mark = hashlib.blake2b(reference.encode(), digest_size=16).digest()
    if mark in taken:
        raise DuplicateReference(f"{ITEMS}[{index}].reference: {reference!r} is given twice")
    taken.add(mark)
