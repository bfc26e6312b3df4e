"""JSON that is read value by value: whatever the pieces it comes in, and whatever hostile text it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.json_text import ITEMS, MAX_VALUE_LENGTH, JsonText, members_of_lines, members_of_object
from api.problems import ProblemError

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.fixed_dictionaries({ITEMS: st.lists(VALUES, max_size=5)}, optional={"max_faces": VALUES, "é\n": VALUES})


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def read(data: bytes, sizes: list[int] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {ITEMS: []}
    for name, value in members_of_object(JsonText(pieces(data, sizes or []))):
        if name == ITEMS:
            found[ITEMS].append(value)
        else:
            found[name] = value
    return found


def refused(data: bytes) -> str:
    with pytest.raises(ProblemError) as caught:
        read(data)
    assert caught.value.kind.code == "invalid_request"
    assert len(caught.value.detail) < 1000
    return caught.value.detail


@given(OBJECTS, st.lists(st.integers(1, 20), max_size=20), st.booleans(), st.sampled_from([None, 1]))
def test_what_is_json_is_read_as_it_is(
    wanted: dict[str, Any], sizes: list[int], ascii_only: bool, indent: int | None
) -> None:
    try:
        text = json.dumps(wanted, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:  # half a character
        return
    assert read(text, sizes) == wanted
    assert read(b"\xef\xbb\xbf" + text, sizes) == wanted


@given(st.lists(VALUES.filter(lambda value: not isinstance(value, float) or math.isfinite(value)), max_size=5))
def test_lines(values: list[Any]) -> None:
    text = "\r\n\n".join(json.dumps(value) for value in values).encode()
    assert [value for _, value in members_of_lines(JsonText([text]))] == values


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":, \\u08dnaNI1e9-.', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for members in (members_of_object, members_of_lines):
        try:
            found = list(members(JsonText([b'{"items":[', data, b"]}"])))
        except ProblemError:
            continue
        json.dumps(found)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "'{' is missing"),
        (b"[]", "'{' is missing"),
        (b'{"items":[', "items[0]"),
        (b'{"items":[{}', "items: is not JSON: ',' is missing"),
        (b'{"items":[{}}', "',' is missing"),
        (b'{"items":[{},]}', "items[1]"),
        (b'{"items":[{}],}', "a name is missing"),
        (b'{,"items":[]}', "a name is missing"),
        (b'{"items" []}', "':' is missing"),
        (b'{"items":{}}', "'[' is missing"),
        (b'{"items":[]} x', "goes on"),
        (b'{"items":[],"items":[]}', "items: is given twice"),
        (b'{"a":1,"a":2,"items":[]}', "a: is given twice"),
        (b'{"items":[{"reference":"a","reference":"b"}]}', "items[0]: an object has the same name twice"),
        (b'{"items":[NaN]}', "NaN is not JSON"),
        (b'{"items":[-Infinity]}', "-Infinity is not JSON"),
        (b'{"items":[{"a":1e999}]}', "too large"),
        (b'{"items":[' + b"9" * 5000 + b"]}", "too large"),
        (b'{"items":[18446744073709551616]}', "more than 64 bits"),
        (b'{"items":["\\ud800"]}', "half a character"),
        (b'{"items":[],"\\udfff":1}', "half a character"),
        (b'{"items":["\xff"]}', "not UTF-8"),
        (b'{"items":["\xc3', "not UTF-8"),
        ('{"items":[]}'.encode("utf-16"), "not UTF-8"),
        (b"\x1f\x8b\x08gzip", "not UTF-8"),
        (b'{"items":["a\nb"]}', "items[0]"),
        (b"{'items':[]}", "a name is missing"),
        (b'{"items":[tru]}', "items[0]"),
        (b'{"items":[' + b"[" * 100_000, "items[0]"),
        (b'{"items":[' + b"[" * 60_000 + b"]" * 60_000 + b"]}", "nested too deeply"),
        (b'{"items":["' + b"x" * 4 * MAX_VALUE_LENGTH + b'"]}', "more than"),
        (b'{"' + b"x" * 4 * MAX_VALUE_LENGTH + b'":1}', "more than"),
        (b'{"' + b"x" * 1000 + b'":nul}', "is not JSON"),
    ],
)
def test_what_is_refused(data: bytes, said: str) -> None:
    assert said in refused(data)


def test_a_list_is_never_held_whole() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield b'{"items":['
        while True:
            taken += 1
            yield b"{}," * 1000

    members = members_of_object(JsonText(chunks()))
    for _ in range(10_000):
        next(members)
    assert taken < 60


@pytest.mark.parametrize("line", [b"{} {}", b'{"a":1}x\n', b"{},\n{}"])
def test_items_on_one_line(line: bytes) -> None:
    with pytest.raises(ProblemError, match="a line of its own"):
        list(members_of_lines(JsonText([line])))
