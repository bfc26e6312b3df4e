"""Receipts of deletions."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from api import problems
from api.context import services, tenant
from api.presenters import JSON_TYPE, model_json
from api.problems import problem_responses
from api.reading_places import reading_place
from shared.clock import from_ms
from shared.deletion_schemas import Deletion
from shared.purges.receipts import Receipt, find_receipt
from shared.schema_base import Schema

PROMISE: Final = timedelta(minutes=15)
"""How long after a deletion its bytes may be in the files of the stores: `docs/privacy.md`."""

bp = APIBlueprint(
    "deletions", __name__, url_prefix="/v1", abp_tags=[Tag(name="deletions", description="What became of a deletion.")]
)


class DeletionPath(Schema):
    """Which deletion."""

    deleted_id: str
    """The id of the job or batch that was deleted."""


@bp.get(
    "/deletions/<deleted_id>",
    summary="Read the receipt of a deletion",
    responses={"200": Deletion, **problem_responses(problems.NOT_FOUND, problems.UNAVAILABLE)},
)
def read_deletion(path: DeletionPath) -> Response:
    """Answer with when a job or batch was deleted, and when its bytes had left the files of both stores."""
    with reading_place():
        receipt = find_receipt(services().jobs, tenant(), path.deleted_id)
    return Response(model_json(_model(receipt)), content_type=JSON_TYPE)


def _model(receipt: Receipt) -> Deletion:
    is_purged = receipt.records_ms is not None and receipt.storage_ms is not None
    deleted_at = from_ms(receipt.deleted_ms)
    return Deletion(
        id=receipt.id,
        status="purged" if is_purged else "pending",
        deleted_at=deleted_at,
        due_at=deleted_at + PROMISE,
        purged_from_records_at=None if receipt.records_ms is None else from_ms(receipt.records_ms),
        purged_from_storage_at=None if receipt.storage_ms is None else from_ms(receipt.storage_ms),
    )
