"""The command as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stack.services import ROOT

PATIENCE_S = 150.0


def environment(**more: str) -> dict[str, str]:
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    return {**base, "PYTHONPATH": str(ROOT / "client" / "src"), **more}


def started(*arguments: str | Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "facefit", *map(str, arguments)],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    with started(*arguments, **more) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def lines(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return what was printed for programs: nothing else may be there."""
    return [json.loads(line) for line in ended.stdout.splitlines()]
