"""One photo, as a person meets it: picked, dropped or taken, drawn over, read with the keyboard alone."""

from __future__ import annotations

import json
from pathlib import Path

import pillow_heif
import pytest
from playwright.sync_api import Page, expect

from shared.measurements import DEFINITIONS
from tests.browser.conftest import Open
from tests.browser.photos import difference, mirrored, oriented, portrait
from tests.conftest import PORTRAITS

pytestmark = pytest.mark.browser

HOPPER = PORTRAITS / "grace_hopper.jpg"
SAME = 6.0
"""Steps of 255 by which two pictures of one photo may differ, by JPEG and scaling; turned otherwise: far more."""


def bare(page: Page) -> bytes:
    """Return a picture of the photo alone, without what is drawn on it."""
    for layer in ("Mesh", "Lines", "Names"):
        button = page.get_by_role("button", name=layer, exact=True)
        if button.get_attribute("aria-pressed") == "true":
            button.click()
    page.mouse.move(0, 0)
    expect(page.locator(".measured")).to_have_count(0)
    expect(page.locator("img.photo")).to_be_visible()
    return page.locator(".box").screenshot()


def test_the_drawing_is_where_the_result_says(open_page: Open) -> None:
    visit = open_page()
    visit.measured(HOPPER)
    job = visit.asked_json(f"/v1/jobs/{visit.job_id()}")
    image, face = job["result"]["image"], job["result"]["faces"][0]
    assert visit.page.locator("svg.drawing").get_attribute("viewBox") == f"0 0 {image['width']} {image['height']}"
    for definition in DEFINITIONS:
        first, second, *_ = definition.landmarks
        shown = visit.page.locator(f"tr[data-key={definition.key}]")
        shown.hover()
        for index in definition.landmarks:
            circle = visit.page.locator(f"[data-landmark='{index}'] circle")
            point = face["landmarks"][index]
            assert float(circle.get_attribute("cx") or "nan") == pytest.approx(point["x"], abs=0.01)
            assert float(circle.get_attribute("cy") or "nan") == pytest.approx(point["y"], abs=0.01)
        value = face["measurements"][definition.key]
        line = visit.page.locator(f".measured[data-key={definition.key}] .value")
        ends = [float(line.get_attribute(name) or "nan") for name in ("x1", "y1", "x2", "y2")]
        if len(definition.landmarks) == 2 and value["px"] is not None:
            length = ((ends[2] - ends[0]) ** 2 + (ends[3] - ends[1]) ** 2) ** 0.5
            a, b = face["landmarks"][first], face["landmarks"][second]
            assert length == pytest.approx(((a["x"] - b["x"]) ** 2 + (a["y"] - b["y"]) ** 2) ** 0.5, abs=0.02)
            assert length == pytest.approx(value["px"], abs=0.05)
        text = f"{value['mm']:.1f} ± {value['mm_sd']:.1f}"
        assert text in shown.inner_text()


def test_a_landmark_lies_on_its_pixel_of_the_photo_when_zoomed_too(open_page: Open) -> None:
    visit = open_page()
    visit.measured(HOPPER)
    page = visit.page
    point = visit.asked_json(f"/v1/jobs/{visit.job_id()}")["result"]["faces"][0]["landmarks"][468]
    width, height = portrait().size
    for _ in range(3):
        page.locator("tr[data-key=interpupillary_distance]").hover()
        circle, photo = (
            page.locator("[data-landmark='468'] circle").bounding_box(),
            page.locator("img.photo").bounding_box(),
        )
        assert circle
        assert photo
        assert (circle["x"] + circle["width"] / 2 - photo["x"]) / photo["width"] * width == pytest.approx(
            point["x"], abs=1
        )
        assert (circle["y"] + circle["height"] / 2 - photo["y"]) / photo["height"] * height == pytest.approx(
            point["y"], abs=1
        )
        before = photo["width"]
        page.get_by_role("button", name="Zoom in").click()
        visit.until(f"document.querySelector('img.photo').getBoundingClientRect().width > {before * 1.35}")
    page.get_by_role("button", name="Whole photo").click()
    expect(page.locator(".zoom")).to_have_text("100 %")


