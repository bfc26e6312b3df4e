"""Makes a batch of a request, whichever of the three ways its photos come; all of it is accepted, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus

from flask import Request, Response, g

from api.batch_forms import FORM_TYPE, read_photos
from api.batch_lists import JSON_TYPES, LINES_TYPES, read_list
from api.batch_presenters import batch_response, created_response, item_model, upload_form, written_items
from api.problems import UNSUPPORTED_FORMAT, ProblemError, unavailable
from api.upload_places import upload_place
from shared.batch_schemas import BatchItem
from shared.config import Settings
from shared.errors import Transient
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batch_writer import BatchWriter
from shared.jobs.batches import BatchLifecycle
from shared.names import LOCAL_TENANT

logger = logging.getLogger(__name__)


def accept_batch(request: Request, batches: BatchLifecycle, settings: Settings) -> Response:
    """Make a batch of a request and answer with it.

    Raises
    ------
    ProblemError
        415 for a content type that is none of them, 503 if nothing was accepted; otherwise as its readers do.
    """
    with _said_if_away():
        if request.mimetype in {*JSON_TYPES, *LINES_TYPES}:
            return _accept_list(request, batches, settings)
        if request.mimetype == FORM_TYPE:
            return _accept_photos(request, batches, settings)
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


def _accept_list(request: Request, batches: BatchLifecycle, settings: Settings) -> Response:
    with (
        read_list(request, settings) as wanted,
        batches.begin(LOCAL_TENANT, wanted.source, wanted.options.options) as writer,
    ):
        wanted.write(writer)
        if wanted.source is BatchSource.URL:
            return accepted_response(batches, writer.commit())
        with ExitStack() as on_failure:
            # Written before the batch is accepted: whoever makes one gets its forms.
            items = on_failure.enter_context(written_items(_new_items(batches, writer)))
            record = _as_it_is(batches, writer.commit())
            on_failure.pop_all()
        return created_response(record, items, batches.jobs.clock())


def _accept_photos(request: Request, batches: BatchLifecycle, settings: Settings) -> Response:
    batches.jobs.store.check()  # said before gigabytes are received
    with upload_place(), read_photos(request, settings) as photos:
        options = photos.options.options
        with batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, options) as writer:
            photos.write(writer)
            return accepted_response(batches, writer.commit())


def accepted_response(batches: BatchLifecycle, record: BatchRecord) -> Response:
    """Answer that a batch is accepted and will be measured."""
    return batch_response(_as_it_is(batches, record), batches.jobs.clock(), status=HTTPStatus.ACCEPTED)


def _as_it_is(batches: BatchLifecycle, record: BatchRecord) -> BatchRecord:
    """Return a batch that was just accepted with its counts, if they can be read."""
    with suppress(Transient):
        return batches.find(record.tenant, record.id)
    return record


def _new_items(batches: BatchLifecycle, writer: BatchWriter) -> Iterator[BatchItem]:
    now_ms, objects, batch = batches.jobs.clock(), batches.jobs.objects, writer.record()
    for record, item in writer.items():
        yield item_model(record, upload_form(objects, batch, record, item, now_ms))
