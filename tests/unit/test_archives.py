"""Uploaded zips: ordinary ones just work, and each hostile one has one outcome."""

from __future__ import annotations

import io
import shutil
import tracemalloc
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.archive_entries import RefusedEntry
from api.archives import ArchiveEntry, ArchiveLimits, read_archive
from shared.errors import ArchiveInvalid
from tests.zips import (
    DESCRIPTOR,
    ENCRYPTED,
    LINK,
    PIPE,
    UTF_8,
    Member,
    lying_directory,
    nested_headers_zip,
    overlapping_zip,
    plain_zip,
    zip_of,
)

PHOTO = b"\xff\xd8\xff\xe0" + b"not much of a photo" * 10
LIMITS = ArchiveLimits(max_entry_bytes=1000, max_archive_bytes=100_000, max_unpacked_bytes=10_000, max_entries=20)
REFUSED = "archive_entry_refused"


def read(data: bytes, limits: ArchiveLimits = LIMITS) -> tuple[dict[str, bytes], list[RefusedEntry]]:
    """Return the photos by reference and what was refused."""
    photos: dict[str, bytes] = {}
    refused: list[RefusedEntry] = []
    for entry in read_archive(io.BytesIO(data), limits):
        if isinstance(entry, ArchiveEntry):
            assert entry.reference not in photos
            with entry.body:
                photos[entry.reference] = entry.body.read()
            assert len(photos[entry.reference]) == entry.size_bytes
        else:
            refused.append(entry)
    return photos, refused


def invalid(data: bytes, limits: ArchiveLimits = LIMITS) -> ArchiveInvalid:
    """Return what refuses an archive, before anything of it is handed out."""
    with pytest.raises(ArchiveInvalid) as caught:
        read_archive(io.BytesIO(data), limits)
    return caught.value


def code_of(*members: Member) -> tuple[str, str]:
    """Return code and reason of the one entry that is refused, beside one that is not."""
    photos, refused = read(zip_of([*members, Member("good.jpg", PHOTO)]))
    assert photos["good.jpg"] == PHOTO
    assert len(refused) == 1, photos
    return refused[0].code, refused[0].reason


# Ordinary archives


def test_names_as_cameras_and_copies_make_them_are_taken_from_their_first_letter_on() -> None:
    names = {"_MG_1234.JPG": "MG_1234.JPG", "(1).jpg": "1).jpg", "=cmd().jpg": "cmd().jpg", "__/_a.jpg": "a.jpg"}
    photos, refused = read(zip_of([Member(name, PHOTO) for name in names]))
    assert (list(photos), refused) == (list(names.values()), [])


def test_two_names_that_are_one_reference_are_not_both_taken() -> None:
    photos, refused = read(zip_of([Member("_a.jpg", PHOTO), Member("a.jpg", PHOTO)]))
    assert list(photos) == ["a.jpg"]
    assert "same name or reference" in refused[0].reason


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_folders_just_work_and_the_path_is_the_reference(method: int) -> None:
    files = {"a.jpg": PHOTO, "folder/b.jpg": PHOTO + b"b", "folder/deeper still/c (1).jpg": PHOTO + b"c"}
    assert read(plain_zip(files, method)) == (files, [])


def test_what_a_folder_holds_as_the_standard_library_packs_it(tmp_path: Path) -> None:
    for name in ("batch/one/a.jpg", "batch/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PHOTO)
    archive = shutil.make_archive(str(tmp_path / "out"), "zip", tmp_path, "batch")
    assert read(Path(archive).read_bytes()) == ({"batch/b.jpg": PHOTO, "batch/one/a.jpg": PHOTO}, [])


def test_what_systems_leave_behind_is_skipped() -> None:
    litter = ["__MACOSX/._a.jpg", ".DS_Store", "f/.hidden/b.jpg", "f/._c.jpg", "Thumbs.db", "f/desktop.ini", "empty/"]
    assert read(plain_zip(dict.fromkeys([*litter, "./a.jpg"], PHOTO))) == ({"a.jpg": PHOTO}, [])


@pytest.mark.parametrize(
    "member",
    [
        Member("a.jpg", PHOTO, flags=UTF_8 | DESCRIPTOR),
        Member("a.jpg", PHOTO, zip64=True, version=45),
        Member("a.jpg", PHOTO, method=0),
        Member("a.jpg", PHOTO, attributes=0o100644 << 16),
    ],
)
def test_less_usual_ways_to_pack(member: Member) -> None:
    assert read(zip_of([member])) == ({"a.jpg": PHOTO}, [])
    assert read(zip_of([member], prefix=b"#!/bin/sh\n", comment=b"PK\x05 a comment")) == ({"a.jpg": PHOTO}, [])


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("фото/лицо.jpg", "фото/лицо.jpg"),
        ("写真/顔.jpg", "写真/顔.jpg"),
        ("صور/وجه.jpg", "صور/وجه.jpg"),
        ("фото.jpg".encode(), "фото.jpg"),  # UTF-8 without its flag: macOS
        ("naïve.jpg".encode("cp437"), "naïve.jpg"),
        (unicodedata.normalize("NFD", "é.jpg"), "e\u0301.jpg"),
        ("\U0001f600.jpg", None),
        ("顔".encode("cp932") + b".jpg", "èτ.jpg"),
    ],
)
def test_names_in_any_script(name: str | bytes, reference: str | None) -> None:
    photos, refused = read(zip_of([Member(name, PHOTO, flags=0 if isinstance(name, bytes) else UTF_8)]))
    assert [*photos, *(entry.reference for entry in refused)] == [reference]


