"""A parser of lists of items, by RFC 9651 section 4.2, strict about every character: what is told must be what is read.

Only what the service sends: items that are strings or tokens, parameters that are integers or strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_INTEGER = re.compile(r"-?\d{1,15}(?![\d.])")
_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")


@dataclass
class Item:
    value: str | int
    parameters: dict[str, str | int | bool]


def parsed_list(text: str) -> list[Item]:
    """Return the items of a field; raise ValueError for what RFC 9651 says must fail."""
    if not text.isascii() or text != text.strip(" "):
        raise ValueError(text)
    items: list[Item] = []
    while text:
        value, text = _bare(text)
        parameters: dict[str, str | int | bool] = {}
        while text.startswith(";"):
            text = text[1:].lstrip(" ")
            if (key := _KEY.match(text)) is None:
                raise ValueError(text)
            text = text[key.end() :]
            parameters[key[0]] = True
            if text.startswith("="):
                parameters[key[0]], text = _bare(text[1:])
        items.append(Item(value, parameters))
        text = text.lstrip(" \t")
        if not text:
            break
        if not text.startswith(","):
            raise ValueError(text)
        text = text[1:].lstrip(" \t")
        if not text:
            raise ValueError("a comma at the end")
    return items


def _bare(text: str) -> tuple[str | int, str]:
    if (string := _STRING.match(text)) is not None:
        return re.sub(r"\\(.)", r"\1", string[1]), text[string.end() :]
    if (integer := _INTEGER.match(text)) is not None:
        return int(integer[0]), text[integer.end() :]
    raise ValueError(text)
