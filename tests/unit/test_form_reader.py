"""Multipart forms in one temporary file: whatever the pieces they come in, and whatever is not a form."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from api.form_reader import ReceivedForm, read_form
from api.problems import ProblemError, invalid
from shared.storage.base import HELD_WHOLE_BYTES

BOUNDARY = b"limit"
LINE = b"\r\n"


class Pieces(io.RawIOBase):
    """A body that comes in pieces of the given sizes, and then the rest."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = min(len(buffer), self._sizes.pop(0) if self._sizes else len(self._data))
        piece, self._data = self._data[:size], self._data[size:]
        buffer[: len(piece)] = piece
        return len(piece)


def file_part(name: str, filename: str, data: bytes) -> bytes:
    head = f'--limit\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + data + LINE


def field_part(name: str, text: str) -> bytes:
    return f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


END = b"--limit--\r\n"


FORM_TYPE = "multipart/form-data; boundary=limit"


MAX_FILES = 12_000


def request_of(stream: io.IOBase, n_bytes: int, content_type: str = FORM_TYPE) -> Request:
    environ = EnvironBuilder(method="POST").get_environ()
    sent = {"wsgi.input": stream, "CONTENT_LENGTH": str(n_bytes), "CONTENT_TYPE": content_type}
    return Request({**environ, **sent})


@contextmanager
def received(body: bytes, sizes: list[int] | None = None, content_type: str = FORM_TYPE) -> Iterator[ReceivedForm]:
    request = request_of(Pieces(body, sizes or []), len(body), content_type)
    with read_form(request, lambda *_: None, None, max_files=MAX_FILES) as form:
        yield form


def refused(body: bytes, content_type: str = FORM_TYPE) -> str:
    with pytest.raises(ProblemError) as caught, received(body, content_type=content_type):
        pass
    assert caught.value.kind.code == "invalid_request"
    return caught.value.detail


# Bytes that look like the ends of parts.
DATA = st.binary(max_size=300) | st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"limi", b"--limi", b"\r\n--limi", b"x"]), max_size=40
).map(b"".join)


@given(
    st.lists(st.tuples(st.sampled_from(["images", "archive"]), st.from_regex(r"[\w .-]{1,20}", fullmatch=True), DATA)),
    st.lists(st.integers(1, 50), max_size=60),
)
def test_files_come_back_as_they_were_sent(parts: list[tuple[str, str, bytes]], sizes: list[int]) -> None:
    body = b"".join(file_part(*part) for part in parts) + field_part("max_faces", "3") + END
    with received(body, sizes) as form:
        assert form.fields == [("max_faces", "3")]
        assert [(part.field, part.filename, form.open(part).read()) for part in form.files] == parts
        assert [part.size_bytes for part in form.files] == [len(data) for _, _, data in parts]


@pytest.mark.parametrize("padding", [b"", b"  \t"])
def test_a_form_may_be_cut_anywhere(padding: bytes) -> None:
    body = file_part("images", "a", b"one") + file_part("images", "b", b"two\r\n") + field_part("max_faces", "3") + END
    body = body.replace(b"limit\r\n", b"limit" + padding + b"\r\n")
    for sizes in ([first, second] for first in range(1, len(body)) for second in (1, 2, 3)):
        with received(body, list(sizes)) as form:
            assert [form.open(part).read() for part in form.files] == [b"one", b"two\r\n"], sizes
            assert form.fields == [("max_faces", "3")], sizes


def test_a_file_of_a_form_is_a_file_of_its_own() -> None:
    first, second = os.urandom(200_000), os.urandom(100_000)
    with received(file_part("images", "a", first) + file_part("images", "b", second) + END) as form:
        one, another = (form.open(part) for part in form.files)
        assert one.seek(0, io.SEEK_END) == len(first)
        assert one.read(10) == b""
        one.seek(-10, io.SEEK_CUR)
        assert one.read() == first[-10:]
        with pytest.raises(OSError, match="before the start"):
            one.seek(-1)
        one.seek(5)
        assert one.read(7) == first[5:12]
        assert another.read() == second


