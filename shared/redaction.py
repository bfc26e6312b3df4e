"""The last wall before a log line is written: what must not be in it is taken out, however it came there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

GONE: Final = "[redacted]"
_BYTES: Final = "[bytes]"

_SENSITIVE: Final = frozenset(
    {
        *(
            "key",
            "keys",
            "secret",
            "secrets",
            "authorization",
            "password",
            "token",
            "cookie",
            "signature",
            "credentials",
        ),
        *("landmarks", "landmark", "image", "pixels", "photo", "body", "query"),
    }
)
"""A field whose name has one of these words in it keeps its name and loses its value."""

_LONGEST: Final = 20_000
"""Characters of a value, at most: a traceback is shorter, a face's landmarks are not."""

_PATTERNS: Final = (
    # What is behind the question mark of an address, whole or a path alone.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"<>]*)[?#][^\s'\"<>]*", re.IGNORECASE), rf"\1?{GONE}"),
    (re.compile(r"(/[^\s?'\"<>]*)\?[^\s'\"<>=]+=[^\s'\"<>]*"), rf"\1?{GONE}"),
    # Who asks, in an address or a header.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@'\"<>]+@", re.IGNORECASE), rf"\1{GONE}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE), rf"\1 {GONE}"),
    (
        re.compile(
            r"\b(X-API-Key|Authorization|X-Amz-[A-Za-z-]+|Idempotency-Key)(['\"]?\s*[:=]\s*['\"]?)[^\s'\",]+",
            re.IGNORECASE,
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), GONE),
)
_SUSPECT: Final = re.compile(r"[?#@:=\s]|whsec_")
"""What each pattern needs at least. Few texts have any of it, and to look is an eighth of what the patterns take."""
_WORDS: Final = re.compile(r"[^a-z]+")
_NAMES_KEPT: Final = 1024
_NUMBERS: Final = (int, float)


def redact(_: object, __: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event without what must not be logged, as a processor of structlog."""
    return {name: GONE if _is_sensitive(name) else _clean(value) for name, value in event.items()}


def redact_text(text: str) -> str:
    """Return a text without queries of addresses, names and passwords in them, and keys."""
    if _SUSPECT.search(text):
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


@lru_cache(_NAMES_KEPT)
def _is_sensitive(name: str) -> bool:
    return not _SENSITIVE.isdisjoint(_WORDS.split(name.lower()))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, _NUMBERS):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return _BYTES
    if isinstance(value, Mapping):
        return {str(name): GONE if _is_sensitive(str(name)) else _clean(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(part) for part in value]
    return redact_text(str(value))
