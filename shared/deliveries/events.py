"""What a receiver is told: a thin body, without landmarks, and where the rest is found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from shared.deliveries.record import TEST_EVENT

MAX_BODY_BYTES: Final = 20_000
"""Standard Webhooks, "Payload structure": larger ones are refused by some receivers."""
_RESULT_PATHS: Final = {"job": "/v1/jobs/{id}", "batch": "/v1/batches/{id}/results"}


def event_body(thing: Mapping[str, Any], event: str, timestamp: datetime, base_url: str) -> bytes:
    """Return the body of an event, under 20 kB.

    Parameters
    ----------
    thing : mapping
        The job or batch as the API shows it (`model_dump()`, or what was parsed of its JSON), a job's result included.
        It is not changed.
    event : str
        Such as `job.succeeded`.
    timestamp : datetime
        When it happened, aware.
    base_url : str
        Where clients reach the API, without a path.

    Raises
    ------
    ValueError
        If it is too long even without its faces, which no job and no batch of this service is.
    """
    path = _RESULT_PATHS[thing["object"]].format(id=thing["id"])
    data = {**thing, "result_url": base_url.rstrip("/") + path}
    if thing.get("result"):
        faces = [{key: face[key] for key in face if key != "landmarks"} for face in thing["result"].get("faces", ())]
        data["result"] = {**thing["result"], "faces": faces}
    body = _json(event, timestamp, data)
    if len(body) >= MAX_BODY_BYTES and thing.get("result"):
        data["result"] = {key: thing["result"][key] for key in thing["result"] if key != "faces"}
        body = _json(event, timestamp, data)
    if len(body) >= MAX_BODY_BYTES:
        raise ValueError(f"the body of {event} for {thing['id']} has {len(body)} bytes")
    return body


def body_of_test(delivery_id: str, timestamp: datetime) -> bytes:
    """Return the body of an event that only shows that the way is open."""
    return _json(TEST_EVENT, timestamp, {"id": delivery_id, "object": "delivery"})


def _json(event: str, timestamp: datetime, data: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": event, "timestamp": timestamp, "data": data}, option=orjson.OPT_UTC_Z)
