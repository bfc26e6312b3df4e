"""Build the site: `python -m docs.site.build OUT`. A link that leads nowhere, or any other warning, fails it.

The pages are written to be read where the repository is browsed, too. So they are laid out anew for Sphinx in a folder
of their own: files that a page links to become pages that show them, diagrams become the drawings made of them, and the
menu is added to the first page.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from sphinx.cmd.build import main as sphinx

from docs.diagrams import FENCE, drawing_of
from docs.site.nav import BESIDE, MENU, OPTIONAL

HERE: Final = Path(__file__).resolve().parent
DOCS: Final = HERE.parent
ROOT: Final = DOCS.parent
PICTURES: Final = frozenset({".svg", ".png", ".jpg"})

_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
_FILE_NAME: Final = re.compile(r"[\w./-]+\.md")
_CODE: Final = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LANGUAGES: Final = {".py": "python", ".sh": "sh", ".mjs": "js", ".yml": "yaml", ".yaml": "yaml", ".json": "json"}


class LinkNowhere(Exception):
    """Raised when a page links to a file that is not there."""


def pages() -> dict[Path, PurePosixPath]:
    """Return the pages there are, and where each goes on the site."""
    found = {path: _placed(path.relative_to(DOCS).as_posix()) for path in sorted(DOCS.rglob("*.md"))}
    return found | {ROOT / name: PurePosixPath(place) for name, place in BESIDE.items()}


def _placed(name: str) -> PurePosixPath:
    place = PurePosixPath(name)
    return place.with_name("index.md") if place.name == "README.md" else place


class Layout:
    """The pages as Sphinx reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages = pages()
        self._shown: dict[Path, PurePosixPath] = {}

    def write(self) -> None:
        """Write every page, what they show, and the menu."""
        there = set(self._pages.values())
        menus = {"index.md": _menu(there), "adr/index.md": _decisions(there)}
        for source, place in self._pages.items():
            text = self._for_the_site(source.read_text(encoding="utf-8"), source, place)
            self._put(place, text + menus.get(str(place), ""))
        for source, place in self._shown.items():
            self._put(place, _showing(source))
        for picture in sorted((DOCS / "images").rglob("*")):
            if picture.suffix in PICTURES:
                target = self._folder / picture.relative_to(DOCS)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(picture, target)

    def _put(self, place: PurePosixPath, text: str) -> None:
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def _for_the_site(self, text: str, source: Path, place: PurePosixPath) -> str:
        drawn = FENCE.sub(lambda block: self._drawing(block, place), text)
        parts = _CODE.split(drawn)
        parts[::2] = [_LINK.sub(lambda link: self._link(link, source, place), part) for part in parts[::2]]
        return "".join(parts)

    def _drawing(self, block: re.Match[str], place: PurePosixPath) -> str:
        drawing = drawing_of(block["source"]).relative_to(DOCS).as_posix()
        return f"```{{image}} {_from(place, PurePosixPath(drawing))}\n:alt: {block['title']}\n:class: diagram\n```"

    def _link(self, link: re.Match[str], source: Path, place: PurePosixPath) -> str:
        sign, text, address = link.groups()
        name, hash_sign, anchor = address.partition("#")
        if not name or re.match(r"[a-z]+:", name):
            return link[0]
        target = (source.parent / name).resolve()
        if target.is_dir() and (target / "README.md").exists():
            target /= "README.md"
        if not target.exists():
            message = f"{source.relative_to(ROOT)} links to {address}, which is not there"
            raise LinkNowhere(message)
        if _FILE_NAME.fullmatch(text) and target in self._pages:
            text = _title(target)  # where files are browsed, their names say more
        return f"{sign}[{text}]({_from(place, self._place_of(target))}{hash_sign}{anchor})"

    def _place_of(self, target: Path) -> PurePosixPath:
        if target in self._pages:
            return self._pages[target]
        if target.suffix in PICTURES and target.is_relative_to(DOCS):
            return PurePosixPath(target.relative_to(DOCS).as_posix())
        return self._shown.setdefault(target, PurePosixPath("files", f"{target.relative_to(ROOT).as_posix()}.md"))


def _title(source: Path) -> str:
    """Return what a page calls itself."""
    heading = re.search(r"^# (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1] if heading else source.stem


def _from(place: PurePosixPath, target: PurePosixPath) -> str:
    """Return the way from one page to another file of the site."""
    up = len(place.parts) - 1
    return "../" * up + str(target)


def _showing(source: Path) -> str:
    """Return a page that shows a file, or what is in a folder."""
    name = source.relative_to(ROOT).as_posix()
    if source.is_dir():
        listed = "\n".join(f"- `{path.name}`" for path in sorted(source.iterdir()) if path.name[0] not in "._")
        return f"---\norphan: true\n---\n# {name}/\n\n{listed}\n"
    if source.suffix == ".md":
        return f"---\norphan: true\n---\n{source.read_text(encoding='utf-8')}"
    language = _LANGUAGES.get(source.suffix, "text")
    return f"---\norphan: true\n---\n# {name}\n\n````{language}\n{source.read_text(encoding='utf-8')}````\n"


def _menu(there: set[PurePosixPath]) -> str:
    """Return the menu, without the pages that may be missing and are.

    Raises
    ------
    LinkNowhere
        If the menu names another page that is missing, or leaves out one that is there.
    """
    named = {_placed(name) for names in MENU.values() for name in names}
    absent = {str(place) for place in named - there} - OPTIONAL
    forgotten = there - named - {PurePosixPath("index.md")} - {place for place in there if place.parts[0] == "adr"}
    if absent or forgotten:
        message = f"the menu names {sorted(absent)}, which are not there, and leaves out {sorted(map(str, forgotten))}"
        raise LinkNowhere(message)
    trees = []
    for caption, names in MENU.items():
        listed = [str(_placed(name).with_suffix("")) for name in names if _placed(name) in there]
        trees.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(listed) + "\n```")
    return "\n" + "\n\n".join(trees) + "\n"


def _decisions(there: set[PurePosixPath]) -> str:
    """Return the list of decisions, for their first page."""
    names = sorted(place.stem for place in there if place.parts[0] == "adr" and place.stem != "index")
    return "\n```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"


def build(out: Path) -> int:
    """Build the site into a folder; return 0 if nothing was wrong."""
    with tempfile.TemporaryDirectory() as folder:
        Layout(Path(folder)).write()
        options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--fresh-env", "--builder", "html"]
        return sphinx([*options, "--conf-dir", str(HERE), folder, str(out)])


def main() -> None:
    """Build it where the command line says."""
    out = Path(sys.argv[1])
    try:
        code = build(out)
    except LinkNowhere as error:
        sys.exit(f"docs: {error}")
    if code == 0:
        print(f"the site is in {out}: open {out / 'index.html'}")
    sys.exit(code)


if __name__ == "__main__":
    main()
