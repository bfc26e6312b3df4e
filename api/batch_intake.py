"""Makes a batch of a request, whichever of the three ways its photos come; all of it is accepted, or nothing.

Under an idempotency key, the batch that the same request made before is found instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Final

from flask import Request, Response, g

from api.admission import OF_BATCHES, Admission, admission
from api.batch_forms import FORM_TYPE, expected_bytes, read_photos
from api.batch_lists import JSON_TYPES, LINES_TYPES, read_list
from api.batch_pages import every_item
from api.batch_presenters import batch_response, created_response, item_model, upload_form, written_items
from api.context import Services, tenant, upload_is_over
from api.idempotency import REPLAYED, HeldKey, once
from api.problems import UNSUPPORTED_FORMAT, ProblemError, unavailable
from api.upload_places import upload_place
from shared.admission.store import Take
from shared.batch_schemas import BatchItem
from shared.config import Settings
from shared.errors import Transient
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batch_replays import accepted_batch
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.batches import BatchLifecycle
from shared.jobs.idempotency import KeyMark
from shared.schemas import JobOptions

logger = logging.getLogger(__name__)

_ASKED_AT_ONCE: Final = 500
"""Photos that are stored before it is asked again whether the tenant may have as many."""

_Made = tuple[BatchRecord, IO[bytes] | None]
"""A batch, and its items with their forms if they are written already."""


def accept_batch(request: Request, here: Services) -> Response:
    """Make a batch of a request, or find the one that the same request made before, and answer with it.

    Raises
    ------
    ProblemError
        415 for a content type that is none of them, 429 for more than its tenant may have, 503 if nothing was
        accepted; otherwise as its readers and the idempotency key do.
    """
    batches = BatchLifecycle(here.jobs)
    with once(request, here, tenant()) as key, admission(here, OF_BATCHES) as admitted:
        intake = _Intake(request, here.settings, batches, key, admitted)
        if request.mimetype in {*JSON_TYPES, *LINES_TYPES}:
            intake.ask_before_body(0)
            return _accept_list(intake)
        if request.mimetype == FORM_TYPE:
            intake.ask_before_body(expected_bytes(request, here.settings))
            return _accept_photos(intake)
        detail = (
            "Send photos or an archive as multipart/form-data, or a list of items as application/json or"
            f" application/x-ndjson, not {request.mimetype or 'a body without a content type'}."
        )
        raise ProblemError(UNSUPPORTED_FORMAT, detail)


@contextmanager
def _said_if_away() -> Iterator[None]:
    try:
        yield
    except Transient as error:
        logger.warning("request %s: no batch is accepted: %s", g.get("request_id"), error)
        detail = "A part of the service does not answer now. Nothing was accepted; send the same again in a moment."
        raise unavailable(detail) from error


@dataclass(frozen=True, slots=True)
class _Intake:
    """A request that is to become a batch, and whom it is to be asked of."""

    request: Request
    settings: Settings
    batches: BatchLifecycle
    key: HeldKey
    admitted: Admission

    def begin(self, source: BatchSource, options: JobOptions) -> BatchWriter:
        return self.batches.begin(tenant(), source, options, request_id=g.request_id)

    def ask_before_body(self, size_bytes: int) -> None:
        if not self.key.is_known:  # a replay costs nothing
            with _said_if_away():
                self.admitted.ask_before_body(self.request, Take(jobs=1, batches=1, size_bytes=size_bytes))

    def ask(self, writer: BatchWriter, size_bytes: int, n_items: int = 0) -> None:
        """Take what the batch has so far, or so many items if they are more."""
        n_items = max(1, n_items, writer.record().total)
        self.admitted.ask(Take(jobs=n_items, batches=1, size_bytes=size_bytes, batch_id=writer.batch_id))


def _accept_list(intake: _Intake) -> Response:
    batches = intake.batches
    with read_list(intake.request, intake.settings) as wanted:

        @_said_if_away()
        def make(mark: KeyMark | None) -> _Made:
            options = wanted.options.options
            with ExitStack() as on_failure, intake.begin(wanted.source, options) as writer:
                size_bytes = wanted.write(writer)
                intake.ask(writer, size_bytes)
                items = None
                if wanted.source is BatchSource.PRESIGNED:
                    # Written before the batch is accepted: whoever makes one gets its forms.
                    items = on_failure.enter_context(written_items(_new_items(batches, writer)))
                record = writer.commit(mark)
                intake.admitted.accepted(size_bytes)
                on_failure.pop_all()
                return record, items

        return _answer(batches, *intake.key.settle(wanted.fingerprint, find=_finder(batches), make=make))


def _accept_photos(intake: _Intake) -> Response:
    batches, key, admitted = intake.batches, intake.key, intake.admitted

    def keep() -> None:
        key.keep()
        admitted.keep()

    def keep_if_possible() -> None:
        with suppress(Transient):  # both are asked for once more before anything is made
            keep()

    with _said_if_away():
        batches.jobs.store.check()  # said before gigabytes are received
    with upload_place(), read_photos(intake.request, intake.settings, keep_if_possible) as photos:

        @_said_if_away()
        def make(mark: KeyMark | None) -> _Made:
            with intake.begin(BatchSource.UPLOAD, photos.options.options) as writer:
                size_bytes = n_stored = 0

                def before_each(photo_bytes: int) -> None:
                    nonlocal size_bytes, n_stored
                    keep()
                    if n_stored % _ASKED_AT_ONCE == 0:  # of an archive it shows only now how much it holds
                        intake.ask(writer, size_bytes, photos.n_photos)
                    size_bytes, n_stored = size_bytes + photo_bytes, n_stored + 1

                photos.write(writer, before_each)
                intake.ask(writer, size_bytes)
                record = writer.commit(mark)
                admitted.accepted(size_bytes)
                return record, None

        return _answer(batches, *key.settle(photos.fingerprint, find=_finder(batches), make=make))


def _finder(batches: BatchLifecycle) -> Callable[[str], _Made | None]:
    def find(batch_id: str) -> _Made | None:
        record = accepted_batch(batches, tenant(), batch_id)
        return None if record is None else (record, None)

    return find


def _answer(batches: BatchLifecycle, made: _Made, is_replay: bool) -> Response:
    """Answer that a batch is accepted: 201 with its forms if its photos come by them, 202 otherwise."""
    upload_is_over()
    record, items = made
    now_ms = batches.jobs.clock()
    if not is_replay:
        record = _as_it_is(batches, record)
    if record.source is BatchSource.PRESIGNED:
        items = written_items(every_item(batches, record)) if items is None else items
        response = created_response(record, items, now_ms)
    else:
        response = batch_response(record, now_ms, status=HTTPStatus.ACCEPTED)
    if is_replay:
        response.headers.update(REPLAYED)
    return response


def _as_it_is(batches: BatchLifecycle, record: BatchRecord) -> BatchRecord:
    """Return a batch that was just accepted with its counts, if they can be read."""
    with suppress(Transient):
        return batches.find(record.tenant, record.id)
    return record


def _new_items(batches: BatchLifecycle, writer: BatchWriter) -> Iterator[BatchItem]:
    now_ms, objects, batch = batches.jobs.clock(), batches.jobs.objects, writer.record()
    for record, item in writer.items():
        yield item_model(record, upload_form(objects, batch, record, item, now_ms))