# Entries that are refused


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd.jpg", "absolute"),
        ("C:/a.jpg", "absolute"),
        ("c:a.jpg", "absolute"),
        ("../a.jpg", "leads out"),
        ("a/../../b.jpg", "leads out"),
        ("a/..", "leads out"),
        ("..\\a.jpg", "backslash"),
        ("a\\b.jpg", "backslash"),
        ("\\\\host\\a.jpg", "backslash"),
        ("a//b.jpg", "plain"),
        ("a/./b.jpg", "plain"),
        ("", "no name"),
        ("a\0b.jpg", "printable"),
        ("a\nb.jpg", "printable"),
        ("a\u202egpj.exe", "printable"),
        ("a" * 125 + ".jpg", "128 characters"),
        ("___", "letter or digit"),
        ("a.zip", "archive"),
        ("a.TAR", "archive"),
        ("a.tar.gz", "archive"),
    ],
)
def test_a_path_that_is_not_taken(name: str, reason: str) -> None:
    code, told = code_of(Member(name, PHOTO))
    assert code == REFUSED
    assert reason in told


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (Member("a.jpg", b"/etc/passwd", attributes=LINK), "link"),
        (Member("a.jpg", b"", attributes=PIPE), "not a file"),
        (Member("a.jpg", PHOTO, flags=UTF_8 | ENCRYPTED), "encrypted"),
        (Member("a.jpg", PHOTO, flags=UTF_8 | 0x40), "encrypted"),
        (Member("a.jpg", PHOTO, flags=UTF_8 | 0x2000), "encrypted"),
        (Member("a.jpg", PHOTO, method=12), "another method"),
        (Member("a.jpg", PHOTO, method=14), "another method"),
        (Member("a.jpg", PHOTO, method=9), "another method"),
        (Member("a.jpg", PHOTO, method=99), "another method"),
        (Member("a.jpg", plain_zip({"b.jpg": PHOTO})), "archive"),
        (Member("a.jpg", b"PK\x05\x06" + bytes(18)), "archive"),
        (Member("a.jpg", b"\x1f\x8b\x08" + bytes(20)), "archive"),
        (Member("a.jpg", b"Rar!\x1a\x07\x01\x00"), "archive"),
        (Member("a.jpg", b"x" * 257 + b"ustar\x00"), "archive"),
        (Member("good.jpg", PHOTO), "another entry"),
    ],
)
def test_an_entry_that_is_not_taken(member: Member, reason: str) -> None:
    if member.name == "good.jpg":
        photos, refused = read(zip_of([Member("good.jpg", PHOTO + b"first"), member]))
        assert photos == {"good.jpg": PHOTO + b"first"}
        assert [(entry.code, entry.reference) for entry in refused] == [(REFUSED, None)]
        assert reason in refused[0].reason
        return
    code, told = code_of(member)
    assert code == REFUSED
    assert reason in told


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (Member("a.jpg", b""), "unsupported_format"),
        (Member("a.jpg", b"This is no photo."), "unsupported_format"),
        (Member("readme.txt", b"Hello"), "unsupported_format"),
        (Member("a.jpg", PHOTO + bytes(1000)), "image_too_large"),
        (Member("a.jpg", PHOTO, crc=1), "corrupt_image"),
        (Member("a.jpg", PHOTO, size=len(PHOTO) - 1), "corrupt_image"),
        (Member("a.jpg", PHOTO, size=len(PHOTO) + 1), "corrupt_image"),
        (Member("a.jpg", PHOTO, method=0, size=len(PHOTO) + 1), "corrupt_image"),
        (Member("a.jpg", PHOTO, packed_size=5), "corrupt_image"),
        (Member("a.jpg", PHOTO, header_name=b"b.jpg"), "corrupt_image"),
        (Member("a.jpg", b"\x07" * 30, method=0, size=len(PHOTO)), "unsupported_format"),
    ],
)
def test_a_photo_that_is_none_or_not_whole(member: Member, code: str) -> None:
    assert code_of(member)[0] == code