def test_a_measurement_tells_its_points_and_what_it_means(open_page: Open) -> None:
    visit = open_page()
    visit.measured(HOPPER)
    catalogue = {entry["key"]: entry for entry in visit.asked_json("/v1/measurements")["data"]}
    visit.page.locator("tr[data-key=jaw_width]").hover()
    meaning = visit.page.locator("#meaning")
    entry = catalogue["jaw_width"]
    for text in (entry["term"], entry["stands_for"], entry["formula"], entry["known_error"]):
        expect(meaning).to_contain_text(text)
    expect(meaning).to_contain_text(f"landmarks {entry['landmarks'][0]}, {entry['landmarks'][1]}")


def test_layers_can_be_switched_off(open_page: Open) -> None:
    visit = open_page()
    visit.measured(HOPPER)
    page = visit.page
    for layer, what in (("Mesh", ".mesh"), ("Names", ".tag"), ("Lines", ".measured")):
        assert page.locator(what).count() > 0
        page.get_by_role("button", name=layer, exact=True).click()
        page.mouse.move(0, 0)
        expect(page.locator(what)).to_have_count(0)
    page.get_by_role("button", name="Axes", exact=True).click()
    expect(page.locator(".axis")).to_have_count(3)


def test_photos_are_shown_upright_however_the_camera_was_held(open_page: Open, tmp_path: Path) -> None:
    upright = b""
    visit = open_page()
    for orientation in range(1, 9):
        for ending in ("jpg", "png", "webp"):
            if upright:
                visit.page.get_by_role("button", name="Lines", exact=True).click()
            visit.measured(oriented(tmp_path / f"held-{orientation}.{ending}", orientation))
            image = visit.asked_json(f"/v1/jobs/{visit.job_id()}")["result"]["image"]
            assert (image["width"], image["height"], image["exif_orientation"]) == (*portrait().size, orientation)
            picture = bare(visit.page)
            upright = upright or picture
            assert difference(upright, picture) < SAME, (orientation, ending)


def test_a_selfie_saved_as_in_a_mirror_is_turned_back(open_page: Open, tmp_path: Path) -> None:
    straight = open_page()
    straight.measured(HOPPER)
    selfie = open_page()
    selfie.page.get_by_label("Selfies saved as in a mirror").check()
    selfie.measured(mirrored(tmp_path / "selfie.jpg"))
    assert selfie.asked_json(f"/v1/jobs/{selfie.job_id()}")["result"]["image"]["mirrored"]
    assert difference(bare(straight.page), bare(selfie.page)) < SAME


def test_what_is_known_of_the_person_is_sent(open_page: Open) -> None:
    visit = open_page()
    visit.page.get_by_label("Pupil distance (PD), mm").fill("62")
    visit.measured(HOPPER)
    expect(visit.page.locator(".facts")).to_contain_text("from the known PD")
    assert visit.asked_json(f"/v1/jobs/{visit.job_id()}")["result"]["faces"][0]["scale"]["source"] == "known_pd"


def test_a_card_that_is_not_there_is_told_in_words(open_page: Open) -> None:
    visit = open_page()
    visit.page.get_by_label("Held in the photo").select_option("id1_card")
    visit.pick(HOPPER)
    visit.measure()
    refused = visit.page.get_by_role("alert")
    expect(refused).to_contain_text("Card or marker not found")
    job = visit.asked_json(f"/v1/jobs/{visit.job_id()}")
    expect(refused).to_contain_text(job["error"]["message"])
    for hint in job["error"]["retake"]:
        expect(refused).to_contain_text(hint["message"])


