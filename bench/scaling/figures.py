"""Where the measured figures are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parents[2] / "docs" / "operations" / "scaling-figures.json"


def read_figures(path: Path = FIGURES) -> dict[str, Any] | None:
    """Return what was measured, or None if nothing was yet."""
    return json.loads(path.read_text()) if path.exists() else None
