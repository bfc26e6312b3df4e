"""What goes wrong between a page and a person: a file dropped beside, one picked twice, names that are code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit
from tests.conftest import PORTRAITS

pytestmark = pytest.mark.browser

HOPPER = PORTRAITS / "grace_hopper.jpg"
NAME_THAT_IS_CODE = "<img src=x onerror=document.title='run'>.jpg"
BUSY = {"type": "urn:facefit:problem:unavailable", "title": "Unavailable", "status": 503, "code": "unavailable"}
_COUNT_URLS = """(() => {
  window.live = new Set();
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => { const url = createObjectURL(blob); window.live.add(url); return url; };
  URL.revokeObjectURL = (url) => { window.live.delete(url); revokeObjectURL(url); };
})()"""


def busy_times(times: int) -> Iterator[bool]:
    yield from (True for _ in range(times))
    while True:
        yield False


def make_busy(page: Page, path: str, times: int, status: int = 503) -> None:
    """Have the service refuse what is asked of a path, as it does while a part of it is away, or it fails."""
    is_busy = busy_times(times)

    def answer(route: Route) -> None:
        if next(is_busy):
            headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
            route.fulfill(
                status=status, headers=headers, body=json.dumps({**BUSY, "detail": "", "request_id": "req_1"})
            )
        else:
            route.continue_()

    page.route(path, answer)


def test_a_file_dropped_beside_its_place_does_not_take_the_page_away(open_page: Open) -> None:
    page = open_page().page
    expect(page.get_by_role("button", name="choose them")).to_be_visible()
    prevented = page.evaluate("""() => ["dragover", "drop"].map((kind) => {
        const carried = new DataTransfer();
        carried.items.add(new File(["x"], "a.jpg", { type: "image/jpeg" }));
        const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
        document.querySelector("footer").dispatchEvent(event);
        return event.defaultPrevented;
    })""")
    assert prevented == [True, True]


def test_a_photo_picked_twice_is_sent_once_under_its_own_name(open_page: Open) -> None:
    visit = open_page()
    visit.pick(HOPPER)
    expect(visit.page.get_by_role("button", name="Measure 1 photo")).to_be_visible()
    visit.pick(HOPPER)
    expect(visit.page.get_by_text("is there already").first).to_be_visible()
    visit.measure()
    expect(visit.page.locator("#detail-title")).to_have_text(HOPPER.name)


def test_a_file_name_is_text_and_nothing_else(open_page: Open, tmp_path: Path, photos: list[Path]) -> None:
    named = tmp_path / NAME_THAT_IS_CODE
    shutil.copy(HOPPER, named)
    visit = open_page()
    page = visit.page
    visit.pick(named, photos[1])
    visit.measure()
    visit.table_is_whole()
    page.get_by_role("button", name=NAME_THAT_IS_CODE).click()
    expect(page.locator("#detail-title")).to_have_text(NAME_THAT_IS_CODE)
    expect(page.locator(".drawing .measured")).to_have_count(15)
    batch = visit.batch_id()
    visit.go(f"/#/batches/{batch}")  # now as the service tells the name
    page.reload()
    expect(page.locator(".photo-name").first).to_contain_text("img src=x onerror")
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "Batches · facefit"


def test_photos_that_were_looked_at_do_not_stay_in_memory(open_page: Open, photos: list[Path]) -> None:
    visit = open_page()
    page = visit.page
    page.add_init_script(_COUNT_URLS)
    page.reload()
    visit.pick(*photos[:4])
    visit.measure()
    visit.table_is_whole()
    expect(page.get_by_role("button", name="Measure 4 photos")).to_have_count(0)
    before = page.evaluate("window.live.size")
    page.get_by_role("button", name=photos[0].name).click()
    for path in photos[1:4]:
        expect(page.locator("img.photo")).to_be_visible()
        page.get_by_role("button", name="Next →").first.click()
        expect(page.locator("#detail-title")).to_have_text(path.name)
    expect(page.locator("img.photo")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("img.photo")).to_have_count(0)
    assert page.evaluate("window.live.size") == before
    focused = page.evaluate("document.activeElement.closest('tr')?.dataset.index")
    assert focused == "3", "who closes a photo with the keyboard is not sent to the top of the page"


def test_the_keys_of_the_browser_stay_the_browsers(open_page: Open) -> None:
    visit = open_page()
    visit.measured(HOPPER)
    taken = visit.page.locator(".ground").evaluate("""(ground) => [true, false].map((ctrlKey) => {
        const event = new KeyboardEvent("keydown", { key: "+", ctrlKey, bubbles: true, cancelable: true });
        ground.dispatchEvent(event);
        return event.defaultPrevented;
    })""")
    assert taken == [False, True]


def test_what_was_said_of_a_person_is_seen_where_the_form_is_folded(open_page: Open) -> None:
    page = open_page(size=(390, 844)).page
    page.locator(".options summary").click()
    page.get_by_label("Pupil distance (PD), mm").fill("62")
    page.get_by_label("Selfies saved as in a mirror").check()
    page.locator(".options summary").click()
    expect(page.locator(".options form")).not_to_be_visible()
    expect(page.locator(".options summary")).to_contain_text("PD 62 mm, mirrored")


def test_a_list_of_a_busy_service_comes_by_itself(open_page: Open) -> None:
    visit = open_page()
    visit.expected.add("503")
    make_busy(visit.page, "**/v1/deliveries?*", times=2)
    visit.page.get_by_role("link", name="Deliveries").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("asks again by itself")
    expect(visit.page.get_by_role("alert")).to_have_count(0)
    expect(visit.page.locator(".deliveries, .empty")).to_be_visible()


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_photo_of_a_busy_service_is_waited_for(open_page: Open, status: int) -> None:
    visit = open_page()
    visit.expected.add(str(status))
    make_busy(visit.page, "**/v1/jobs/*?wait=*", times=2, status=status)
    visit.pick(HOPPER)
    visit.measure()
    expect(visit.page.locator(".notice.doubt")).to_contain_text("What was accepted goes on")
    expect(visit.page.locator(".drawing .measured")).to_have_count(15)
    expect(visit.page.locator(".notice")).to_have_count(0)


@pytest.mark.parametrize("count", [1, 2])
def test_the_arrow_on_a_photo_that_was_not_sent_sends_all_again(
    open_page: Open, photos: list[Path], count: int
) -> None:
    visit = open_page()
    page = visit.page
    visit.expected |= {"400", "is forbidden"}
    address = page.get_by_label("Call back at")
    address.fill("https://127.0.0.1/hook")
    visit.pick(*photos[:count])
    visit.measure()
    expect(page.locator(".notice.bad")).to_be_visible()
    address.fill("")
    page.locator(".uppy-Dashboard-Item.is-error .uppy-Dashboard-Item-progressIndicator").first.click()
    if count == 1:
        expect(page.locator(".drawing .measured")).to_have_count(15)
    else:
        visit.table_is_whole()
        expect(page.locator("table.photos tbody tr")).to_have_count(count)
    expect(page.locator(".uppy-Dashboard-Item")).to_have_count(0)


def test_results_that_break_off_time_and_again_come_in_the_end(open_page: Open, photos: list[Path]) -> None:
    visit = open_page()
    visit.expected.add("503")
    make_busy(visit.page, "**/results?include=all", times=8)
    visit.pick(*photos[:2])
    visit.measure()
    visit.table_is_whole()
    expect(visit.page.locator("table.photos .pill.succeeded")).to_have_count(2)
    expect(visit.page.locator(".refused, .notice")).to_have_count(0)


def test_a_table_has_nothing_of_the_one_before(open_page: Open, photos: list[Path]) -> None:
    visit = open_page()
    page = visit.page
    visit.pick(*photos[:2])
    visit.measure()
    visit.table_is_whole()
    page.locator(".filters input[type=search]").fill(photos[0].name)
    expect(page.locator("table.photos tbody tr")).to_have_count(1)
    visit.pick(*photos[2:4])
    visit.measure()
    expect(page.locator("#batch-title")).to_have_text("2 photos")
    expect(page.locator(".photo-name")).to_have_text([path.name for path in photos[2:4]])
    visit.table_is_whole()


def test_a_service_that_lets_nobody_wait_is_asked_once_a_second(open_page: Open) -> None:
    visit = open_page()
    page = visit.page
    asked: list[str] = []

    def answer_at_once(route: Route) -> None:
        asked.append(route.request.url)
        response = route.fetch(url=route.request.url.split("?")[0])
        route.fulfill(response=response, json={**response.json(), "status": "queued", "result": None})

    page.route("**/v1/jobs/*?wait=*", answer_at_once)
    visit.pick(HOPPER)
    with page.expect_request("**/v1/jobs/*?wait=*"):
        visit.measure()
    page.wait_for_timeout(5_000)  # a rate is counted over a time
    assert 1 <= len(asked) <= 6


def test_a_batch_that_is_left_is_not_asked_about_any_more(open_page: Open, http: httpx.Client) -> None:
    items = [{"reference": "a", "size": 100_000, "content_type": "image/jpeg"}]
    batch = http.post("/v1/batches", json={"items": items}).raise_for_status().json()["id"]
    visit: Visit = open_page(f"/#/batches/{batch}")
    page = visit.page
    expect(page.locator("#batch-title")).to_have_text("1 photo")
    page.get_by_role("link", name="Measure").click()
    expect(page.locator("#batch-title")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000)
    assert [url for url in asked if batch in url] == []
    http.post(f"/v1/batches/{batch}/cancel").raise_for_status()
