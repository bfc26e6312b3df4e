"""docs/privacy.md names every place where something is kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from shared.config import Settings
from shared.names import QueueName

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "privacy.md").read_text()


def rows_below(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return rows[1:]


def named_below(heading: str) -> set[str]:
    return {name for row in rows_below(heading) for name in re.findall(r"`([^`]+)`", row[0])}


def prefixes() -> set[str]:
    """Every place in storage: the constants that keys begin with, and what those begin with that have none."""
    texts = [
        path.read_text() for folder in ("shared", "worker", "stack", "api") for path in (ROOT / folder).rglob("*.py")
    ]
    named = {name for text in texts for name in re.findall(r'^_?[A-Z_]+: Final = "([a-z-]+/)"$', text, re.MULTILINE)}
    return named | {f"{name}/" for name in ("health", "probe") if any(f'"{name}/' in text for text in texts)}


def families() -> set[str]:
    """Every family of keys in Redis, as the heads of the scripts and the two stores name them."""
    found = set()
    for text in (path.read_text() for path in (ROOT / "shared").rglob("lua/common.lua")):
        for names in re.findall(r"^--   (\S+(?:, \S+)*) ", text, re.MULTILINE):
            found |= {name.partition("<")[0].partition("[")[0] for name in names.split(", ")}
    for store, prefix in (("jobs", ""), ("deliveries", "deliveries:")):
        text = (ROOT / "shared" / store / "redis_store.py").read_text()
        found |= {prefix + name for name in re.findall(r'PREFIX(?:\}| \+ ")([a-z_]+:?)', text)}
    return found


def test_every_place_in_storage_is_on_the_page_and_no_other() -> None:
    assert len(prefixes()) >= 10
    assert named_below("In the object store") == prefixes()


def test_every_family_of_keys_in_redis_is_on_the_page() -> None:
    named = named_below("In Redis")
    assert len(families()) >= 20
    assert {family for family in families() if not any(family.startswith(name) for name in named)} == set()


def test_every_queue_of_the_broker_is_on_the_page() -> None:
    assert set(QueueName) <= named_below("In Redis")


@pytest.mark.parametrize("heading", ["In the object store", "In Redis"])
def test_every_row_says_what_and_until_when(heading: str) -> None:
    assert all(len(row) == 3 and row[1].strip() for row in rows_below(heading))


def test_the_schedule_names_the_settings_and_their_values() -> None:
    settings = Settings()
    assert (settings.retention_s, settings.measure_and_delete_after_s, settings.purge_interval_s) == (604_800, 600, 300)
    for name in re.findall(r"`FACEFIT_([A-Z0-9_]+)`", PAGE):
        assert name.lower() in Settings.model_fields
    for told in ("7 days", "10 minutes", "15 minutes", "(5 minutes)"):
        assert told in PAGE
