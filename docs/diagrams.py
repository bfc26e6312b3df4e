"""Draws the mermaid diagrams of the pages as SVG, for the site: `make diagrams`. A test says when that is due.

Browsers of repositories draw mermaid by themselves; the site shows these drawings instead, and so needs no script. To
draw takes Node's npm and Chromium, and is needed only when a diagram changes.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parent
DRAWINGS: Final = DOCS / "images" / "diagrams"
FENCE: Final = re.compile(
    r"(?:^<!-- diagram: (?P<title>[^\n]+?) -->\n)^```mermaid\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL
)
"""A diagram in a page, with a comment above it that says in words what it shows."""
MERMAID: Final = "mermaid@11.16.0"
_PAGE: Final = """<!doctype html><meta charset="utf-8"><body><script src="mermaid.min.js"></script><script>
mermaid.initialize({startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {htmlLabels: false},
  deterministicIds: true, fontFamily: "Helvetica, Arial, sans-serif"});
(async () => {
  const drawn = {};
  for (const [name, source] of Object.entries(SOURCES)) drawn[name] = (await mermaid.render("d" + name, source)).svg;
  document.title = "done";
  document.body.innerHTML = "";
  const pre = document.createElement("pre");
  pre.textContent = JSON.stringify(drawn);
  document.body.append(pre);
})().catch((error) => { document.body.textContent = "failed: " + error; });
</script>"""
_CHROMIUM: Final = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=30000",
    "--dump-dom",
)  # fmt: skip


def drawing_of(source: str) -> Path:
    """Return where the drawing of a diagram lies: its name is the diagram's hash, so a changed one has none."""
    return DRAWINGS / f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def diagrams() -> dict[Path, str]:
    """Return the diagrams of all pages, by where their drawings lie."""
    sources = [block["source"] for page in sorted(DOCS.rglob("*.md")) for block in FENCE.finditer(page.read_text())]
    return {drawing_of(source): source for source in sources}


def draw() -> None:
    """Draw what is not drawn yet, and remove what no page has any more."""
    wanted = diagrams()
    for stale in set(DRAWINGS.glob("*.svg")) - set(wanted):
        stale.unlink()
    missing = {path.stem: source for path, source in wanted.items() if not path.exists()}
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--prefix", folder, MERMAID], check=True)
        page = Path(folder) / "node_modules" / "mermaid" / "dist" / "page.html"
        page.write_text(_PAGE.replace("SOURCES", json.dumps(missing)))
        command = [*_CHROMIUM, f"--user-data-dir={folder}/profile", page.as_uri()]
        dumped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"<pre>(.*)</pre>", dumped, re.DOTALL)
    if found is None:
        sys.exit(f"the diagrams were not drawn: {dumped[-500:]}")
    for name, svg in json.loads(html.unescape(found[1])).items():
        (DRAWINGS / f"{name}.svg").write_text(svg + "\n")


if __name__ == "__main__":
    draw()
