"""That people with a screen reader, a keyboard, a phone or other colours can use it: axe, and the width of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit
from tests.conftest import PORTRAITS

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
SIZES = {
    "light": ((1440, 900), "light"),
    "dark": ((1440, 900), "dark"),
    "phone": ((390, 844), "light"),
    "tablet": ((820, 1180), "dark"),
}
_RUN = """async () => (await axe.run(document)).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => [id, ...nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)])"""


def check(visit: Visit) -> None:
    """Ask axe, which the page itself could not load: its policy does not hold for the test's own script."""
    visit.page.evaluate(AXE)
    assert visit.page.evaluate(_RUN) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("kind", list(SIZES))
def test_nobody_is_kept_out(open_page: Open, kind: str, photos: list[Path]) -> None:
    size, scheme = SIZES[kind]
    visit = open_page(size=size, scheme=scheme)
    page = visit.page
    expect(page.get_by_role("button", name="choose them")).to_be_visible()
    check(visit)
    visit.pick(PORTRAITS / "grace_hopper.jpg")
    expect(page.get_by_role("button", name="Measure 1 photo")).to_be_visible()
    check(visit)
    visit.measure()
    expect(page.locator(".drawing .measured")).to_have_count(15)
    page.locator("tr[data-key=jaw_width] button").focus()
    check(visit)
    visit.pick(*photos[:2], photos[-1])
    visit.measure()
    visit.table_is_whole()
    page.get_by_role("button", name="=broken.jpg").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(visit)
    page.get_by_role("button", name="API key").click()
    check(visit)
    page.keyboard.press("Escape")
    for name in ("Batches", "Deliveries"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(page.get_by_text("Reading …")).to_have_count(0)
        check(visit)


def test_the_theme_can_be_chosen_and_is_kept(open_page: Open) -> None:
    visit = open_page(scheme="light")
    page = visit.page
    page.get_by_role("button", name="Use dark colours").click()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.reload()
    expect(page.get_by_role("button", name="Use light colours")).to_be_visible()
