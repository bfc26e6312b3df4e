"""What a batch comes to: its results as a file, what went wrong, and the people in it as statistics."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal, Self, cast

from flask import Response, current_app, request
from flask_openapi3 import APIBlueprint, OpenAPI, Tag
from pydantic import Field, model_validator

from api import problems
from api.batch_errors import ended_without_result, error_header_line, error_line, error_row
from api.batch_results import NDJSON_TYPE, result_line
from api.batch_summary import SummaryBuilder
from api.context import services, tenant
from api.csv_text import BYTE_ORDER_MARK
from api.kept_summaries import WORTH_KEEPING_ITEMS, KeptSummaries
from api.presenters import JSON_TYPE
from api.problems import Responses, problem_responses
from api.results_csv import header_line, item_lines
from api.streaming import Streams
from shared.batch_report_schemas import BatchItemError, BatchResult, BatchSummary
from shared.config import Settings
from shared.errors import Transient
from shared.jobs.batch_reader import BatchReader
from shared.jobs.batch_record import BatchRecord
from shared.jobs.batches import BatchLifecycle
from shared.jobs.record import JobRecord
from shared.measurements import DEFINITIONS_VERSION
from shared.schema_base import Schema

logger = logging.getLogger(__name__)

CSV_TYPE: Final = "text/csv; charset=utf-8; header=present"
_EXTENSION: Final = "facefit_batch_reports"
_LAYOUT: Final = f"1 {DEFINITIONS_VERSION}"
"""Changes whenever the same batch reads otherwise."""

_LAST_INDEX: Final = 2**31 - 1
"""No batch has as many items."""

Lines = Generator[bytes, None, None]

bp = APIBlueprint(
    "batch_reports",
    __name__,
    url_prefix="/v1/batches",
    abp_tags=[Tag(name="batch reports", description="What a batch came to.")],
)


@dataclass(frozen=True, slots=True)
class _Reports:
    streams: Streams
    summaries: KeptSummaries


def register_batch_reports(app: OpenAPI, settings: Settings) -> None:
    """Give an app its routes about what batches come to."""
    app.extensions[_EXTENSION] = _Reports(
        Streams(settings.max_reports, settings.max_download_pause_s),
        KeptSummaries(),
    )
    app.register_api(bp)


def _reports() -> _Reports:
    return cast("_Reports", current_app.extensions[_EXTENSION])


class ReportPath(Schema):
    """Which batch."""

    batch_id: str


class ReportQuery(Schema):
    """In which form, and from where on."""

    format: Literal["ndjson", "csv"] = "ndjson"
    """One JSON object to a line, or a table with a line of column names."""
    bom: bool = False
    """For CSV: begin with a byte order mark, without which some spreadsheets do not read UTF-8."""
    after_index: int = Field(-1, ge=-1, le=_LAST_INDEX)
    """Leave out the items up to this `item_index`: to go on where a download broke off."""

    @model_validator(mode="after")
    def _for_csv(self) -> Self:
        if self.bom and self.format != "csv":
            message = "bom is for format=csv"
            raise ValueError(message)
        return self


class ResultsQuery(ReportQuery):
    """Which items, how much of them, and in which form."""

    include: Literal["ended", "all"] = "ended"
    """`all`: those that have not ended as well."""
    landmarks: bool = False
    """For NDJSON: with the 478 points of each face, which make a line ten times as long."""

    @model_validator(mode="after")
    def _for_ndjson(self) -> Self:
        if self.landmarks and self.format != "ndjson":
            message = "landmarks are in format=ndjson alone"
            raise ValueError(message)
        return self


_NOT_CHANGED: Final[Responses] = {"304": {"description": "Not changed since the answer with this ETag"}}


def _report_responses(line: type[Schema]) -> Responses:
    of_a_line = line.model_json_schema(ref_template="#/components/schemas/{model}")
    del of_a_line["$defs"]  # other routes have brought them in
    return {
        "200": {
            "description": f"Lines of `{line.__name__}`, or a table, in item order, sent while they are read."
            " A connection that breaks off means that it was not all.",
            "headers": {
                "Content-Disposition": {"schema": {"type": "string"}, "description": "A name for the file."},
                "ETag": {"schema": {"type": "string"}, "description": "Once no item is open any more."},
            },
            "content": {NDJSON_TYPE: {"schema": of_a_line}, CSV_TYPE: {"schema": {"type": "string"}}},
        },
        **_NOT_CHANGED,
        **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE),
    }


@bp.get("/<batch_id>/results", summary="All results of a batch", responses=_report_responses(BatchResult))
def read_results(path: ReportPath, query: ResultsQuery) -> Response:
    """Answer with one record for each item, in item order; as CSV with one row for each face."""
    owner, jobs = tenant(), services().jobs  # the lines are made when the request's context is gone
    read: list[JobRecord] = []

    def lines(reader: BatchReader) -> Lines:
        with closing(reader.results(owner, path.batch_id, after_index=query.after_index)) as items:
            for record, result_json in items:
                if query.include == "all" or record.status.is_terminal:
                    if result_json is not None and record.options.measure_and_delete:
                        read.append(record)
                    if query.format == "csv":
                        yield item_lines(record, result_json).encode()
                    else:
                        yield result_line(record, result_json, landmarks=query.landmarks)

    def forget_read() -> None:
        try:
            jobs.was_read(read)
        except Transient as error:
            logger.warning("what was read of %s is deleted later: %s", path.batch_id, error)

    return _report(path.batch_id, "results", query, header_line(), lines, sent=forget_read)


@bp.get("/<batch_id>/errors", summary="What went wrong in a batch", responses=_report_responses(BatchItemError))
def read_errors(path: ReportPath, query: ReportQuery) -> Response:
    """Answer with the items that were rejected or cancelled or have failed, in item order, and what helps."""
    owner = tenant()  # as above

    def lines(reader: BatchReader) -> Lines:
        for record in reader.records(owner, path.batch_id, after_index=query.after_index):
            if ended_without_result(record):
                yield error_row(record).encode() if query.format == "csv" else error_line(record)

    return _report(path.batch_id, "errors", query, error_header_line(), lines)


@bp.get(
    "/<batch_id>/summary",
    summary="The people in a batch",
    responses={
        "200": BatchSummary,
        **_NOT_CHANGED,
        **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE),
    },
)
def read_summary(path: ReportPath) -> Response:
    """Answer with counts, and for each measurement how it is distributed over the photos in which it is `ok`."""
    batches = BatchLifecycle(services().jobs)
    batch = batches.find(tenant(), path.batch_id)
    etag = _etag(batch, "summary")
    headers = {"Content-Type": JSON_TYPE, **_validators(etag)}
    if answer := _without_body(etag, headers):
        return answer
    body = (etag and _reports().summaries.find(etag)) or _summary(batches, batch, etag)
    return Response(body, headers=headers)


def _summary(batches: BatchLifecycle, batch: BatchRecord, etag: str | None) -> bytes:
    builder = SummaryBuilder()
    results = BatchReader(batches).results(batch.tenant, batch.id)
    with _reports().streams.place(batch.tenant), closing(results) as items:
        for record, result_json in items:
            builder.add(record, result_json)
    body = builder.summary(batch).model_dump_json().encode()
    if etag and batch.total - batch.gone >= WORTH_KEEPING_ITEMS:
        _reports().summaries.keep(etag, body)
    return body


def _report(
    batch_id: str,
    name: str,
    query: ReportQuery,
    header: str,
    lines: Callable[[BatchReader], Lines],
    *,
    sent: Callable[[], None] = lambda: None,
) -> Response:
    batches = BatchLifecycle(services().jobs)
    etag = _etag(batches.find(tenant(), batch_id), f"{name} {query.model_dump_json()}")
    headers = {
        "Content-Type": CSV_TYPE if query.format == "csv" else NDJSON_TYPE,
        "Content-Disposition": f'attachment; filename="{batch_id}-{name}.{query.format}"',
        **_validators(etag),
    }
    if answer := _without_body(etag, headers):
        return answer
    head = (BYTE_ORDER_MARK if query.bom else "") + (header if query.format == "csv" else "")
    connection = request.environ.get("gunicorn.socket")
    found = lines(BatchReader(batches))
    return _reports().streams.response(tenant(), head.encode(), found, connection, headers, sent=sent)


def _etag(batch: BatchRecord, what: str) -> str | None:
    """Return what stands for a report of a batch, or None while an item of it is open.

    Once none is, only a retry or the deletion of an item changes it.
    """
    if batch.open_items or not batch.sealed:
        return None
    counts = sorted(batch.counts.items())
    state = (batch.id, batch.status, batch.run, batch.completed_ms, batch.gone, counts, what, _LAYOUT)
    return hashlib.sha256(repr(state).encode()).hexdigest()[:32]


def _validators(etag: str | None) -> dict[str, str]:
    return {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"} if etag else {}


def _without_body(etag: str | None, headers: dict[str, str]) -> Response | None:
    """Return the answer if the client holds the same already, or asks for the head alone; then no result is read."""
    if etag and request.if_none_match.contains_weak(etag):
        return Response(status=304, headers=_validators(etag))
    return Response(iter(()), headers=headers) if request.method == "HEAD" else None
