"""Every hostile file and archive of the catalogue has the outcome that it states, at the door where it is opened."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from api.archive_entries import RefusedEntry
from api.archives import ArchiveLimits, read_archive
from shared.config import Settings
from shared.errors import REJECTIONS, ArchiveInvalid, Rejected
from tests.hostile import CASES, DECODED, Case
from tests.hostile_zips import GOOD, INVALID, TAKEN, ZIP_CASES, ZipCase
from worker.pipeline import FIRST_PASS_LONG_SIDE_PX
from worker.vision.decode import DecodeLimits, decode_photo

PAGE = Path(__file__).parents[2] / "docs" / "hostile-input.md"
SETTINGS = Settings()
LIMITS = DecodeLimits(SETTINGS.max_upload_bytes, SETTINGS.max_image_pixels, SETTINGS.min_image_side_px)
ZIP_LIMITS = ArchiveLimits(SETTINGS.max_upload_bytes, SETTINGS.max_batch_upload_bytes)


def outcome(case: Case) -> str:
    try:
        photo = decode_photo(case.make(), LIMITS, long_side_px=FIRST_PASS_LONG_SIDE_PX)
    except Rejected as rejection:
        return rejection.code
    assert photo.pixels.shape[2] == 3
    return DECODED


def zip_outcomes(case: ZipCase) -> set[str]:
    try:
        entries = list(read_archive(io.BytesIO(case.make()), ZIP_LIMITS))
    except ArchiveInvalid:
        return {INVALID}
    found = [entry.code if isinstance(entry, RefusedEntry) else TAKEN for entry in entries]
    for entry in entries:
        if not isinstance(entry, RefusedEntry):
            entry.body.close()
    if any(entry.path == GOOD.name for entry in entries):
        found.remove(TAKEN)  # the good one, whatever is beside it
    return set(found)


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_costly], ids=lambda case: case.name)
def test_each_file_has_its_outcome(case: Case) -> None:
    assert outcome(case) == case.code


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in CASES if case.is_costly], ids=lambda case: case.name)
def test_each_costly_file_has_its_outcome(case: Case) -> None:
    assert outcome(case) == case.code


@pytest.mark.parametrize("case", [case for case in ZIP_CASES if not case.is_costly], ids=lambda case: case.name)
def test_each_archive_has_its_outcome(case: ZipCase) -> None:
    assert zip_outcomes(case) == {case.code}


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in ZIP_CASES if case.is_costly], ids=lambda case: case.name)
def test_each_costly_archive_has_its_outcome(case: ZipCase) -> None:
    assert zip_outcomes(case) == {case.code}


def test_the_page_has_every_case_with_its_outcome_and_no_other() -> None:
    rows = re.findall(r"^\| (.+?) \| [\d,]+ \| (`.+?) \|", PAGE.read_text(), re.MULTILINE)
    stated = [(case.name, case.code) for case in CASES] + [(case.name, case.code) for case in ZIP_CASES]
    assert [name for name, _ in rows] == [name for name, _ in stated]
    assert [row for row, case in zip(rows, stated, strict=True) if f"`{case[1]}`" not in row[1]] == []


def test_names_are_unique_and_codes_are_public() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.name for case in ZIP_CASES}) == len(ZIP_CASES)
    public = {rejection.code for rejection in REJECTIONS}
    assert {case.code for case in CASES} <= public
    assert {case.code for case in ZIP_CASES} <= public | {INVALID, TAKEN}
