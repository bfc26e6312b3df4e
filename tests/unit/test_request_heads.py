"""A head is given to a thread when the server's parser needs nothing more, and not before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from hypothesis import given
from hypothesis import strategies as st

from api.connections import WatchedParser
from api.request_heads import MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES, Progress, awaits_body, has_body, progress_of

LINES = (b"GET", b"/", b" / HTTP/1.1", b"POST / HTTP/1.1\r\n", b"A: b", b"Host: a", b"Content-Length: 3", b"0\r\n\r\n")
PIECES = st.sampled_from([*LINES, b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b":", b"x", b"\0", b"\xff", b"http://a/"])
REQUEST = b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


class AskedForMoreError(Exception):
    pass


def parse(received: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield received
        raise AskedForMoreError

    cfg = Config()
    cfg.set("limit_request_line", MAX_REQUEST_LINE_BYTES)
    next(WatchedParser(cfg, pieces(), ("127.0.0.1", 1)))


@given(st.lists(PIECES, min_size=1, max_size=12).map(b"".join))
def test_what_is_readable_the_parser_takes_or_refuses_as_it_is(received: bytes) -> None:
    if progress_of(received) is Progress.READABLE:
        try:
            parse(received)
        except (ParseException, StopIteration):
            pass  # refused
        except AskedForMoreError:
            pytest.fail(f"a thread would wait for more than {received!r}")


@given(st.lists(PIECES, min_size=1, max_size=12).map(b"".join))
def test_what_the_parser_takes_is_readable(received: bytes) -> None:
    try:
        parse(received)
    except (ParseException, StopIteration, AskedForMoreError):
        return
    assert progress_of(received) is Progress.READABLE


def test_a_request_is_readable_from_the_end_of_its_head_on() -> None:
    head_bytes = REQUEST.index(b"abc")
    progress = [progress_of(REQUEST[:size]) for size in range(len(REQUEST) + 1)]
    assert progress == [Progress.INCOMPLETE] * head_bytes + [Progress.READABLE] * (len(REQUEST) - head_bytes + 1)


@pytest.mark.parametrize("beginning", [b"\x16\x03\x01", b"get / HTTP/1.1\r\n", b" GET", b"\0", b"{}", b"\n"])
def test_what_no_request_begins_with(beginning: bytes) -> None:
    assert progress_of(beginning) is Progress.NOT_HTTP


def test_a_head_without_end_is_given_up() -> None:
    line = b"A: b\r\n"
    head = b"GET / HTTP/1.1\r\n" + line * (MAX_HEAD_BYTES // len(line))
    assert progress_of(head[: MAX_HEAD_BYTES - 10]) is Progress.INCOMPLETE
    assert progress_of(head + line * 10) is Progress.TOO_LONG
    assert progress_of(head + line * 10 + b"\r\n") is Progress.TOO_LONG


def test_a_first_line_without_end_is_for_the_parser_to_refuse() -> None:
    line = b"GET /" + b"a" * (MAX_REQUEST_LINE_BYTES + 10)
    assert progress_of(line) is Progress.READABLE
    with pytest.raises(ParseException):
        parse(line)


@pytest.mark.parametrize(
    ("received", "has_one", "awaited"),
    [
        (REQUEST, True, False),
        (REQUEST[:-1], True, True),
        (REQUEST[:-3], True, True),
        (REQUEST.replace(b"Content-Length: 3", b"content-length:\t3 "), True, False),
        (REQUEST.replace(b"Content-Length: 3", b"Content-Length: 99999999999999999999"), True, True),
        (REQUEST.replace(b"Content-Length: 3", b"Content-Length: 0"), False, False),
        (REQUEST.replace(b"Content-Length: 3", b"Content-Length: " + b"0" * 5000), False, False),
        (REQUEST.replace(b"Content-Length: 3", b"Content-Length: " + b"0" * 5000 + b"30"), True, True),
        (REQUEST.replace(b"Content-Length: 3", b"X-Content-Length: 30"), False, False),
        (REQUEST.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked"), True, True),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", True, False),
        (b"GET / HTTP/1.1\r\n\r\n", False, False),
        (b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", False, False),
        (b"GET / HTTP/1.1\n\n", False, False),
    ],
)
def test_whether_there_is_a_body_and_whether_it_is_still_to_come(received: bytes, has_one: bool, awaited: bool) -> None:
    assert (has_body(received), awaits_body(received)) == (has_one, awaited)
