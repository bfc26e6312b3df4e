"""How many batches may come in at once: each keeps a thread of the server, and gigabytes of the spool folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from flask import Flask, current_app, request

from api.draining import drain_briefly
from api.problems import unavailable

_EXTENSION: Final = "facefit_upload_places"


def register_upload_places(app: Flask, places: int) -> None:
    """Give an app as many places."""
    app.extensions[_EXTENSION] = threading.BoundedSemaphore(places)


@contextmanager
def upload_place() -> Iterator[None]:
    """Keep a place while the block runs; raise `ProblemError`, 503, if none is free."""
    places = cast("threading.BoundedSemaphore", current_app.extensions[_EXTENSION])
    if not places.acquire(blocking=False):
        drain_briefly(request)
        detail = "As many batches as can be taken in at once are coming in. Nothing was accepted; send it again later."
        raise unavailable(detail)
    try:
        yield
    finally:
        places.release()
