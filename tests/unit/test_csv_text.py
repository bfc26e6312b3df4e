"""Cells of CSV: what a spreadsheet would run, and what must read back as it was."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.csv_text import Cell, csv_line, safe_text

DANGEROUS = set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.text(st.sampled_from("=+-@\uff1d\uff0b\uff0d\uff20\ufe66\u207a\t\r\n \u00a0\u3000'\";,|0aé")),
)


def read(line: str) -> list[str]:
    (row,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    return row


@given(st.lists(CELLS, min_size=2))
def test_no_cell_runs_unless_it_is_a_number(cells: list[Cell]) -> None:
    for cell, text in zip(cells, read(csv_line(cells)), strict=True):
        if isinstance(cell, str):
            assert text[:1] not in DANGEROUS
            assert unicodedata.normalize("NFKC", text.strip()[:1])[:1] not in DANGEROUS


@given(st.lists(CELLS, min_size=2))
def test_cells_read_back_as_they_were(cells: list[Cell]) -> None:
    for cell, text in zip(cells, read(csv_line(cells)), strict=True):
        if cell is None:
            assert text == ""
        elif isinstance(cell, str):
            assert text in {cell, "'" + cell}
        else:
            assert type(cell)(text) == cell


@given(st.text(st.characters(categories=["L", "N"]), min_size=1), st.text())
def test_texts_that_begin_with_a_letter_or_digit_are_left_alone(start: str, rest: str) -> None:
    if unicodedata.normalize("NFKC", start[0])[0] not in DANGEROUS:
        assert safe_text(start + rest) == start + rest


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "-"])
@pytest.mark.parametrize("full_width", [False, True])
def test_texts_that_a_spreadsheet_would_run(text: str, full_width: bool) -> None:
    if full_width:
        text = text.translate({ord(sign): ord(sign) + 0xFEE0 for sign in "=+-@"})
    assert safe_text(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "0-1", "'=1", "x@y", "face/1.jpg", "_", "(1)"])
def test_texts_that_it_would_not(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ([-2.1, 5, 0.1 + 0.2, 1e-7, -0.0], "-2.1,5,0.30000000000000004,1e-07,-0.0\r\n"),
        (["a", None, "b"], "a,,b\r\n"),
        (['say "hi"', "x"], '"say ""hi""",x\r\n'),
        (["a,b", "a;=1", "a b", "a\nb"], '"a,b","a;=1","a b","a\nb"\r\n'),
    ],
)
def test_lines_as_rfc_4180_has_them(cells: list[Cell], line: str) -> None:
    assert csv_line(cells) == line
