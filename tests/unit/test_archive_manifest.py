"""The `manifest.csv` in an uploaded zip: references and options, and every way to get it wrong."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.archive_manifest import parse_manifest
from api.archives import ArchiveEntry, read_archive
from shared.errors import ArchiveInvalid, DuplicateReference
from tests.unit.test_archives import LIMITS, PHOTO, REFUSED, invalid, read
from tests.zips import ENCRYPTED, Member, plain_zip, zip_of

BOM = b"\xef\xbb\xbf"


def with_manifest(manifest: bytes, *names: str, at: str = "manifest.csv") -> bytes:
    return plain_zip({**dict.fromkeys(names, PHOTO), at: manifest})


def items(data: bytes) -> list[tuple[str | None, str, dict[str, str]]]:
    """Return reference, path and options, or code, of each item."""
    found: list[tuple[str | None, str, dict[str, str]]] = []
    for entry in read_archive(io.BytesIO(data), LIMITS):
        if isinstance(entry, ArchiveEntry):
            entry.body.close()
            found.append((entry.reference, entry.path, dict(entry.options)))
        else:
            found.append((entry.reference, entry.path, {"code": entry.code}))
    return found


def test_it_gives_references_and_options_to_some_files() -> None:
    manifest = b'file,reference,known_pd_mm,require\r\na.jpg,SKU-7/1,63,\r\nb/c.jpg,,,"pd,face_width"\r\n'
    assert items(with_manifest(manifest, "a.jpg", "b/c.jpg", "d.jpg")) == [
        ("SKU-7/1", "a.jpg", {"known_pd_mm": "63"}),
        ("b/c.jpg", "b/c.jpg", {"require": "pd,face_width"}),
        ("d.jpg", "d.jpg", {}),
    ]


@pytest.mark.parametrize(
    "manifest", [BOM + b"file,reference\na.jpg,A\n", b" file ,reference\r\n\r\n./a.jpg,A", b"reference,file\nA,a.jpg\n"]
)
def test_it_may_be_written_in_more_ways_than_one(manifest: bytes) -> None:
    assert items(with_manifest(manifest, "a.jpg")) == [("A", "a.jpg", {})]


def test_it_may_lie_in_the_one_folder_that_holds_everything() -> None:
    data = with_manifest(b"file,reference\na.jpg,A\n", "batch/a.jpg", "__MACOSX/._a.jpg", at="batch/Manifest.csv")
    assert items(data) == [("A", "batch/a.jpg", {})]


def test_elsewhere_it_is_a_file_like_any() -> None:
    data = with_manifest(b"file,reference\na.jpg,A\n", "a.jpg", "b/a.jpg", at="b/manifest.csv")
    assert [item[0] for item in items(data)] == ["a.jpg", "b/a.jpg", "b/manifest.csv"]
    assert items(data)[2][2] == {"code": "unsupported_format"}


def test_accents_that_macos_takes_apart_are_the_same_name() -> None:
    apart = unicodedata.normalize("NFD", "é.jpg")
    assert items(with_manifest("file,reference\né.jpg,E\n".encode(), apart)) == [("E", apart, {})]


def test_a_file_whose_path_is_no_reference_gets_one() -> None:
    assert items(with_manifest(b"file,reference\n_a.jpg,A\n", "_a.jpg")) == [("A", "_a.jpg", {})]


def test_a_hostile_entry_keeps_the_reference_that_the_manifest_gives_it() -> None:
    photos, refused = read(with_manifest(b"file,reference\n../a.jpg,A\n", "../a.jpg"))
    assert photos == {}
    assert [(entry.reference, entry.code) for entry in refused] == [("A", REFUSED)]


def test_a_line_without_a_file_is_a_refused_item_at_the_end() -> None:
    photos, refused = read(with_manifest(b"file,reference\ngone.jpg,G\nalso gone.jpg,\na.jpg,A\n", "a.jpg"))
    assert list(photos) == ["A"]
    assert [(entry.reference, entry.path, entry.code) for entry in refused] == [
        ("G", "gone.jpg", REFUSED),
        ("also gone.jpg", "also gone.jpg", REFUSED),
    ]
    assert "line 2" in refused[0].reason


def test_a_reference_that_another_file_has_as_its_path() -> None:
    photos, refused = read(with_manifest(b"file,reference\na.jpg,b.jpg\ngone.jpg,c.jpg\n", "a.jpg", "b.jpg", "c.jpg"))
    assert list(photos) == ["b.jpg", "c.jpg"]
    assert [(entry.reference, entry.path) for entry in refused] == [(None, "b.jpg"), (None, "gone.jpg")]


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b"", "no column 'file'"),
        (b"a.jpg,A\n", "no column 'file'"),
        (b"file;reference\na.jpg;A\n", "separated by commas"),
        (b"reference\nA\n", "no column 'file'"),
        (b"file,file\na.jpg,b.jpg\n", "a column twice"),
        (b"file,shoe_size\na.jpg,46\n", "no column 'shoe_size'; there are file,"),
        (b"file,reference\na.jpg\n", "line 2 has 1 cells"),
        (b"file,reference\na.jpg,A,B\n", "line 2 has 3 cells"),
        (b"file,reference\n,A\n", "line 2 names no file"),
        (b"file,reference\na.jpg,A\n./a.jpg,B\n", "line 3 names './a.jpg' for the second time"),
        (b"file,reference\na.jpg,=1+1\n", "line 2: a reference starts with"),
        (b'file,reference\na.jpg,"A\nB"\n', "line 3: a reference has printable"),
        (b"file,reference\na.jpg," + b"A" * 129 + b"\n", "line 2: a reference has at most 128"),
        (b'file,reference\na.jpg,"A\n', "line 2: unexpected end"),
        (b'file,reference\na.jpg,"A"B\n', "line 2: "),
        (b"file,reference\n" + b"a" * 200_000 + b",A\n", "line 2: field larger"),
        (b"file,reference\na.jpg,A\0\n", "NUL"),
        (b"file,reference\na.jpg,\xff\n", "UTF-8"),
        ("file,reference\na.jpg,A\n".encode("utf-16"), "UTF-8"),
        (b"file\n" + b"".join(b"%d.jpg\n" % n for n in range(21)), "line 22 is one more than the 20"),
        (b"file\n" + b"".join(b"%d.jpg\n" % n for n in range(20)), "more than the 20 allowed"),
    ],
)
def test_a_manifest_that_is_not_in_order_refuses_the_archive(manifest: bytes, reason: str) -> None:
    error = invalid(with_manifest(manifest, "a.jpg"))
    assert error.entry == "manifest.csv"
    assert reason in str(error)
    assert len(str(error)) < 700


def test_a_reference_that_is_given_twice() -> None:
    with pytest.raises(DuplicateReference, match="line 3: 'A' is given twice"):
        read(with_manifest(b"file,reference\na.jpg,A\nb.jpg,A\n", "a.jpg", "b.jpg"))


@pytest.mark.parametrize(
    "member",
    [
        Member("manifest.csv", b"file\n", flags=ENCRYPTED),
        Member("manifest.csv", b"file\n", crc=1),
        Member("manifest.csv", b"file\n", size=10_000_001),
        Member("manifest.csv", b"file\n", method=12),
    ],
)
def test_a_manifest_that_cannot_be_read_refuses_the_archive(member: Member) -> None:
    assert invalid(zip_of([Member("a.jpg", PHOTO), member])).entry == "manifest.csv"


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: b"file,reference\n" + text.encode("utf-8", "replace"))
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        lines = parse_manifest(data, 20)
    except (ArchiveInvalid, DuplicateReference):
        return
    references = [line.reference for line in lines.values() if line.reference is not None]
    assert len(references) == len(set(references))
    assert all(line.file for line in lines.values())
