"""What is left of a request that is refused before it was read to its end."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from flask import Request

from api.deadline import upload_deadline
from api.problems import ProblemError
from shared.config import MEGABYTE

_CHUNK_BYTES: Final = 64 * 1024
_BRIEF_BYTES: Final = 20 * MEGABYTE
"""A photo at its largest."""
_BRIEF_S: Final = 5.0
"""Whoever sends nothing must not keep a thread that it was refused."""


def drain(request: Request, at_most_bytes: int) -> None:
    """Read on for a while: a server that closes with unread bytes resets the connection, and the answer is lost."""
    stream = request.environ["wsgi.input"]
    left = at_most_bytes
    while left > 0 and (chunk := stream.read(min(_CHUNK_BYTES, left))):
        left -= len(chunk)


def drain_briefly(request: Request) -> None:
    """Read on for some seconds before refusing a request whose body was not looked at, so that small ones hear why."""
    with suppress(ProblemError), upload_deadline(request, pause_s=_BRIEF_S, total_s=_BRIEF_S):
        drain(request, _BRIEF_BYTES)
