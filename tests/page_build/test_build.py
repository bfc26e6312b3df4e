"""That the page which is committed is the page that its sources make: `make page-check`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.services import ROOT

pytestmark = pytest.mark.node

MADE = ("api/web", "tests/browser/vendor")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page from nothing but what is committed, somewhere else."""
    npm = shutil.which("npm")
    assert npm, "make page-check needs Node.js 20 or later with npm"
    root = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "web", root / "web", ignore=shutil.ignore_patterns("node_modules"))
    (root / "shared").mkdir()
    shutil.copy(ROOT / "shared" / "face_triangles.txt", root / "shared")
    for command in (("ci", "--no-fund", "--no-audit", "--loglevel=error"), ("run", "--silent", "build")):
        ran = subprocess.run(
            (npm, *command), cwd=root / "web", capture_output=True, text=True, check=False, env=os.environ
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return root


@pytest.mark.parametrize("folder", MADE)
def test_what_is_committed_is_what_a_fresh_build_makes(built: Path, folder: str) -> None:
    def contents(root: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((root / folder).iterdir()) if path.is_file()}

    fresh, committed = contents(built), contents(ROOT)
    assert sorted(committed) == sorted(fresh)
    assert [name for name in fresh if fresh[name] != committed[name]] == []


def test_every_vendored_package_is_named_with_its_licence(built: Path) -> None:
    text = (ROOT / "api" / "web" / "licences.txt").read_text()
    wanted = json.loads((built / "web" / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        assert f"\n{name} {version}: " in text
