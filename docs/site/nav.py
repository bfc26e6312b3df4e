"""What the site's menu shows, in its order."""

from __future__ import annotations

from typing import Final

MENU: Final[dict[str, tuple[str, ...]]] = {
    "Start": ("quickstart.md", "photos.md", "page.md", "client.md", "bulk.md", "webhooks.md"),
    "The numbers": ("measurements.md", "accuracy.md"),
    "Reference": ("api.md", "reference.md", "errors.md", "configuration.md"),
    "Running it": (
        "operations.md",
        "render.md",
        "tenants.md",
        "scaling.md",
        "operations/metrics.md",
        "operations/runbook.md",
        "performance.md",
        "performance-profiles.md",
    ),
    "Trusting it": ("privacy.md", "security.md", "reliability.md", "slow-clients.md", "hostile-input.md"),
    "Inside": ("how-it-works.md", "adr/README.md", "contributing.md", "changelog.md"),
}
"""Pages by the folder docs/; `security.md` and `changelog.md` are made of the files beside it."""

OPTIONAL: Final = frozenset[str]()
"""Pages that may be missing: the menu then goes without them. Take one out of here once it is there to stay."""

BESIDE: Final[dict[str, str]] = {"SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}
"""Pages at the top of the repository, and what they are called on the site."""
