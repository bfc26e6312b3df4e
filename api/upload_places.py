"""How many batches may come in at once: each keeps a thread of the server, and gigabytes of the spool folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

from flask import Flask, current_app, request

from api.deadline import upload_deadline
from api.draining import drain
from api.problems import ProblemError, unavailable
from shared.config import MEGABYTE

_EXTENSION: Final = "facefit_upload_places"
_DRAINED_BYTES: Final = 20 * MEGABYTE
"""What is read of a request that finds no place, so that small ones hear why."""
_DRAINED_S: Final = 5.0
"""And for how long: whoever sends nothing must not keep a thread that found no place either."""


def register_upload_places(app: Flask, places: int) -> None:
    """Give an app as many places."""
    app.extensions[_EXTENSION] = threading.BoundedSemaphore(places)


@contextmanager
def upload_place() -> Iterator[None]:
    """Keep a place while the block runs; raise `ProblemError`, 503, if none is free."""
    places = cast("threading.BoundedSemaphore", current_app.extensions[_EXTENSION])
    if not places.acquire(blocking=False):
        with suppress(ProblemError), upload_deadline(request, pause_s=_DRAINED_S, total_s=_DRAINED_S):
            drain(request, _DRAINED_BYTES)
        detail = "As many batches as can be taken in at once are coming in. Nothing was accepted; send it again later."
        raise unavailable(detail)
    try:
        yield
    finally:
        places.release()
