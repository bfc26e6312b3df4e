"""A photo that is sent as the URL it is at: a JSON object with `image_url`, and options as members beside it."""

from __future__ import annotations

from typing import Any, Final

import orjson

from api.options import checked_options
from api.problems import invalid
from shared.config import Settings
from shared.fetches.tickets import PhotoUrl
from shared.schemas import JobOptions
from shared.targets import MAX_URL_LENGTH, TargetForbidden, check_target

URL_FIELD: Final = "image_url"
MAX_JSON_BYTES: Final = 65_536
"""Many times what a URL and all options can take."""
SCHEMA: Final = {
    "type": "string",
    "format": "uri",
    "maxLength": MAX_URL_LENGTH,
    "description": "Where the photo is: a public `https` URL that answers with the photo itself, without a redirect.",
}
"""Of the member, as JSON Schema."""


def read_photo_at_url(body: bytes, query: list[tuple[str, str]], settings: Settings) -> tuple[PhotoUrl, JobOptions]:
    """Read a URL and options from a JSON body; options may be in the query too.

    Raises
    ------
    ProblemError
        400 naming each field that is wrong; the URL, too, where its text shows that it may not be fetched from.
    """
    members = _members(body)
    for name, value in query:
        if name in members:
            raise invalid(name, "given more than once")
        members[name] = value
    url = members.pop(URL_FIELD, None)
    if not isinstance(url, str):
        raise invalid(URL_FIELD, "is missing; give the URL of the photo as text")
    options = checked_options(members)
    try:
        check_target(url, settings.outbound_policy(settings.fetch_timeout_s))
    except TargetForbidden as forbidden:
        raise invalid(URL_FIELD, str(forbidden)) from None
    return PhotoUrl(url), options


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(body)
    except ValueError as error:
        raise invalid("body", "is not JSON") from error
    if not isinstance(members, dict):
        raise invalid("body", f"must be a JSON object with {URL_FIELD!r} and options")
    return members
