"""Lines of CSV as RFC 4180 has them, in which no text is taken for a formula."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

LINE_END: Final = "\r\n"
BYTE_ORDER_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Some spreadsheets take a file for UTF-8 only when it begins with this."""

_FORMULA: Final = frozenset("=+-@")
_NEEDS_QUOTES: Final = re.compile('[",;\\s]')
"""The semicolon too: where commas are for decimals, spreadsheets part cells at it."""

Cell = str | int | float | None
"""What a cell can hold; None leaves it empty."""


def csv_line(cells: Iterable[Cell]) -> str:
    """Return one line, its end included."""
    return ",".join([_rendered(cell) for cell in cells]) + LINE_END


def _rendered(cell: Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)  # the shortest text that reads back as the same number, as in JSON
    text = safe_text(cell)
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def safe_text(text: str) -> str:
    """Put `'` before a text that a spreadsheet would run, or that hides such a text behind white space.

    Notes
    -----
    Which characters begin a formula, full-width forms among them, is what OWASP says of CSV injection:
    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if text[:1] in {"\t", "\r", "\n"}:
        return "'" + text
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return "'" + text if first[:1] in _FORMULA else text
