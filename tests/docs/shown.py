"""Compares what a page shows with what was printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

ANY: Final = "…"
SHARE: Final = 0.05
"""By which numbers may differ: machines compute them a little differently, and photos are scaled."""
LEAST: Final = 0.5
"""By which small ones may: angles near 0."""


def differences(kind: str, shown: str, printed: str) -> list[str]:
    """Return how what was printed differs from what is shown; nothing if it does not."""
    if kind == "json":
        try:
            document = json.loads(printed)
        except ValueError:
            return [f"no JSON was printed: {printed[:300]!r}"]
        return list(_of_json(json.loads(shown), document, "$"))
    return [] if _pattern(shown).fullmatch(printed.strip() + "\n") else [f"printed:\n{printed}"]


def _pattern(shown: str) -> re.Pattern[str]:
    parts = []
    for line in shown.strip().splitlines():
        if line.strip() == ANY:
            parts.append(r"(?:[^\n]*\n)*")
        else:
            parts.append(re.escape(line).replace(re.escape(ANY), r"[^\n]*") + r"\n")
    return re.compile("".join(parts))


def _of_json(shown: Any, printed: Any, place: str) -> Iterator[str]:
    if shown == ANY:
        return
    if isinstance(shown, dict) and isinstance(printed, dict):
        for key, value in shown.items():
            if key == ANY:
                continue
            if key not in printed:
                yield f"{place}.{key} is not there"
            else:
                yield from _of_json(value, printed[key], f"{place}.{key}")
    elif isinstance(shown, list) and isinstance(printed, list):
        wanted = shown[: shown.index(ANY)] if ANY in shown else shown
        if len(printed) < len(wanted) or (ANY not in shown and len(printed) != len(wanted)):
            yield f"{place} has {len(printed)} items"
        for number, (value, other) in enumerate(zip(wanted, printed, strict=False)):
            yield from _of_json(value, other, f"{place}[{number}]")
    elif not _alike(shown, printed):
        yield f"{place} is {printed!r}, not {shown!r}"


def _alike(shown: Any, printed: Any) -> bool:
    if isinstance(shown, str) and isinstance(printed, str):
        return re.fullmatch(re.escape(shown).replace(re.escape(ANY), ".*"), printed) is not None
    if isinstance(shown, bool) or isinstance(printed, bool) or shown is None or printed is None:
        return shown is printed
    if isinstance(shown, int | float) and isinstance(printed, int | float):
        return abs(shown - printed) <= max(LEAST if isinstance(shown, float) else 0, SHARE * abs(shown))
    return False
