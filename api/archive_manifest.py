"""The optional `manifest.csv` of an uploaded archive: which reference and options each of its files has."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.errors import ArchiveInvalid, DuplicateReference
from shared.references import reference_fault
from shared.schemas import MAX_REFERENCE_LENGTH, JobOptions

MANIFEST_NAME: Final = "manifest.csv"
MAX_MANIFEST_BYTES: Final = 10_000_000
"""A kilobyte for each of 10,000 files."""
FILE_COLUMN: Final = "file"
REFERENCE_COLUMN: Final = "reference"
OPTION_COLUMNS: Final = frozenset(JobOptions.model_fields) - {REFERENCE_COLUMN}


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What a manifest says of one file.

    Attributes
    ----------
    number : int
        Of the line in the manifest, from 1.
    file : str
        The name as it is written.
    reference : str or None
        None where the cell is empty or there is no such column.
    options : dict of str to str
        The cells that are not empty, by column; not looked into here.
    """

    number: int
    file: str
    reference: str | None
    options: dict[str, str]


def file_key(path: str) -> str:
    """Return what two spellings of a file's name have in common: macOS takes accents apart, spreadsheets do not."""
    return unicodedata.normalize("NFC", path.removeprefix("./"))


def parse_manifest(data: bytes, max_lines: int) -> dict[str, ManifestLine]:
    """Read a manifest: UTF-8, with or without a byte order mark, RFC 4180, its columns named in its first line.

    Returns
    -------
    dict of str to ManifestLine
        By `file_key` of the file.

    Raises
    ------
    ArchiveInvalid
        If it is not in order, naming the line.
    DuplicateReference
        If a reference is given twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArchiveInvalid("it is not UTF-8", MANIFEST_NAME) from error
    if "\0" in text:
        raise ArchiveInvalid("it has NUL characters", MANIFEST_NAME)
    rows = _rows(text)
    columns = _columns(next(rows, (1, []))[1])
    lines: dict[str, ManifestLine] = {}
    references: set[str] = set()
    for number, cells in rows:
        line = _line(number, columns, cells)
        if file_key(line.file) in lines:
            raise ArchiveInvalid(f"line {number} names {line.file!r} for the second time", MANIFEST_NAME)
        if line.reference in references:
            raise DuplicateReference(f"{MANIFEST_NAME}, line {number}: {line.reference!r} is given twice")
        if len(lines) == max_lines:
            raise ArchiveInvalid(f"line {number} is one more than the {max_lines} allowed", MANIFEST_NAME)
        lines[file_key(line.file)] = line
        references |= {line.reference} if line.reference else set()
    return lines


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of its last line, and the cells, of each row that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise ArchiveInvalid(f"line {reader.line_num}: {error}", MANIFEST_NAME) from error


def _columns(cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    if FILE_COLUMN not in columns:
        raise ArchiveInvalid(f"its first line names no column {FILE_COLUMN!r}, separated by commas", MANIFEST_NAME)
    if len(set(columns)) < len(columns):
        raise ArchiveInvalid("its first line names a column twice", MANIFEST_NAME)
    known = {FILE_COLUMN, REFERENCE_COLUMN} | OPTION_COLUMNS
    if unknown := [column for column in columns if column not in known]:
        message = f"there is no column {unknown[0][:MAX_REFERENCE_LENGTH]!r}; there are {', '.join(sorted(known))}"
        raise ArchiveInvalid(message, MANIFEST_NAME)
    return columns


def _line(number: int, columns: list[str], cells: list[str]) -> ManifestLine:
    if len(cells) != len(columns):
        raise ArchiveInvalid(f"line {number} has {len(cells)} cells and not {len(columns)}", MANIFEST_NAME)
    given = {column: cell for column, cell in zip(columns, cells, strict=True) if cell}
    file = given.pop(FILE_COLUMN, "")
    if not file:
        raise ArchiveInvalid(f"line {number} names no file", MANIFEST_NAME)
    reference = given.pop(REFERENCE_COLUMN, None)
    if reference is not None and (fault := reference_fault(reference)):
        raise ArchiveInvalid(f"line {number}: {fault}", MANIFEST_NAME)
    return ManifestLine(number, file, reference, given)
