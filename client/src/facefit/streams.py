"""A batch's results while they come, and going on where a connection broke off.

A reader is fed bytes and yields whole records. It knows the last item that came whole, so that the next request asks
for the rest: nothing comes twice, and nothing is left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import httpx
from pydantic import ValidationError

from facefit.calls import Call, unexpected
from facefit.errors import UnexpectedAnswer
from facefit.models.base import Model
from facefit.requests import path_part

R = TypeVar("R")
M = TypeVar("M", bound=Model)

Row = list[str]


class Download(Generic[R]):
    """A report of a batch on its way; made for one reading.

    Parameters
    ----------
    batch_id, report : str
        Of what, `results` or `errors`.
    query : dict
        Beside the format.
    """

    format: str

    def __init__(self, batch_id: str, report: str, query: dict[str, Any] | None = None) -> None:
        self._path = f"/v1/batches/{path_part(batch_id)}/{report}"
        self._query = query or {}
        self.last_index = -1
        self._rest = b""

    def call(self) -> Call[None]:
        """Return the request for what has not come yet."""
        query = {**self._query, "format": self.format, "after_index": self.last_index}
        return Call("GET", self._path, _refuse_other_answers(self.format), query=query)

    def feed(self, chunk: bytes) -> Iterator[R]:
        """Take what came; yield the records that are whole now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            yield from self._take(line)

    def end(self) -> Iterator[R]:
        """Yield what is whole only because nothing follows."""
        return iter(())

    def broke_off(self) -> None:
        """Forget what did not come whole."""
        self._rest = b""

    def _take(self, line: bytes) -> Iterator[R]:
        raise NotImplementedError


class RecordDownload(Download[M]):
    """Records as models, one to an item."""

    format = "ndjson"

    def __init__(self, model: type[M], batch_id: str, report: str, query: dict[str, Any] | None = None) -> None:
        super().__init__(batch_id, report, query)
        self._model = model

    def _take(self, line: bytes) -> Iterator[M]:
        if line:
            try:
                record = self._model.model_validate_json(line)
            except ValidationError as error:
                raise UnexpectedAnswer(
                    f"{self._path} has a line that is none of facefit's; is this its address?"
                ) from error
            self.last_index = int(json.loads(line)["item_index"])
            yield record


class TableDownload(Download[Row]):
    """Rows of a table, the first one its header; an item with several faces has several."""

    format = "csv"

    def __init__(self, batch_id: str, report: str, query: dict[str, Any] | None = None) -> None:
        super().__init__(batch_id, report, query)
        self._header: Row | None = None
        self._has_header = False
        self._line = b""
        self._held: list[Row] = []
        self._held_index = -1

    def _take(self, line: bytes) -> Iterator[Row]:
        self._line += line + b"\n"
        if self._line.count(b'"') % 2:
            return  # the end of a line within a cell
        [row] = csv.reader([self._line.decode()])
        self._line = b""
        if not self._has_header:
            self._has_header = True
            if self._header is None:
                self._header = row
                yield row
            return
        index = int(row[(self._header or row).index("item_index")])
        if index != self._held_index:
            yield from self.end()
            self._held_index = index
        self._held.append(row)

    def end(self) -> Iterator[Row]:
        """Yield the rows of the last item."""
        held, self._held = self._held, []
        if held:
            self.last_index = self._held_index
            yield from held

    def broke_off(self) -> None:
        """Forget the item whose rows may not all have come."""
        super().broke_off()
        self._line, self._held, self._held_index, self._has_header = b"", [], self.last_index, False


def _refuse_other_answers(form: str) -> Callable[[httpx.Response], None]:
    def read(response: httpx.Response) -> None:
        if form not in response.headers.get("content-type", ""):
            raise unexpected(response)

    return read
