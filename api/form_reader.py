"""A multipart form with thousands of files: all of them go, one behind the other, into one temporary file.

The framework's own parser holds a file object for each part: 10,000 of them are more than a process may have open, or
gigabytes of memory where parts are small. Here a part is a name and its place in the one file, and the fields of the
form may stand before the files or behind them.
"""

from __future__ import annotations

import errno
import io
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, BinaryIO, Final, cast

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from api.problems import ProblemError, invalid
from shared.storage.base import HELD_WHOLE_BYTES

_CHUNK_BYTES: Final = 64 * 1024
_BUFFER_BYTES: Final = 192 * 1024
"""What the parser may hold: the headers of a part, or two pieces of what is sent."""
_MAX_TEXT_BYTES: Final = 512 * 1024
"""Of all fields that are no files."""
_MAX_NAME_LENGTH: Final = 128
"""Of a field."""
_MAX_FILENAME_LENGTH: Final = 1024
"""A name and the folders before it; each is held until the request ends."""
_MAX_FIELDS: Final = 64
_MAX_BOUNDARY_BYTES: Final = 200
"""RFC 2046, 5.1.1 has 70; clients in use send more (one form in a hundred that Werkzeug makes has 71 to 73)."""
_LINE_BYTES: Final = 1024
"""More than the line of a boundary has, padding included."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a form.

    Attributes
    ----------
    field : str
        The form's name for it.
    filename : str
        As it was sent.
    start, size_bytes : int
        Where it lies among the files.
    """

    field: str
    filename: str
    start: int
    size_bytes: int


@dataclass(slots=True)
class ReceivedForm:
    """A form that has come whole.

    Attributes
    ----------
    fields : list of (str, str)
        Those that are no files.
    files : list of FilePart
        In the order in which they came.
    """

    spool: IO[bytes]
    _turn: threading.Lock = field(default_factory=threading.Lock)
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[FilePart] = field(default_factory=list)

    def open(self, part: FilePart) -> BinaryIO:
        """Return a file as a stream of its own, at its start; several threads may read one each."""
        return cast("BinaryIO", io.BufferedReader(_Slice(self.spool, part, self._turn), _CHUNK_BYTES))


class _Slice(io.RawIOBase):
    def __init__(self, spool: IO[bytes], part: FilePart, turn: threading.Lock) -> None:
        self._spool = spool
        self._part = part
        self._turn = turn
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        from_where = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size_bytes}[whence]
        if from_where + offset < 0:
            raise OSError(errno.EINVAL, "before the start")  # as a file does
        self._at = from_where + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._part.size_bytes - self._at))
        with self._turn:
            self._spool.seek(self._part.start + self._at)
            n_read: int = self._spool.readinto(memoryview(buffer)[:wanted])  # type: ignore[attr-defined]
        self._at += n_read
        return n_read


@contextmanager
def read_form(
    request: Request,
    check: Callable[[str, str], None],
    folder: str | None,
    while_it_comes: Callable[[], None] = lambda: None,
    *,
    max_files: int,
) -> Iterator[ReceivedForm]:
    """Receive a form; its temporary file lives as long as the block.

    Parameters
    ----------
    request : Request
        Multipart, its body not touched yet.
    check : callable
        Told of each file, its field and its name, before its bytes are read; refuses what is refused by that alone.
    folder : str or None
        Where the temporary file lies; None for the system's own folder.
    while_it_comes : callable
        Called again and again until the form has come; what it raises ends the reading.
    max_files : int
        How many files it may have, those without a name included.

    Raises
    ------
    ProblemError
        400 for what is no whole form, or has too many fields or files.
    RequestEntityTooLarge
        If the body is longer than the request allows.
    """
    with tempfile.SpooledTemporaryFile(HELD_WHOLE_BYTES, dir=folder) as spool:
        form = ReceivedForm(cast("IO[bytes]", spool))
        _Receiver(form, check, max_files).receive(request, while_it_comes)
        yield form


class _Receiver:
    """Follows the parser's events."""

    def __init__(self, form: ReceivedForm, check: Callable[[str, str], None], max_files: int) -> None:
        self._form = form
        self._check = check
        self._files_left = max_files
        self._part: Field | File | None = None
        self._start = 0
        self._text = bytearray()
        self._text_bytes = 0

    def receive(self, request: Request, while_it_comes: Callable[[], None]) -> None:
        boundary = request.mimetype_params.get("boundary", "").encode()
        if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
            raise invalid(
                "body", f"is not a form: its content type names no boundary of 1 to {_MAX_BOUNDARY_BYTES} bytes"
            )
        decoder = MultipartDecoder(boundary, _BUFFER_BYTES)
        for piece in _cut_between_lines(iter(lambda: request.stream.read(_CHUNK_BYTES), b""), b"--" + boundary):
            while_it_comes()
            self._decode(decoder, piece)
        self._decode(decoder, None)

    def _decode(self, decoder: MultipartDecoder, piece: bytes | None) -> None:
        """Take in a piece of the body, None for its end."""
        try:
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
                if isinstance(event, Field | File):
                    self._begin(event)
                elif isinstance(event, Data):
                    self._take(event)
        except RequestEntityTooLarge as error:
            raise invalid("body", "is not a form: headers without end, or much that is outside its parts") from error
        except ValueError as error:
            raise invalid("body", "is not a whole form; it was cut short, or its headers are not UTF-8") from error

    def _begin(self, part: Field | File) -> None:
        self._part = part
        if not part.name or len(part.name) > _MAX_NAME_LENGTH:
            raise invalid("body", f"a part of the form has no name, or one of over {_MAX_NAME_LENGTH} characters")
        if isinstance(part, File):
            self._files_left -= 1
            if len(part.filename) > _MAX_FILENAME_LENGTH:
                raise invalid(part.name, f"a file's name has over {_MAX_FILENAME_LENGTH} characters")
            if self._files_left < 0:
                raise invalid(part.name, "the form has too many files")
            self._check(part.name, part.filename)
            self._start = self._form.spool.tell()
        elif len(self._form.fields) == _MAX_FIELDS:
            raise _too_much_text()

    def _take(self, data: Data) -> None:
        if isinstance(self._part, File):
            self._form.spool.write(data.data)
            if not data.more_data:
                size_bytes = self._form.spool.tell() - self._start
                self._form.files.append(FilePart(self._part.name, self._part.filename, self._start, size_bytes))
            return
        self._text_bytes += len(data.data)
        if self._text_bytes > _MAX_TEXT_BYTES:
            raise _too_much_text()
        self._text += data.data
        if not data.more_data and self._part is not None:
            self._form.fields.append((self._part.name, self._text.decode()))
            self._text.clear()


def _cut_between_lines(chunks: Iterable[bytes], marker: bytes) -> Iterator[bytes]:
    """Yield the same bytes, never cut within a line that begins with the marker of a boundary.

    The parser (werkzeug 3.1) takes the line break before a boundary for data when it gets to see the boundary and not
    the end of its line: one photo of 65,536 would have a byte more than was sent.
    """
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        at = data.rfind(b"\n") + 1
        last_line = data[at : at + _LINE_BYTES]
        is_cut = len(last_line) < _LINE_BYTES and (last_line.startswith(marker) or marker.startswith(last_line))
        rest = last_line if is_cut else b""
        yield data[:at] if is_cut else data
    yield rest


def _too_much_text() -> ProblemError:
    return invalid("body", "the form has too many fields, or too much text in them")
