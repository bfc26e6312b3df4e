"""A real browser before the running service: `make browser`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from stack.stack import Stack
from tests.browser.photos import thirty
from tests.browser.visit import Visit

BROWSER_ENV = "FACEFIT_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NONE = (
    "make browser needs Chromium: apt-get install chromium (Debian), or name one: FACEFIT_CHROMIUM=/path/to/chromium"
)
_FLAGS = (
    "--no-sandbox",  # Chromium refuses its sandbox to root, whom containers run tests as; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

Open = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get(BROWSER_ENV) or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None or not Path(path).exists():
        pytest.exit(_NONE, returncode=1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, service: Stack) -> Iterator[Open]:
    """Open pages of the service, each in a browser of its own; at the end none of them has broken a rule."""
    visits: list[Visit] = []

    def open_(
        path: str = "/", *, url: str | None = None, size: tuple[int, int] = (1440, 900), scheme: str = "light"
    ) -> Visit:
        visit = Visit(browser, url or service.url, size, scheme)
        visits.append(visit)
        visit.go(path)
        return visit

    yield open_
    for visit in visits:
        visit.close()
    for visit in visits:
        visit.check()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Thirty files: 27 with a face, two without, and one that is no photo."""
    return thirty(tmp_path_factory.mktemp("photos"))
