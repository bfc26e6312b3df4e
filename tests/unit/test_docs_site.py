"""The docs site: it builds without a warning, leads nowhere wrong, asks no other server; made pages are current."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs import diagrams, reference
from docs.site.build import Layout, LinkNowhere, pages
from docs.site.nav import MENU, OPTIONAL
from stack.services import ROOT

ASKING = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("object", "data")}
"""What a browser fetches by itself; a link to another site is followed by its reader."""


class Page(HTMLParser):
    """What a built page fetches, links to, and can be linked at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (tag, name) in ASKING and value:
                self.fetched.append(value)
            if (tag, name) == ("a", "href") and value:
                self.linked.append(value)
            if name in {"id", "name"} and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "docs.site.build", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return out


@pytest.fixture(scope="module")
def built(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_pages_ask_no_other_server(site: Path, built: dict[Path, Page]) -> None:
    asked = {address for page in built.values() for address in page.fetched if urlsplit(address).netloc}
    for path in (*site.rglob("*.css"), *site.rglob("*.svg")):
        asked |= set(re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", path.read_text(encoding="utf-8")))
    assert asked == set()


def test_every_link_within_the_site_leads_somewhere(site: Path, built: dict[Path, Page]) -> None:
    wrong = []
    for path, page in built.items():
        for address in (*page.linked, *page.fetched):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = built[target].anchors if target in built else set()
            missing_anchor = parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors
            if not target.exists() or missing_anchor:
                wrong.append(f"{path.relative_to(site)}: {address}")
    assert wrong == []


def test_every_page_is_in_the_menu_and_searched(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    missing = [str(place) for place in pages().values() if f'"{place.with_suffix("")}"' not in index]
    assert missing == []


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    page = ROOT / "docs" / "api.md"
    with pytest.raises(LinkNowhere, match=r"docs/api\.md links to nowhere\.md"):
        layout._for_the_site("[a](nowhere.md)", page, pages()[page])


def test_a_link_called_by_a_file_name_is_called_by_its_page(tmp_path: Path) -> None:
    page = ROOT / "docs" / "api.md"
    text = "[photos.md](photos.md) [how](photos.md) [errors.md of old](errors.md)"
    told = "[Taking good photos](photos.md) [how](photos.md) [errors.md of old](errors.md)"
    assert Layout(tmp_path)._for_the_site(text, page, pages()[page]) == told


def test_pages_that_may_be_missing_are_in_the_menu() -> None:
    assert {name for names in MENU.values() for name in names} >= OPTIONAL


def test_the_reference_is_that_of_the_api_as_it_is() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run make docs"


def test_every_diagram_is_drawn_as_it_is_and_no_other() -> None:
    assert set(diagrams.diagrams()) == set(diagrams.DRAWINGS.glob("*.svg")), "run make diagrams"
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert text.count("```mermaid\n") == len(diagrams.FENCE.findall(text)), (
            f"{page}: a diagram has no title above it"
        )


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^()\s#]+)", text)
    named = {link for link in links if not link.startswith("http") and link.removeprefix("docs/") not in OPTIONAL}
    assert {link for link in named if not (ROOT / link).exists()} == set()