def test_files_of_a_form_are_read_by_several_threads() -> None:
    parts = [os.urandom(2_000_000) for _ in range(4)]
    with received(b"".join(file_part("images", str(n), data) for n, data in enumerate(parts)) + END) as form:
        read: dict[int, bytes] = {}

        def run(number: int) -> None:
            body = form.open(form.files[number])
            read[number] = b"".join(iter(lambda: body.read(10_000), b""))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(len(parts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [read[number] for number in range(len(parts))] == parts


@pytest.mark.parametrize("name", ["фото 1.jpg", "写真.jpg", "صورة.jpg", "😀.jpg", "फ़ोटो.jpg", "a'b%20;c.jpg"])
def test_names_in_any_script(name: str) -> None:
    with received(file_part("images", name, b"x") + END) as form:
        assert [part.filename for part in form.files] == [name]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "cut short"),
        (b"no form", "cut short"),
        (file_part("images", "a", b"x"), "cut short"),
        (file_part("images", "a", b"x") + END[:-4], "cut short"),
        (b"x" * 600_000, "outside its parts"),
        (END + b"x" * 600_000, "outside its parts"),
        (b"--limit\r\nX: " + b"y" * 600_000, "headers without end"),
        (b"--limit\r\nX: y\r\n\r\nz\r\n" + END, "cut short, or its headers"),
        (b'--limit\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nz\r\n' + END, "not UTF-8"),
        (b"--limit\r\nContent-Disposition: form-data\r\n\r\nz\r\n" + END, "has no name"),
        (field_part("a" * 129, "x") + END, "over 128 characters"),
        (file_part("a" * 100_000, "x", b"") + END, "over 128 characters"),
        (field_part("a", "x" * 600_000) + END, "too much text"),
        (b"".join(field_part(f"f{n}", "x" * 10_000) for n in range(60)) + END, "too much text"),
        (b"".join(field_part(f"f{n}", "") for n in range(65)) + END, "too many fields"),
    ],
)
def test_what_is_no_form(body: bytes, said: str) -> None:
    assert said in refused(body)


def test_a_form_without_a_boundary() -> None:
    assert "boundary" in refused(b"x", "multipart/form-data")


@pytest.mark.parametrize("length", [1, 70, 73, 200])
def test_boundaries_may_be_longer_than_the_standard_has_them(length: int) -> None:
    boundary = "b" * length
    body = (field_part("a", "x") + file_part("images", "a.jpg", b"photo") + END).replace(b"limit", boundary.encode())
    request = request_of(io.BytesIO(body), len(body), f"multipart/form-data; boundary={boundary}")
    with read_form(request, lambda *_: None, None, max_files=MAX_FILES) as form:
        assert form.fields == [("a", "x")]
        assert form.open(form.files[0]).read() == b"photo"


def test_a_boundary_has_its_limit() -> None:
    assert "boundary" in refused(b"x", "multipart/form-data; boundary=" + "b" * 201)


def test_a_file_that_is_refused_by_its_name_is_not_read() -> None:
    body = io.BytesIO(file_part("images", "a", bytes(5_000_000)) + END)
    request = request_of(body, len(body.getvalue()))

    def refuse(field: str, filename: str) -> None:
        raise invalid(field, filename)

    with pytest.raises(ProblemError, match="images: a"), read_form(request, refuse, None, max_files=1):
        pass
    assert body.tell() < 200_000


def test_names_and_files_without_a_name_are_bounded() -> None:
    """Each is held in memory until the request ends, and none of them counts as content."""
    assert "name has over 1024" in refused(file_part("images", "\U0001f600" * 1025, b"x") + END)
    assert "too many files" in refused(file_part("images", "", b"") * (MAX_FILES + 1) + END)
    with received(file_part("images", "\U0001f600" * 1024, b"x") + END) as form:
        assert len(form.files[0].filename) == 1024


def test_what_is_large_goes_to_the_given_folder(tmp_path: Path) -> None:
    body = file_part("images", "a", bytes(HELD_WHOLE_BYTES + 1)) + END
    with read_form(request_of(io.BytesIO(body), len(body)), lambda *_: None, str(tmp_path), max_files=1) as form:
        assert form.open(form.files[0]).read() == bytes(HELD_WHOLE_BYTES + 1)
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(FileNotFoundError),
        read_form(request_of(io.BytesIO(body), len(body)), lambda *_: None, str(tmp_path / "gone"), max_files=1),
    ):
        pass
