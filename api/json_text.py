"""JSON as it comes in, value by value: a list of thousands of items is never held whole, nor a hostile one unfolded."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

import orjson

from api.problems import invalid

MAX_VALUE_LENGTH: Final = 65_536
"""Characters that one item or option may have; a URL of 2,048 and every option there is take a tenth."""
_TOO_LONG: Final = f"is not JSON, or has more than {MAX_VALUE_LENGTH} characters"
_READ_AHEAD_BYTES: Final = 65_536
_SHOWN_LENGTH: Final = 64
"""How much of a name that nobody knows is said back."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_LINE_SPACE: Final = re.compile(r"[ \t\r]*")


class _NotTaken(ValueError):
    """Raised for what is JSON, or what Python takes for it, and is not taken here."""


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _NotTaken("an object has the same name twice")
    return members


def _constant(name: str) -> NoReturn:
    raise _NotTaken(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NotTaken("a number is too large")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object_of, parse_constant=_constant, parse_float=_number)


class JsonText:
    """A text of which little more than the next value is held.

    Every method raises `ProblemError`, 400, for what is not JSON in UTF-8.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._is_whole = False

    def next_character(self, space: re.Pattern[str] = _SPACE) -> str:
        """Return the next character that is no space, and stay before it; an empty text at the end."""
        while True:
            if found := space.match(self._text, self._at):
                self._at = found.end()
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def skip(self, expected: str, where: str) -> None:
        """Go past a character that must come next."""
        if self.next_character() != expected:
            raise invalid(where, f"is not JSON: {expected!r} is missing")
        self._at += 1

    def skip_if(self, character: str) -> bool:
        """Go past a character if it comes next; tell whether it did."""
        comes = self.next_character() == character
        self._at += comes
        return comes

    def is_at_line_end(self) -> bool:
        """Tell whether nothing but spaces is left of the line."""
        return self.next_character(_LINE_SPACE) in {"", "\n"}

    def value(self, where: str) -> Any:
        """Return the next value and go past it.

        Parameters
        ----------
        where : str
            What the value is called in a problem.
        """
        self.next_character()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except _NotTaken as error:
                raise invalid(where, str(error)) from error
            except json.JSONDecodeError as error:
                self._need_more(where, f"is not JSON: {error.msg}", error)
            except (RecursionError, ValueError) as error:  # the latter: an integer of thousands of digits
                raise invalid(where, "is nested too deeply, or has a number that is too large") from error
            else:
                # A number at the end of what is held may go on.
                if end < len(self._text) or not self._read_on():
                    if end - self._at > MAX_VALUE_LENGTH:
                        raise invalid(where, _TOO_LONG)
                    self._at = end
                    return _checked(value, where)

    def _need_more(self, where: str, message: str, error: Exception) -> None:
        if len(self._text) - self._at > MAX_VALUE_LENGTH:
            raise invalid(where, _TOO_LONG) from error
        if not self._read_on():
            raise invalid(where, message) from error

    def _read_on(self) -> bool:
        """Hold more of the text, enough that what began is not looked at again and again; False at its end."""
        if self._is_whole:
            return False
        parts, n_bytes = [self._text[self._at :]], 0
        try:
            while n_bytes < _READ_AHEAD_BYTES and (chunk := next(self._chunks, None)) is not None:
                parts.append(self._decoder.decode(chunk))
                n_bytes += len(chunk)
            if n_bytes < _READ_AHEAD_BYTES:
                parts.append(self._decoder.decode(b"", final=True))
                self._is_whole = True
        except UnicodeDecodeError as error:
            raise invalid("body", "is not UTF-8") from error
        self._text, self._at = "".join(parts), 0
        return True


def _checked(value: Any, where: str) -> Any:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise invalid(where, "has half a character, or a number of more than 64 bits") from error
    return value


ITEMS: Final = "items"

Member = tuple[str, Any]
"""The name of a member of the request, and its value; for each item one of the name `items`."""


def members_of_object(text: JsonText) -> Iterator[Member]:
    """Yield the members of `{"items": [...], ...}`, the items one by one."""
    seen: set[str] = set()
    text.skip("{", "body")
    while not text.skip_if("}"):
        if seen:
            text.skip(",", "body")
        if text.next_character() != '"':
            raise invalid("body", "is not JSON: a name is missing")
        name = text.value("body")
        text.skip(":", "body")
        if name in seen:
            raise invalid(name[:_SHOWN_LENGTH], "is given twice")
        seen.add(name)
        if name == ITEMS:
            yield from ((ITEMS, item) for item in _entries(text))
        else:
            yield name, text.value(name[:_SHOWN_LENGTH])
    if text.next_character():
        raise invalid("body", "goes on after the end of the object")


def _entries(text: JsonText) -> Iterator[Any]:
    text.skip("[", ITEMS)
    n_items = 0
    while not text.skip_if("]"):
        if n_items:
            text.skip(",", ITEMS)
        yield text.value(f"{ITEMS}[{n_items}]")
        n_items += 1


def members_of_lines(text: JsonText) -> Iterator[Member]:
    """Yield the items of NDJSON: one on each line that is not empty."""
    n_items = 0
    while text.next_character():
        item = text.value(f"{ITEMS}[{n_items}]")
        if not text.is_at_line_end():
            raise invalid(f"{ITEMS}[{n_items}]", "goes on after its end; each item has a line of its own")
        yield ITEMS, item
        n_items += 1
