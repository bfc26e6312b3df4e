"""The options of a photo: read from the fields of a form or a query, and described for the OpenAPI document.

Both come from `JobOptions`. Forms and queries hold text only, so what is described here has no nulls, and lists are
separated by commas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from api.problems import invalid, invalid_fields
from shared.measurements import DEFINITIONS
from shared.schemas import JobOptions

T = TypeVar("T")


def parse_options(fields: list[tuple[str, str]]) -> JobOptions:
    """Make options of form fields and query parameters.

    Parameters
    ----------
    fields : list of (str, str)
        Names and values as they were sent.

    Raises
    ------
    ProblemError
        400 naming each field that is wrong.
    """
    return checked_options(once_each(fields))


def once_each(fields: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return values by name; raise `ProblemError`, 400, for a name that is given more than once."""
    given: dict[str, T] = {}
    for name, value in fields:
        if name in given:
            raise invalid(name, "given more than once; separate the entries of a list by commas")
        given[name] = value
    return given


def checked_options(given: Mapping[str, Any]) -> JobOptions:
    """Make options of names and values; raises as `parse_options` does."""
    try:
        return JobOptions.model_validate(given)
    except ValidationError as error:
        raise invalid_fields(error) from error


def _described_options() -> dict[str, dict[str, Any]]:
    document = JobOptions.model_json_schema(mode="validation")  # a copy of its own, to be changed
    described = {
        name: _as_text_field(schema, document.get("$defs", {})) for name, schema in document["properties"].items()
    }
    described["require"]["items"]["enum"] = [definition.key for definition in DEFINITIONS]
    described["reference_object"]["examples"] = ["id1_card", "aruco:4x4_50:40"]
    return described


def _as_text_field(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Write out references, and leave out null: no field of a form can hold one."""
    flat = dict(schema)
    for choice in flat.pop("anyOf", []):
        if choice.get("type") != "null":
            flat = {**choice, **flat}
    if "$ref" in flat:
        flat = {**definitions[_name(flat)], **flat}
        del flat["$ref"]
    if "$ref" in flat.get("items", {}):
        flat["items"] = {key: definitions[_name(flat["items"])][key] for key in ("type", "enum")}
    if flat.get("default", ...) is None:
        del flat["default"]
    flat.pop("title", None)
    flat["description"] = " ".join(flat["description"].split())
    return flat


def _name(reference: dict[str, Any]) -> str:
    """Return the name of what a schema refers to."""
    return str(reference["$ref"]).rpartition("/")[2]


OPTION_SCHEMAS: Final = _described_options()
"""By name, as JSON Schema of OpenAPI 3.1."""

_LISTS: Final = tuple(name for name, schema in OPTION_SCHEMAS.items() if schema["type"] == "array")
_COMMA_SEPARATED: Final = {"style": "form", "explode": False}

QUERY_PARAMETERS: Final = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": schema["description"],
        **(_COMMA_SEPARATED if name in _LISTS else {}),
    }
    for name, schema in OPTION_SCHEMAS.items()
]
"""Parameter objects of OpenAPI."""

FORM_ENCODING: Final = dict.fromkeys(_LISTS, _COMMA_SEPARATED)
"""Encoding object of OpenAPI for a form that holds the options."""