def test_no_face_is_told_in_words_with_what_helps(open_page: Open, photos: list[Path]) -> None:
    visit = open_page()
    visit.pick(photos[27])
    visit.measure()
    expect(visit.page.get_by_role("alert")).to_contain_text("No face found")
    expect(visit.page.get_by_role("alert")).to_contain_text("What would help")


def test_a_photo_that_the_browser_cannot_show_is_shown_by_the_service_if_it_was_kept(
    open_page: Open, tmp_path: Path
) -> None:
    path = tmp_path / "phone.heic"
    pillow_heif.from_pillow(portrait()).save(path, quality=90)
    visit = open_page()
    visit.measured(path)
    expect(visit.page.locator(".note")).to_contain_text("Your browser cannot show this kind of photo")
    assert visit.page.locator("img.photo").count() == 0
    visit.page.get_by_label("Keep the photo").check()
    visit.measured(path)
    expect(visit.page.locator("img.photo")).to_be_visible()
    straight = open_page()
    straight.measured(HOPPER)
    assert difference(bare(straight.page), bare(visit.page)) < SAME


def test_the_keyboard_alone_is_enough(open_page: Open) -> None:
    visit = open_page()
    page = visit.page
    with page.expect_file_chooser() as chooser:
        for _ in range(20):
            page.keyboard.press("Tab")
            if "choose" in page.evaluate("document.activeElement.textContent.toLowerCase()"):
                break
        page.keyboard.press("Enter")
    chooser.value.set_files(HOPPER)
    expect(page.get_by_role("button", name="Measure 1 photo")).to_be_visible()
    press_until(page, "document.activeElement.closest('button')?.textContent.includes('Measure 1 photo')")
    page.keyboard.press("Enter")
    expect(page.locator(".drawing .measured")).to_have_count(15)
    # Where the person is now is where the results begin.
    press_until(page, "Boolean(document.activeElement.closest('tr[data-key=eye_gap]'))")
    expect(page.locator("#meaning")).to_contain_text("intercanthal")
    expect(page.locator(".measured.active")).to_have_attribute("data-key", "eye_gap")
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "meaning"
    press_until(page, "document.activeElement.classList.contains('ground')", key="Shift+Tab")
    page.keyboard.press("+")
    expect(page.locator(".zoom")).to_have_text("140 %")
    page.keyboard.press("0")
    expect(page.locator(".zoom")).to_have_text("100 %")


def press_until(page: Page, holds: str, key: str = "Tab") -> None:
    for _ in range(60):
        if page.evaluate(holds):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} does not lead there: {holds}")


def test_the_camera_takes_a_photo_that_is_sent(open_page: Open) -> None:
    visit = open_page()
    page = visit.page
    page.get_by_role("tab", name="Camera").click()
    expect(page.locator("video")).to_be_visible()
    visit.until("document.querySelector('video').videoWidth > 0")
    page.get_by_role("button", name="Take a picture").click()
    page.get_by_role("button", name="Use this photo").click()
    expect(page.get_by_role("button", name="Measure 1 photo")).to_be_visible()
    visit.measure()
    # What Chromium's pretended camera sees is no face.
    expect(page.get_by_role("alert")).to_contain_text("No face found")


def test_results_can_be_saved_and_deleted(open_page: Open) -> None:
    visit = open_page()
    visit.measured(HOPPER)
    page, job_id = visit.page, visit.job_id()
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON").click()
    assert saved.value.suggested_filename == "grace_hopper.json"
    assert json.loads(saved.value.path().read_text())["id"] == job_id
    with page.expect_download() as saved:
        page.get_by_role("button", name="Mesh (PLY)").click()
    assert saved.value.path().read_text().startswith("ply")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete now").click()
    expect(page.locator(".notice")).to_contain_text("Deleted")
    assert visit.asked_json(f"/v1/jobs/{job_id}")["code"] == "not_found"
    expect(page.locator(".detail")).to_have_count(0)
