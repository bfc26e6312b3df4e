"""The pictures of docs/page.md: what the page looks like, at three widths, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Request, expect

from stack.services import ROOT
from tests.browser.conftest import Open
from tests.browser.visit import Visit
from tests.conftest import PORTRAITS

pytestmark = pytest.mark.browser

FOLDER = ROOT / "docs" / "images" / "page"
MAX_BYTES = 200_000
MAX_WIRE_BYTES = 180_000
MAX_DECODED_BYTES = 600_000
KINDS = {
    "light": ((1440, 900), "light"),
    "dark": ((1440, 900), "dark"),
    "tablet": ((820, 1180), "light"),
    "phone": ((390, 844), "dark"),
}


def keep(visit: Visit, name: str) -> None:
    """Write what the window shows, with as many colours as fit."""
    path = FOLDER / f"{name}.png"
    FOLDER.mkdir(parents=True, exist_ok=True)
    visit.until("document.fonts.status === 'loaded'")
    visit.page.screenshot(path=path, animations="disabled")
    with Image.open(path) as picture:
        shown = picture.convert("RGB")
    for colours in (256, 128, 64, 32):
        shown.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MAX_BYTES:
            return
    pytest.fail(f"{name}.png is over {MAX_BYTES} bytes")


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_page_looks_like_this(open_page: Open, kind: str, photos: list[Path]) -> None:
    size, scheme = KINDS[kind]
    visit = open_page(size=size, scheme=scheme)
    page = visit.page
    expect(page.get_by_role("button", name="choose them")).to_be_visible()
    keep(visit, f"{kind}-empty")
    visit.measured(PORTRAITS / "grace_hopper.jpg")
    page.locator("tr[data-key=face_width] button").focus()
    page.locator(".detail").evaluate("element => element.scrollIntoView()")
    keep(visit, f"{kind}-one")
    visit.pick(*photos)
    visit.measure()
    visit.table_is_whole()
    page.locator(".results").evaluate("element => element.scrollIntoView()")
    keep(visit, f"{kind}-thirty")
    page.locator(".histograms").evaluate("element => element.scrollIntoView()")
    keep(visit, f"{kind}-histograms")
    page.get_by_role("link", name="Batches").click()
    expect(page.locator(".batches li").first).to_be_visible()
    keep(visit, f"{kind}-batches")


def test_a_first_visit_loads_no_more_than_it_may(open_page: Open) -> None:
    visit = open_page("/docs")  # elsewhere first, to listen from the start
    sizes: list[tuple[int, int]] = []

    def note(request: Request) -> None:
        answer = request.response()
        if answer is not None:
            sizes.append((request.sizes()["responseBodySize"], len(answer.body())))

    visit.page.on("requestfinished", note)
    visit.go("/")
    expect(visit.page.get_by_role("button", name="choose them")).to_be_visible()
    visit.page.wait_for_load_state("networkidle")
    assert len(sizes) >= 4
    assert sum(wire for wire, _ in sizes) < MAX_WIRE_BYTES
    assert sum(decoded for _, decoded in sizes) < MAX_DECODED_BYTES