def test_a_refused_entry_keeps_its_reference_where_it_has_one() -> None:
    photos, refused = read(
        zip_of([Member("a.jpg", b""), Member("../b\n.jpg", PHOTO), Member("c.jpg", attributes=LINK)])
    )
    assert photos == {}
    assert [(entry.reference, entry.path) for entry in refused] == [
        ("a.jpg", "a.jpg"),
        (None, "../b\N{REPLACEMENT CHARACTER}.jpg"),
        ("c.jpg", "c.jpg"),
    ]


# Archives that are refused


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        PHOTO,
        b"Rar!\x1a\x07\x01\x00" + bytes(1000),
        plain_zip({"a.jpg": PHOTO})[:-1],
        plain_zip({"a.jpg": PHOTO})[:-22],
        plain_zip({"a.jpg": PHOTO})[:50],
        plain_zip({}),
        plain_zip({"folder/": b"", ".hidden": PHOTO}),
        zip_of([Member("a.jpg", PHOTO)], directory_size=1),
        zip_of([Member("a.jpg", PHOTO)], directory_size=0x7FFFFFFF),
        zip_of([Member(b"\xff\xfe.jpg", PHOTO, flags=UTF_8)]),
        zip_of([Member("a.jpg", PHOTO, version=99)]),
    ],
)
def test_what_is_no_archive_or_has_nothing_in_it(data: bytes) -> None:
    assert invalid(data).entry is None


def test_one_entry_too_many_is_named_and_what_is_skipped_is_not_counted() -> None:
    litter = [Member(f"__MACOSX/._{n}.jpg", b"x") for n in range(20)] + [Member("folder/")]
    photos, refused = read(zip_of([*litter, *(Member(f"{n}.jpg", PHOTO) for n in range(20))]))
    assert (len(photos), refused) == (20, [])
    error = invalid(zip_of([*litter, *(Member(f"{n}.jpg", PHOTO) for n in range(21))]))
    assert error.entry == "20.jpg"
    assert "20 allowed" in str(error)


def test_entries_that_are_the_same_bytes_or_within_each_other() -> None:
    assert invalid(overlapping_zip(PHOTO, 3)).entry in {"0.jpg", "1.jpg"}
    assert invalid(nested_headers_zip(PHOTO, 3)).entry == "2.jpg"
    assert invalid(zip_of([Member("a.jpg", PHOTO, method=0, packed_size=5000)])).entry == "a.jpg"
    assert invalid(zip_of([Member("a.jpg", PHOTO), Member("b.jpg", PHOTO, offset=60_000)])).entry == "b.jpg"


def test_a_bomb_is_refused_by_what_it_promises_before_anything_is_unpacked() -> None:
    bomb = [Member(f"{n}.jpg", PHOTO + bytes(800)) for n in range(11)]
    assert 10 * len(bomb[0].data) < LIMITS.max_unpacked_bytes < 11 * len(bomb[0].data)
    error = invalid(zip_of(bomb))
    assert error.entry == "10.jpg"
    assert invalid(zip_of([replace(bomb[0], size=2**40, zip64=True)])).entry == "0.jpg"


def test_a_bomb_that_promises_little_yields_no_more_than_that() -> None:
    inside = PHOTO + bytes(50_000_000)
    liar = Member("a.jpg", inside, size=900)
    tracemalloc.start()
    try:
        data = io.BytesIO(zip_of([liar]))
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        (entry,) = read_archive(data, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(entry, RefusedEntry)
    assert entry.code == "corrupt_image"
    assert peak - before < 1_000_000


def test_a_directory_that_tells_of_few_records_and_has_many_costs_no_memory() -> None:
    limits = replace(LIMITS, max_entries=100, max_archive_bytes=10**9)
    data = io.BytesIO(lying_directory(3000, told_count=1))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveInvalid, match="more than 400 records"):
            read_archive(data, limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data.getvalue()) + 200_000
    assert "bytes" in str(invalid(lying_directory(5000, told_count=1), limits))


def test_too_many_bytes() -> None:
    assert "more than 100 bytes" in str(invalid(plain_zip({"a.jpg": PHOTO}), replace(LIMITS, max_archive_bytes=100)))


@given(st.data())
def test_any_damage_ends_in_one_of_the_outcomes(data: st.DataObject) -> None:
    archive = bytearray(plain_zip({"a.jpg": PHOTO, "b/c.jpg": PHOTO * 3, "manifest.csv": b"file,reference\na.jpg,A\n"}))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        photos, refused = read(bytes(archive[: data.draw(st.integers(0, len(archive))) or None]))
    except ArchiveInvalid:
        return
    assert len(photos) + len(refused) <= LIMITS.max_entries
    assert all(len(photo) <= LIMITS.max_entry_bytes for photo in photos.values())
