"""The table of a run: every photo of the folder has a row, also those that were never sent."""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from facefit.asynchronous import AsyncRunner
from facefit.bulk.journal import Journal
from facefit.models.batches import BatchResult
from facefit.streams import RecordDownload, Row, TableDownload

NOT_SENT: Final = "not_sent"
"""The status of a photo that could not be sent; `error_code` says why."""
MISSING: Final = "missing"
"""The status of a photo whose job somebody has deleted meanwhile."""
_RUN_BY_SPREADSHEETS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def is_ndjson(path: Path) -> bool:
    """Tell whether an output is to be lines of JSON; else it is CSV."""
    return path.suffix.lower() in {".ndjson", ".jsonl"}


async def write_results(runner: AsyncRunner, journal: Journal, path: Path) -> Counter[str]:
    """Write the table whole, or leave what was there; return how many photos have which status."""
    with _replacing(path) as file:
        rows = _Rows(journal)
        lines = rows.records(runner) if is_ndjson(path) else rows.table(runner)
        async for line in lines:
            file.write(line)
    return rows.counts


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """Open a file beside a path, which takes its place at the end; it is gone if there is none."""
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Rows:
    """The rows of a run, and what is counted of them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._paths = {photo.reference: shown_path(photo.path) for photo in journal.photos}
        self._seen: set[str] = set()
        self.counts: Counter[str] = Counter()

    async def table(self, runner: AsyncRunner) -> AsyncIterator[str]:
        """Yield lines of CSV: the service's, with the path of the photo in a last column, then what was not sent."""
        header: Row = []
        for part in self._journal.parts:
            if part.batch_id is None:
                continue
            rows = runner.stream(TableDownload(part.batch_id, "results", {"include": "all"}))
            async for row in rows:
                if row[0] == "reference":
                    if not header:
                        yield _csv_line([*row, "file"])
                    header = row
                    continue
                yield _csv_line(self._with_file(header, row))
        if not header:
            header = ["reference", "job_id", "item_index", "status", "error_code"]
            yield _csv_line([*header, "file"])
        for reference, status, code in self._without_result():
            cells = {"reference": reference, "status": status, "error_code": code}
            yield _csv_line([*(_cell(cells.get(name, "")) for name in header), _cell(self._paths[reference])])

    async def records(self, runner: AsyncRunner) -> AsyncIterator[str]:
        """Yield lines of JSON: the service's, with the path of the photo, then what was not sent."""
        for part in self._journal.parts:
            if part.batch_id is None:
                continue
            async for record in runner.stream(
                RecordDownload(BatchResult, part.batch_id, "results", {"include": "all"})
            ):
                reference = record.reference or ""
                status, code = self._status(reference, record.status, record.error_code)
                members = {**record.model_dump(mode="json"), "status": status, "error_code": code}
                yield _json_line({**members, "file": self._paths.get(reference)})
        for reference, status, code in self._without_result():
            members = {"reference": reference, "job_id": None, "item_index": None, "status": status, "error_code": code}
            yield _json_line({**members, "result": None, "file": self._paths[reference]})

    def _with_file(self, header: Row, row: Row) -> Row:
        cells = dict(zip(header, row, strict=True))
        reference = self._known(cells["reference"])
        cells["status"], code = self._status(reference, cells["status"], cells["error_code"] or None)
        return [*({**cells, "error_code": code or ""}.values()), _cell(self._paths.get(reference, ""))]

    def _known(self, cell: str) -> str:
        """Return the reference in a cell, which may have a `'` before it."""
        return cell if cell in self._paths else cell.removeprefix("'")

    def _status(self, reference: str, status: str, code: str | None) -> tuple[str, str | None]:
        """Return how a photo has ended, and count it once; one that was cancelled for a trouble here was not sent."""
        trouble = self._journal.troubles.get(reference)
        if trouble and status == "cancelled":
            status, code = NOT_SENT, trouble
        if reference not in self._seen:
            self._seen.add(reference)
            self.counts[status] += 1
        return status, code

    def _without_result(self) -> Iterator[tuple[str, str, str]]:
        for photo in self._journal.photos:
            if photo.reference not in self._seen:
                trouble = self._journal.troubles.get(photo.reference)
                status = NOT_SENT if trouble else MISSING
                self.counts[status] += 1
                yield photo.reference, status, trouble or ""


def shown_path(path: str) -> str:
    """Return a path as text that can be written, also one that is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _cell(text: str) -> str:
    """Return a text for a cell, so that no spreadsheet runs it."""
    start = unicodedata.normalize("NFKC", text.lstrip()[:1])  # full-width forms, as the service does
    return f"'{text}" if start in _RUN_BY_SPREADSHEETS or text[:1] in _RUN_BY_SPREADSHEETS else text


class _Line:
    """What the csv module writes a line into."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _csv_line(row: Row) -> str:
    line = _Line()
    csv.writer(line).writerow(row)
    return line.text


def _json_line(members: object) -> str:
    return json.dumps(members, ensure_ascii=False) + "\n"
