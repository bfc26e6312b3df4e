"""What `schemathesis` cannot make up: ids of things that are there. Named to it by `bench.openapi_fuzz`."""

from __future__ import annotations

import os
import zlib
from typing import Any

import schemathesis

_PARAMETERS = {"job_id": "job_", "batch_id": "bat_"}
_KNOWN = os.environ.get("FACEFIT_FUZZ_IDS", "").split(",")
_LONGEST_WAIT_S = 1.0


@schemathesis.hook
def map_path_parameters(context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ask for what is there every other time; which times, the made-up value decides, so that a seed repeats them.

    It is not deleted: the rest of the run would only see that it has gone.
    """
    if context.operation.method.upper() == "DELETE":
        return parameters
    for name, prefix in _PARAMETERS.items():
        if parameters and name in parameters and zlib.crc32(repr(parameters[name]).encode()) % 2:
            parameters[name] = next((known for known in _KNOWN if known.startswith(prefix)), parameters[name])
    return parameters


@schemathesis.hook
def map_query(_context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Wait for a second at most: waiting finds nothing."""
    if query and isinstance(query.get("wait"), int | float):
        query["wait"] = min(query["wait"], _LONGEST_WAIT_S)
    return query
