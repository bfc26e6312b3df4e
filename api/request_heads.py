"""How far the head of a request has come, judged without reading on, and whether a body is behind it or is to come."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

MAX_HEAD_BYTES: Final = 32 * 1024
"""Of request line and headers together; what browsers and proxies send stays under 16 KiB."""
MAX_REQUEST_LINE_BYTES: Final = 8190
"""The most that gunicorn takes."""

_END: Final = b"\r\n\r\n"
_FIRST_BYTES: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r")
"""Methods are in capitals; one empty line may come before."""
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*0*(\d{1,30})", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_LAST_CHUNK: Final = b"0\r\n\r\n"
_ASKING: Final = (b"GET ", b"HEAD ")
_ASKING_HOW_IT_IS: Final = b"GET /healthz "


class Progress(Enum):
    """What is to be done with what has come."""

    INCOMPLETE = auto()
    """Wait for more."""
    READABLE = auto()
    """The server's parser takes it, or refuses it, without another byte."""
    TOO_LONG = auto()
    """It has no end within bounds."""
    NOT_HTTP = auto()
    """No request begins like this: TLS at a plain port, for one."""


def progress_of(received: bytes | bytearray) -> Progress:
    """Judge what has come of a request so far."""
    if not received:
        return Progress.INCOMPLETE
    if received[0] not in _FIRST_BYTES:
        return Progress.NOT_HTTP
    end = received.find(_END)
    if 0 <= end <= MAX_HEAD_BYTES or _is_refused_unread(received):
        return Progress.READABLE
    return Progress.TOO_LONG if end >= 0 or len(received) > MAX_HEAD_BYTES else Progress.INCOMPLETE


def _is_refused_unread(received: bytes | bytearray) -> bool:
    """Tell whether the parser refuses this as it is: a line that ends with LF alone, or a first line without end."""
    if received.count(b"\n") != received.count(b"\r\n"):
        return True
    first_line = received[2:] if received.startswith(b"\r\n") else received
    return b"\r\n" not in first_line and len(first_line) > MAX_REQUEST_LINE_BYTES + len(_END)


def awaits_body(received: bytes | bytearray) -> bool:
    """Tell whether a part of the body of a request whose head is complete has not come yet.

    Only to decide who waits where: what the body is, the server's parser decides, which refuses what is ambiguous.
    """
    head_bytes = received.find(_END) + len(_END)
    if head_bytes < len(_END):
        return False
    head = bytes(received[:head_bytes])
    if _CHUNKED.search(head):
        return not received.endswith(_LAST_CHUNK)
    length = _CONTENT_LENGTH.search(head)
    return length is not None and int(length[1]) > len(received) - head_bytes


def only_asks(received: bytes | bytearray) -> bool:
    """Tell whether no route would read a body that comes with a request."""
    return received.startswith(_ASKING)


def asks_how_it_is(received: bytes | bytearray) -> bool:
    """Tell whether a request asks for no more than whether this process is well."""
    return received.startswith(_ASKING_HOW_IT_IS)


def has_body(received: bytes | bytearray) -> bool:
    """Tell whether a request whose head is complete brings a body, come or not; as little decides what it is."""
    head = bytes(received[: received.find(_END) + len(_END)])
    length = _CONTENT_LENGTH.search(head)
    return _CHUNKED.search(head) is not None or (length is not None and int(length[1]) > 0)
