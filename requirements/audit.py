"""`make audit`: whether a known vulnerability is in what the compiled requirement files pin.

`uv audit` reads a lock of uv's own and asks the database at osv.dev. It is given one of exactly the versions pinned
here, so no index is asked and no resolver runs. Exit status: 0 nothing known, 1 something is, 3 it could not be asked.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
FILES: Final = ("dev.txt", "bootstrap.txt")
"""Every other file pins a part of the first; a test holds that."""

ACCEPTED: Final[dict[str, str]] = {}
"""Vulnerabilities that do not reach this service: id, and why."""

NOT_AUDITED: Final = 3
_FOUND: Final = 1
_LIMIT_S: Final = 300

_PROJECT: Final = '[project]\nname = "facefit-locked"\nversion = "0"\nrequires-python = ">=3.11,<3.13"\n'
_LOCK: Final = """\
version = 1
revision = 3
requires-python = ">=3.11, <3.13"

[[package]]
name = "facefit-locked"
version = "0"
source = { virtual = "." }
"""


def pins(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Return each name and version that the files pin, once, in order."""
    found = {pin for path in paths for pin in re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE)}
    return sorted(found)


def lock(pinned: Sequence[tuple[str, str]]) -> str:
    """Return a lock of these, as uv writes it, of nothing but names and versions."""
    of_each = [f'name = "{name}"\nversion = "{version}"\nsource = {{ registry = "." }}\n' for name, version in pinned]
    wanted = "".join("  {{ {} }},\n".format(", ".join(part.splitlines())) for part in of_each)
    return f"{_LOCK}dependencies = [\n{wanted}]\n" + "".join(f"\n[[package]]\n{part}" for part in of_each)


def audit(paths: Sequence[Path], options: Sequence[str] = ()) -> int:
    """Audit what the files pin and return the exit status."""
    pinned = pins(paths)
    uv = Path(sys.executable).with_name("uv")
    ignored = [f"--ignore={vulnerability}" for vulnerability in ACCEPTED]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text(_PROJECT)
        (folder / "uv.lock").write_text(lock(pinned))
        command = [str(uv), "audit", "--frozen", "--no-config", "--preview-features", "audit-command"]
        asked = subprocess.run(
            [*command, *ignored, *options], cwd=folder, check=False, text=True, capture_output=True, timeout=_LIMIT_S
        )
    said = asked.stdout + asked.stderr
    if asked.returncode in {0, _FOUND} and f" in {len(pinned)} packages" in said:
        print(said.strip())
        return asked.returncode
    print(f"not audited: {len(pinned)} pinned packages, and no answer about them.\n{said.strip()}", file=sys.stderr)
    return NOT_AUDITED


if __name__ == "__main__":
    sys.exit(audit([FOLDER / name for name in FILES], sys.argv[1:]))
