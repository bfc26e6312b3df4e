"""A photo to be submitted, wherever it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from facefit import requests
from facefit.calls import Call
from facefit.errors import PhotoUnreadable
from facefit.models.jobs import Job
from facefit.photos import Photo, photo_source


def submission(
    photo: Photo | None, image_url: str | None, options: Mapping[str, Any], key: str | None
) -> Callable[[float], Call[Job]]:
    """Return what makes the request, given for how long its answer may be waited for.

    Raises
    ------
    PhotoUnreadable
        If there is no photo, or two.
    """
    key = str(uuid.uuid4()) if key is None else key  # one for all attempts
    if image_url is not None and photo is None:
        return lambda wait_s: requests.submit_url(image_url, options, key=key, wait_s=wait_s)
    if photo is None or image_url is not None:
        raise PhotoUnreadable("give one photo: its path, its bytes, an open file, or image_url=…")
    source = photo_source(photo)
    return lambda wait_s: requests.submit_photo(source, options, key=key, wait_s=wait_s)
