"""From records of batches to JSON. Forms are signed when they are asked for, and nowhere kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from itertools import chain
from os import SEEK_END
from typing import IO, Any, Final, cast

from flask import Response

from api.presenters import JSON_TYPE, POLL_AGAIN_S, model_json
from shared.batch_schemas import BatchItem, UploadForm
from shared.clock import from_ms
from shared.config import MEGABYTE
from shared.jobs.batch_record import BatchRecord
from shared.jobs.manifest import Item
from shared.jobs.record import JobRecord
from shared.schemas import JobStatus
from shared.storage import layout
from shared.storage.base import ObjectStore
from shared.storage.post_policy import UploadPermit
from shared.views import batch_view, job_view

_IN_MEMORY_BYTES: Final = MEGABYTE
_CHUNK_BYTES: Final = 64 * 1024
_OF_THE_MOMENT: Final = {"images_per_second": None, "eta_s": None}
"""What differs from one second to the next although nothing happened."""


def batch_url(record: BatchRecord) -> str:
    """Return where a batch is found."""
    return f"/v1/batches/{record.id}"


def batch_response(record: BatchRecord, now_ms: int, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a batch; where it was just accepted, with its address too."""
    headers = {} if record.status.is_terminal else {"Retry-After": str(POLL_AGAIN_S)}
    if status is not HTTPStatus.OK:
        headers["Location"] = batch_url(record)
    body = model_json(batch_view(record, now_ms))
    return Response(body, status=status, content_type=JSON_TYPE, headers=headers)


def conditional_batch_response(record: BatchRecord, now_ms: int, known_etags: Any) -> Response:
    """Answer with a batch, or with 304 when nothing has happened to it since; rate and estimate alone do not count."""
    response = batch_response(record, now_ms)
    lasting = batch_view(record, now_ms).model_copy(update=_OF_THE_MOMENT)
    etag = hashlib.sha256(model_json(lasting)).hexdigest()[:32]
    if known_etags.contains_weak(etag):
        response.status_code = HTTPStatus.NOT_MODIFIED
        response.set_data(b"")
    response.set_etag(etag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def item_model(record: JobRecord, upload: UploadForm | None) -> BatchItem:
    """Return an item as clients see it."""
    return BatchItem(**dict(job_view(record)), item_index=record.item_index or 0, upload=upload)


def upload_form(
    objects: ObjectStore, batch: BatchRecord, record: JobRecord, item: Item, now_ms: int
) -> UploadForm | None:
    """Return the form by which an item's photo may be uploaded; None if it is not awaited by one."""
    is_awaited = record.status is JobStatus.AWAITING_UPLOAD and batch.cancelled_ms is None
    if not is_awaited or item.size_bytes is None or item.content_type is None:
        return None
    if batch.deadline_ms is None or now_ms >= batch.deadline_ms:
        return None
    key = layout.upload_key(record.tenant, record.id, batch.id)
    form = objects.upload_form(UploadPermit(key, item.size_bytes, item.content_type, batch.deadline_ms))
    return UploadForm(url=form.url, fields=dict(form.fields), expires_at=from_ms(batch.deadline_ms))


def written_items(items: Iterable[BatchItem]) -> IO[bytes]:
    """Write the items of a new batch as they will be answered: in a file, since 10,000 forms are 14 MB."""
    with ExitStack() as on_failure:
        body = on_failure.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))
        for index, item in enumerate(items):
            body.write((b"," if index else b"") + model_json(item))
        on_failure.pop_all()
    return cast("IO[bytes]", body)


def created_response(batch: BatchRecord, items: IO[bytes], now_ms: int) -> Response:
    """Answer with a new batch and its items, as `written_items` returned them; the file is closed with the answer."""
    head = model_json(batch_view(batch, now_ms)).removesuffix(b"}") + b',"items":['
    tail = b"]}"
    size_bytes = len(head) + items.seek(0, SEEK_END) + len(tail)
    response = Response(
        chain([head], _pieces(items), [tail]),
        status=HTTPStatus.CREATED,
        content_type=JSON_TYPE,
        headers={"Location": batch_url(batch), "Content-Length": str(size_bytes)},
    )
    response.call_on_close(items.close)  # should the client leave before it is read
    return response


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_CHUNK_BYTES):
            yield piece
