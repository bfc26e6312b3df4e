"""The lists of batches and of deliveries."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.conftest import RECEIVER_PORT

pytestmark = pytest.mark.browser


class Receiver(ThreadingHTTPServer):
    """Takes webhooks, and answers with a status that can be changed."""

    status = 500

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", RECEIVER_PORT), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_batch_is_listed_with_its_progress_and_opens(open_page: Open, http: httpx.Client, photos: list[Path]) -> None:
    visit = open_page("/#/batches")
    page = visit.page
    # Three times over, so that it is still being measured when the page looks.
    files = [("images", (f"{times} {path.name}", path.read_bytes())) for times in range(3) for path in photos]
    batch = http.post("/v1/batches", files=files).raise_for_status().json()
    page.reload()
    card = page.locator(f"[data-id={batch['id']}]")
    expect(card.locator(".pill")).to_have_text("Measuring")
    expect(card.locator(".line")).to_have_text(re.compile(r"\d+ % · .*to go"))  # the pace and the time that is left
    expect(card.locator(".pill")).to_have_text("Complete")
    expect(card).to_contain_text("100 % · 81 measured, 9 rejected")
    card.get_by_role("link", name="90 photos").click()
    visit.table_is_whole()
    assert page.url.endswith(f"#/batches/{batch['id']}")
    page.get_by_role("button", name="0 person 00.jpg").click()
    expect(page.locator(".drawing .measured")).to_have_count(15)
    assert page.locator("#detail-title").count() == 1
    expect(page.locator(".note")).to_contain_text("The photo was deleted once it was measured")


def test_a_batch_can_be_cancelled(open_page: Open, http: httpx.Client) -> None:
    items = [{"reference": "a", "size": 100_000, "content_type": "image/jpeg"}]
    batch = http.post("/v1/batches", json={"items": items}).raise_for_status().json()
    card = open_page("/#/batches").page.locator(f"[data-id={batch['id']}]")
    expect(card.locator(".pill")).to_have_text("Waiting for the photo")
    card.get_by_role("button", name="Cancel").click()
    expect(card.locator(".pill")).to_have_text("Cancelled")


def test_a_batch_that_is_deleted_elsewhere_leaves_the_list(open_page: Open, http: httpx.Client) -> None:
    items = [{"reference": "a", "size": 100_000, "content_type": "image/jpeg"}]
    gone, stays = (http.post("/v1/batches", json={"items": items}).raise_for_status().json()["id"] for _ in range(2))
    page = open_page("/#/batches").page
    expect(page.locator(f"[data-id={gone}]")).to_be_visible()
    http.delete(f"/v1/batches/{gone}").raise_for_status()
    expect(page.locator(f"[data-id={gone}]")).to_have_count(0)
    expect(page.locator(f"[data-id={stays}]")).to_be_visible()
    http.post(f"/v1/batches/{stays}/cancel").raise_for_status()


def test_a_batch_deleted_on_its_own_page_leads_back_to_the_list(open_page: Open, http: httpx.Client) -> None:
    items = [{"reference": "a", "size": 100_000, "content_type": "image/jpeg"}]
    batch = http.post("/v1/batches", json={"items": items}).raise_for_status().json()["id"]
    page = open_page(f"/#/batches/{batch}").page
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete now").click()
    expect(page.locator(".notice")).to_contain_text("Deleted.")
    expect(page.locator("h1", has_text="Batches")).to_be_visible()
    assert page.url.endswith("#/batches")
    assert http.get(f"/v1/batches/{batch}").status_code == 404


def test_a_batch_that_is_not_there_is_told(open_page: Open) -> None:
    visit = open_page("/#/batches/bat_00000000000000000000000000")
    visit.expected.add("404")
    expect(visit.page.get_by_role("alert")).to_be_visible()


def test_a_failed_delivery_shows_its_attempts_and_is_delivered_again(
    open_page: Open, http: httpx.Client, receiver: Receiver
) -> None:
    http.post("/v1/webhooks/secret").raise_for_status()
    visit = open_page("/#/deliveries")
    page = visit.page
    page.get_by_label("Test event to").fill(f"http://127.0.0.1:{RECEIVER_PORT}/hook")
    page.get_by_role("button", name="Send").click()
    card = page.locator(".deliveries > li").first
    expect(card).to_contain_text("webhook.test")
    card.locator("summary").click()
    expect(card.locator("tbody tr").first).to_contain_text("500")
    expect(card.locator(".pill")).to_have_text("Pending")
    receiver.status = 204
    card.get_by_role("button", name="Redeliver").click()
    expect(card.locator(".pill")).to_have_text("Delivered")  # and what was unfolded stays so
    expect(card.locator("tbody tr").last).to_contain_text("204")
    delivery = visit.asked_json("/v1/deliveries?limit=1")["data"][0]
    expect(card.locator("summary")).to_have_text(f"{len(delivery['attempts'])} attempts")


def test_a_target_that_may_not_be_called_is_told_in_words(open_page: Open) -> None:
    visit = open_page("/#/deliveries")
    visit.expected.add("400")
    visit.page.get_by_label("Test event to").fill("https://10.0.0.1/hook")
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.page.locator(".notice")).to_contain_text("FACEFIT_")
