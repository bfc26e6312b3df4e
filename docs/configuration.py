"""Writes docs/configuration.md from the settings class: `make docs`. A test compares the two."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from shared.config import Settings

PAGE: Final = Path(__file__).with_suffix(".md")
_HEAD: Final = """# Configuration

Every setting is an environment variable, or a file of that name in small letters in `/run/secrets`, such as
`/run/secrets/facefit_redis_url`; the variable wins where there are both. This page is generated from `shared/config.py`
by `make docs`. API, workers, sender and upkeep read the same ones. Times are seconds.

| Variable | Default | What it sets |
|---|---|---|
"""


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float):
        value = f"{value:g}"
    return f"`{value}`" if value not in {"", None} else "none"


def page() -> str:
    """Return the page as the settings are now."""
    rows = [
        f"| `FACEFIT_{name.upper()}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
