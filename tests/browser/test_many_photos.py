"""Thirty photos at once: the table, the file of it, and how it is sorted, filtered and distributed."""

from __future__ import annotations

import codecs
import csv
import io
import statistics
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def many(open_page: Open, photos: list[Path]) -> Visit:
    visit = open_page()
    visit.drop(photos)
    expect(visit.page.get_by_role("button", name="Measure 30 photos")).to_be_visible()
    visit.measure()
    return visit


def names(page: Page) -> list[str]:
    return page.locator("table.photos tbody .photo-name").all_inner_texts()


def exported(page: Page) -> bytes:
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export CSV").click()
    return saved.value.path().read_bytes()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def tenths(number: str) -> Decimal:
    """Round as browsers do: an even half goes up, where Python's formats take it to the even digit."""
    return Decimal(float(number)).quantize(Decimal("0.1"), ROUND_HALF_UP)


def test_thirty_photos_are_dropped_and_come_out_as_the_service_measured_them(many: Visit, photos: list[Path]) -> None:
    page = many.page
    expect(page.locator("table.photos tbody tr")).to_have_count(30)  # at once, before they are measured
    many.table_is_whole()
    assert names(page) == [path.name for path in photos]
    batch = many.batch_id()
    csv_text = many.asked_text(f"/v1/batches/{batch}/results?format=csv")
    assert exported(page).decode("utf-8-sig") == csv_text
    assert exported(page).startswith(codecs.BOM_UTF8), "a spreadsheet would show names with umlauts as something else"
    for row in rows_of(csv_text):
        cells = page.locator(f"table.photos tr[data-index='{row['item_index']}'] > *").all_inner_texts()
        if row["status"] == "succeeded":
            assert cells[1] == "Measured"
            assert cells[2] == row["quality_score"]
            assert cells[12].startswith(f"{tenths(row['face_width_mm'])} ± {tenths(row['face_width_mm_sd'])}")
            assert ("*" in cells[12]) == (row["face_width_status"] != "ok")
        else:
            words = {"no_face": "No face found", "unsupported_format": "Not a photo we can read"}
            assert cells[1] == words[row["error_code"]]
            assert set(cells[2:]) == {""}
    assert len(rows_of(csv_text)) == 30


def test_progress_is_told_for_each_photo_and_for_the_whole(many: Visit) -> None:
    page = many.page
    seen: set[float] = set()
    statuses: set[str] = set()
    while not page.get_by_role("button", name="Export CSV").is_enabled():
        seen.add(page.locator(".whole progress").evaluate("bar => bar.value"))
        statuses |= set(page.locator("table.photos .pill").all_inner_texts())
    assert len(seen) > 1
    assert {"Waiting", "Measured"} <= statuses
    expect(page.locator(".whole p")).to_have_text("Complete: 27 measured, 3 rejected")
    assert page.locator(".whole progress").evaluate("bar => bar.value") == 1


def test_the_table_sorts_by_what_is_clicked(many: Visit) -> None:
    many.table_is_whole()
    page = many.page
    page.get_by_role("button", name="Face width").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Face width ▲")
    widths = [text.split(" ")[0] for text in page.locator("table.photos tbody tr td:nth-child(13)").all_inner_texts()]
    numbers = [float(text) for text in widths if text[:1].isdigit()]
    assert len(numbers) > 20
    assert numbers == sorted(numbers)
    assert widths[27:] == ["", "", ""]
    page.get_by_role("button", name="Face width").click()
    assert page.locator("table.photos tbody tr td:nth-child(13)").first.inner_text().startswith(f"{numbers[-1]:.1f}")
    page.get_by_role("button", name="As sent").click()
    assert names(page)[0] == "person 00.jpg"


