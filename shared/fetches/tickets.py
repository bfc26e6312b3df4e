"""Where the URL of a photo is written down: in storage alone, for its query may hold what is for the receiver only.

A photo of its own has a ticket, an object that is its job's commit until the photo is there. An item has its line in
the manifest of its batch; the record knows where in it, so that a fetch reads one line and not ten thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PhotoUrl:
    """A photo that is to be fetched."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FetchFrom:
    """What a record knows of the URL that its photo is at.

    Attributes
    ----------
    receiver : str
        Who is asked, as `host:port`: what the limit of fetches at once counts.
    line : (int, int) or None
        Of an item: where its line begins in the manifest, and how many bytes it has.
    """

    receiver: str
    line: tuple[int, int] | None = None


def encode_ticket(photo: PhotoUrl) -> bytes:
    """Write a ticket."""
    return orjson.dumps({"version": VERSION, "url": photo.url})


def decode_ticket(body: bytes) -> PhotoUrl:
    """Read what `encode_ticket` wrote; raises ValueError, KeyError or TypeError of anything else."""
    fields = orjson.loads(body)
    if fields["version"] != VERSION:
        message = f"a ticket of version {fields['version']}"
        raise ValueError(message)
    return PhotoUrl(fields["url"])


def photo_in_line(line: bytes, job_id: str) -> PhotoUrl:
    """Read the URL in an item's line of a manifest; raises as `decode_ticket` does."""
    fields = orjson.loads(line)
    if fields["job"] != job_id:
        message = "the line of another item"
        raise ValueError(message)
    return PhotoUrl(fields["url"])
