"""What every model of the wire is made from."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Base of every model: closed, so that a name nobody declared is an error and not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def model_json_schema(cls, *args: Any, **named: Any) -> dict[str, Any]:
        """Return the JSON schema; without arguments the same object each time, to be read only.

        The web framework asks so for every request with a query, which cost more than the rest of a poll.
        """
        return super().model_json_schema(*args, **named) if args or named else _json_schema(cls)


@cache
def _json_schema(model: type[Schema]) -> dict[str, Any]:
    return super(Schema, model).model_json_schema()
