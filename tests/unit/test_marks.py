"""The search of the tests finds what it is to find."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.marks import found_below, found_in

VALUE = b'{"x":91,"y":147,"z":-3.5}'


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        json.dumps({"body": VALUE.decode()}).encode(),
        quote(VALUE.decode()).encode(),
        VALUE.hex().encode(),
        b"\x1f\x8b\x08" + gzip.compress(b"a volume has many: " + VALUE) + gzip.compress(b"another"),
        *(base64.b64encode(bytes(before) + VALUE + bytes(5)) for before in range(4)),
    ],
)
def test_a_value_is_found_in_every_form(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"before " + written + b" after")
    assert found_below([tmp_path], {"it": VALUE, "another": b"something else"}) == {"folder/file": {"it"}}


def test_what_is_not_there_is_not_found() -> None:
    assert found_in(VALUE[1:], {"it": VALUE}) == set()
