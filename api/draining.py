"""What is left of a request that is refused before it was read to its end."""

from __future__ import annotations

from flask import Request

_CHUNK_BYTES = 64 * 1024


def drain(request: Request, at_most_bytes: int) -> None:
    """Read on for a while: a server that closes with unread bytes resets the connection, and the answer is lost."""
    stream = request.environ["wsgi.input"]
    left = at_most_bytes
    while left > 0 and (chunk := stream.read(min(_CHUNK_BYTES, left))):
        left -= len(chunk)
