"""One browser window on the page, and what it must never do: ask another host, break its policy, log an error."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

PATIENCE_MS = 240_000
"""Many times what anything takes on a machine that does something else too."""
_TELL_VIOLATIONS = (
    "document.addEventListener('securitypolicyviolation',"
    " event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"
)
_DROP = """([element, files]) => {
  const carried = new DataTransfer();
  for (const [name, type, data] of files) {
    carried.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], name, { type }));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    element.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
  }
}"""
Scheme = Literal["light", "dark"]


class Visit:
    """One window.

    Attributes
    ----------
    page : Page
    expected : set of str
        Parts of console errors that the test brings about, such as `401`.
    """

    def __init__(self, browser: Browser, url: str, size: tuple[int, int], scheme: str) -> None:
        self.url = url
        self.expected: set[str] = set()
        self._errors: list[str] = []
        self._asked: set[str] = set()
        width, height = size
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=cast("Scheme", scheme),
            permissions=["camera"],
            accept_downloads=True,
            reduced_motion="reduce",
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.page.add_init_script(_TELL_VIOLATIONS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self._errors.append(f"uncaught: {error}"))
        self.page.on("request", self._on_request)
        expect.set_options(timeout=PATIENCE_MS)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def pick(self, *paths: Path) -> None:
        """Choose photos as with the file dialog, or more of them."""
        more = self.page.get_by_role("button", name="Choose more photos")
        if more.is_visible():
            more.click()
        self.page.set_input_files("input[type=file] >> nth=0", list(paths))

    def drop(self, paths: list[Path]) -> None:
        """Drop photos on the page."""
        types = {".jpg": "image/jpeg", ".png": "image/png"}
        files = [[path.name, types[path.suffix], base64.b64encode(path.read_bytes()).decode()] for path in paths]
        target = self.page.query_selector(".uppy-Dashboard-inner")
        self.page.evaluate(_DROP, [target, files])

    def measure(self) -> None:
        """Send what was picked."""
        self.page.get_by_role("button", name="Measure", exact=False).filter(has_text="photo").click()

    def measured(self, path: Path) -> None:
        """Pick a photo, send it, and wait until it is drawn."""
        self.pick(path)
        self.measure()
        expect(self.page.locator("#detail-title")).to_have_text(path.name)
        expect(self.page.locator(".drawing .measured")).to_have_count(15)

    def until(self, holds: str) -> None:
        """Wait until an expression holds. Playwright's own way polls within the page, whose policy forbids `eval`."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(holds):
            assert time.monotonic() < deadline, holds
            self.page.wait_for_timeout(50)

    def table_is_whole(self) -> None:
        """Wait until every photo of a batch has ended and is in the table."""
        expect(self.page.get_by_role("button", name="Export CSV")).to_be_enabled()

    def asked_json(self, path: str) -> Any:
        """Ask the service beside the page."""
        return self._context.request.get(f"{self.url}{path}").json()

    def asked_text(self, path: str) -> str:
        return self._context.request.get(f"{self.url}{path}").text()

    def job_id(self) -> str:
        """Return the id of the job that the page sent last."""
        return str(self.asked_json("/v1/jobs?limit=1")["data"][0]["id"])

    def batch_id(self) -> str:
        return str(self.asked_json("/v1/batches?limit=1")["data"][0]["id"])

    def close(self) -> None:
        self._context.close()

    def check(self) -> None:
        own = urlsplit(self.url).netloc
        assert self._asked == {own}, f"the page asked other hosts: {self._asked - {own}}"
        unexpected = [error for error in self._errors if not any(part in error for part in self.expected)]
        assert unexpected == [], unexpected

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"}:
            self._asked.add(parts.netloc)
