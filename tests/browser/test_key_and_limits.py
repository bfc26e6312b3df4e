"""A service that wants a key, that sets limits, and that goes away: what the page says, and where it keeps the key."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import expect

from shared.storage.s3 import S3ObjectStore
from stack.data_folder import free_ports
from stack.services import ROOT, settings_of
from stack.stack import Stack
from tests.browser.conftest import Open
from tests.conftest import PORTRAITS
from tests.keys import make_key

pytestmark = pytest.mark.browser

HOPPER = PORTRAITS / "grace_hopper.jpg"
DATABASE = "/8"
"""Of Redis, for these tests alone."""
PATIENCE_S = 240.0


@dataclass
class KeyedApi:
    """An API with a key, over storage and records of its own, and their upkeep; nobody measures what it takes."""

    stores: Stack
    port: int = field(default_factory=lambda: free_ports(1)[0])
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    key: str = ""

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **os.environ,
            **self.stores.settings_env,
            "FACEFIT_REDIS_URL": self.stores.settings_env["FACEFIT_REDIS_URL"].removesuffix("/0") + DATABASE,
            "FACEFIT_S3_BUCKET": f"page-{uuid.uuid4().hex[:12]}",
            "FACEFIT_LISTEN_PORT": str(self.port),
            "FACEFIT_API_WORKERS": "1",
            "FACEFIT_KEYS_REFRESH_S": "0.5",
            "FACEFIT_LIMIT_PHOTOS_PER_MINUTE": "1",
        }

    def start(self) -> None:
        commands = (
            (sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
            (sys.executable, "-m", "worker.upkeep"),
        )
        quiet = subprocess.DEVNULL
        self.processes = [
            subprocess.Popen(command, env=self.env, cwd=ROOT, stdout=quiet, stderr=quiet) for command in commands
        ]
        until = time.monotonic() + PATIENCE_S
        while not self.takes_its_key():
            assert time.monotonic() < until, "the API with a key does not come up"
            time.sleep(0.1)

    def takes_its_key(self) -> bool:
        """Whether a key is wanted, the one that was made is taken, and the records have been found complete."""
        try:
            if not self.key:
                self.key = self.made_key() if httpx.get(f"{self.url}/healthz", trust_env=False).is_success else ""
            without, with_key = (
                httpx.get(f"{self.url}/v1/batches", headers=headers, trust_env=False).status_code
                for headers in ({}, {"X-API-Key": self.key})
            )
        except httpx.TransportError:
            return False
        return (without, with_key) == (httpx.codes.UNAUTHORIZED, httpx.codes.OK)

    def made_key(self) -> str:
        return make_key(S3ObjectStore(settings_of(self.env)), "acme").text

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.processes = []


@pytest.fixture
def keyed(stores: Stack) -> Iterator[KeyedApi]:
    api = KeyedApi(stores)
    try:
        api.start()
        yield api
    finally:
        api.stop()


def test_a_key_is_asked_for_kept_in_this_tab_alone_and_sent(open_page: Open, keyed: KeyedApi) -> None:
    visit = open_page("/#/batches", url=keyed.url)
    visit.expected.add("401")
    page = visit.page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This service needs a key")
    page.get_by_label("Key", exact=True).fill("ffk_wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("does not know the key")
    page.get_by_label("Key", exact=True).fill(keyed.key)
    page.get_by_role("button", name="Use it").click()
    expect(dialog).not_to_be_visible()
    expect(page.locator(".empty")).to_contain_text("No batch was sent yet")
    assert page.evaluate("Object.values(sessionStorage)") == [keyed.key]
    assert keyed.key not in page.evaluate("JSON.stringify([{...localStorage}, document.cookie, location.href])")
    page.reload()
    expect(page.locator(".empty")).to_contain_text("No batch was sent yet")
    page.get_by_role("button", name="API key").click()
    page.get_by_role("button", name="Forget it").click()
    assert page.evaluate("sessionStorage.length") == 0
    expect(dialog).to_contain_text("This service needs a key")


def test_a_limit_and_a_service_that_is_away_are_told_in_words(open_page: Open, keyed: KeyedApi) -> None:
    visit = open_page(url=keyed.url)
    visit.expected |= {"401", "429", "ERR_", "more than your limit"}
    page = visit.page
    page.get_by_label("Key", exact=True).fill(keyed.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    visit.pick(HOPPER)
    visit.measure()
    expect(page.locator(".progressing")).to_contain_text("number 1 in the queue")
    visit.pick(HOPPER)
    visit.measure()
    expect(page.locator(".notice")).to_contain_text("more than your limit allows")
    expect(page.locator(".notice")).to_contain_text("Try again in")
    expect(page.locator(".notice")).not_to_contain_text("Retry-After")
    page.get_by_role("button", name="Dismiss").click()
    keyed.stop()
    expect(page.locator(".notice.bad")).to_contain_text("The service does not answer")
    keyed.start()
    expect(page.locator(".notice.bad")).to_have_count(0)
    expect(page.locator(".progressing")).to_be_visible()