def test_what_is_filtered_is_what_is_exported_in_the_order_shown(many: Visit) -> None:
    many.table_is_whole()
    page = many.page
    whole = rows_of(many.asked_text(f"/v1/batches/{many.batch_id()}/results?format=csv"))
    page.locator(".filters label", has_text="Status").locator("select").select_option("rejected")
    assert names(page) == ["meadow.png", "sky.png", "=broken.jpg"]
    expect(page.locator(".above-table p")).to_have_text("3 of 30 photos")
    page.get_by_role("button", name="Show all").first.click()
    page.locator(".filters input[type=search]").fill("PERSON 1")
    page.locator(".filters label", has_text="Value").locator("select").select_option("face_width")
    middle = statistics.median(float(row["face_width_mm"]) for row in whole if row["face_width_mm"])
    page.locator(".filters input[type=number]").first.fill(f"{middle:.2f}")
    page.get_by_role("button", name="Photo", exact=True).click()
    page.get_by_role("button", name="Photo", exact=True).click()
    expected = [
        row
        for row in reversed(whole)
        if row["reference"].startswith("person 1") and float(row["face_width_mm"] or 0) >= round(middle, 2)
    ]
    assert 0 < len(expected) < 10
    assert names(page) == [row["reference"] for row in expected]
    assert rows_of(exported(page).decode("utf-8-sig")) == expected


def test_each_measurement_has_a_histogram_of_what_the_table_shows(many: Visit) -> None:
    many.table_is_whole()
    page = many.page
    whole = rows_of(many.asked_text(f"/v1/batches/{many.batch_id()}/results?format=csv"))
    figures = page.locator("figure")
    keys = [name.removesuffix("_status") for name in whole[0] if name.endswith("_status")]
    with_values = [key for key in keys if any(row[f"{key}_status"] == "ok" for row in whole)]
    assert len(keys) == 15
    expect(figures).to_have_count(len(with_values))
    values = [float(row["eye_gap_mm"]) for row in whole if row["eye_gap_status"] == "ok"]
    figure = page.locator("figure[data-key=eye_gap]")
    assert len(values) > 1
    expect(figure).to_contain_text(f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f} n = {len(values)}")
    said = figure.locator("[role=img]").get_attribute("aria-label") or ""
    counts = [int(part.split(": ")[1]) for part in said.split(". ", 1)[1].split("; ")]
    assert sum(counts) == len(values)
    assert not any(row["chin_width_status"] == "ok" for row in whole)
    expect(page.locator(".histograms .without")).to_contain_text("Chin width")
    page.locator(".filters input[type=search]").fill("person 0")
    fewer = [row for row in whole if row["reference"].startswith("person 0") and row["eye_gap_status"] == "ok"]
    expect(figure).to_have_attribute("data-count", str(len(fewer)))


def test_a_photo_of_the_table_opens_over_its_own_file(many: Visit) -> None:
    many.table_is_whole()
    page = many.page
    page.get_by_role("button", name="person 02.jpg").click()
    expect(page.locator(".drawing .measured")).to_have_count(15)
    expect(page.locator("img.photo")).to_have_attribute("alt", "Your photo person 02.jpg")
    expect(page.get_by_role("heading", name="person 02.jpg")).to_be_focused()
    page.get_by_role("button", name="Next →").first.click()
    expect(page.locator("#detail-title")).to_have_text("person 03.jpg")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#detail-title")).to_have_count(0)
    page.get_by_role("button", name="meadow.png").click()
    expect(page.get_by_role("alert")).to_contain_text("What would help")


def test_two_photos_of_one_name_are_told_apart(open_page: Open, photos: list[Path], tmp_path: Path) -> None:
    other = tmp_path / photos[0].name
    other.write_bytes(photos[1].read_bytes())
    visit = open_page()
    visit.pick(photos[0])
    expect(visit.page.get_by_role("button", name="Measure 1 photo")).to_be_visible()
    visit.pick(other)
    visit.measure()
    visit.table_is_whole()
    assert names(visit.page) == ["person 00.jpg", "person 00 (2).jpg"]
    expect(visit.page.locator(".whole p")).to_have_text("Complete: 2 measured")
