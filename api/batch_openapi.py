"""How the request that makes a batch is described in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final, cast

from pydantic import ConfigDict

from api import idempotency, rate_limit_fields
from api.batch_items import FetchedItem, UploadedItem
from api.options import FORM_ENCODING, OPTION_SCHEMAS, QUERY_PARAMETERS
from shared.batch_schemas import NewBatch
from shared.schema_base import Schema

_REFERENCE: Final = "reference"
_BINARY: Final = {"type": "string", "format": "binary"}
_BATCH_OPTIONS: Final = {name: schema for name, schema in OPTION_SCHEMAS.items() if name != _REFERENCE}


def _item(kind: type[Schema]) -> dict[str, Any]:
    described = kind.model_json_schema()
    properties = {
        name: {key: value for key, value in schema.items() if key != "title"}
        for name, schema in described["properties"].items()
    }
    return {
        "type": "object",
        "description": described["description"],
        "required": described["required"],
        "properties": {**properties, **OPTION_SCHEMAS},
    }


_ITEM: Final = {"oneOf": [_item(UploadedItem), _item(FetchedItem)]}

SUBMIT_EXTENSIONS: Final = {
    "parameters": [
        *(parameter for parameter in QUERY_PARAMETERS if parameter["name"] != _REFERENCE),
        idempotency.PARAMETER,
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "description": "Photos, or one zip archive of photos, and options of the batch in any order.",
                    "properties": {
                        "images": {
                            "type": "array",
                            "items": _BINARY,
                            "description": "Each in a part of its own; the file's name is its reference.",
                        },
                        "archive": {**_BINARY, "description": "A zip; the path of each file is its reference."},
                        **_BATCH_OPTIONS,
                    },
                },
                "encoding": FORM_ENCODING,
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["items"],
                    "properties": {"items": {"type": "array", "minItems": 1, "items": _ITEM}, **_BATCH_OPTIONS},
                }
            },
            "application/x-ndjson": {
                "schema": {**_ITEM, "description": "One item on each line; options of the batch in the query."}
            },
        },
    },
}
"""What the OpenAPI library takes beside what it finds by itself."""

_CREATED: Final[Any] = {
    "title": NewBatch.__name__,
    "openapi_extra": {
        "description": "Created; its photos are awaited",
        "headers": {**idempotency.REPLAYED_HEADERS, **rate_limit_fields.HEADERS},
    },
}
"""`openapi_extra` is read by the OpenAPI library, not by pydantic."""


class CreatedBatch(NewBatch):
    """A batch whose photos are awaited, with every item and its upload form, in the order of the request."""

    model_config = cast("ConfigDict", _CREATED)
