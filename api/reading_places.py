"""How many requests may read from storage at once: should it hang, each keeps a thread until it gives up on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from flask import Flask, current_app

from shared.errors import StorageUnavailable

_EXTENSION: Final = "facefit_reading_places"
_WAIT_S: Final = 0.25
"""For a place: longer than a crowd of reads takes, short enough that those who wait are never many."""


def register_reading_places(app: Flask, places: int) -> None:
    """Give an app as many places."""
    app.extensions[_EXTENSION] = threading.BoundedSemaphore(places)


@contextmanager
def reading_place() -> Iterator[None]:
    """Keep a place while the block reads from storage.

    Raises
    ------
    StorageUnavailable
        If none becomes free in a moment: then those who have them are not being answered.
    """
    places = cast("threading.BoundedSemaphore", current_app.extensions[_EXTENSION])
    if not places.acquire(timeout=_WAIT_S):
        message = "as many requests as may be reading from storage"
        raise StorageUnavailable(message)
    try:
        yield
    finally:
        places.release()
