"""Where the measured figures are kept."""

from pathlib import Path

FIGURES = Path(__file__).parents[2] / "docs" / "operations" / "scaling-figures.json"
