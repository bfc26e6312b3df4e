"""How many batches may come in at once: each keeps a thread of the server, and gigabytes of the spool folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from flask import Flask, current_app, request

from api.context import tenant
from api.draining import drain_briefly
from api.places import Places
from api.problems import unavailable

_EXTENSION: Final = "facefit_upload_places"


def register_upload_places(app: Flask, places: int) -> None:
    """Give an app as many places."""
    app.extensions[_EXTENSION] = Places(places)


@contextmanager
def upload_place() -> Iterator[None]:
    """Keep a place while the block runs; raise `ProblemError`, 503, if none is free for its tenant."""
    with cast("Places", current_app.extensions[_EXTENSION]).place(tenant()) as is_given:
        if not is_given:
            drain_briefly(request)
            detail = "As many batches as can be taken in at once are coming in. Nothing was accepted; send it later."
            raise unavailable(detail)
        yield
