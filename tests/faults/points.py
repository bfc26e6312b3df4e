"""Marked points: a folder through which a test tells processes where to break, and they tell it that they were there.

A point is armed with tokens, files of a folder of its own. Taking one is deleting it, which one process alone can do.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "FAULT_POINTS"
"""The variable that names the folder to processes."""

# In a worker
MID_INFERENCE: Final = "mid-inference"
HANG: Final = "hang"
EAT_MEMORY: Final = "eat-memory"
BEFORE_CLAIM: Final = "before-claim"
AFTER_CLAIM: Final = "after-claim"
BEFORE_OUTCOME: Final = "before-outcome"
AFTER_OUTCOME: Final = "after-outcome"
STOP_BEFORE_OUTCOME: Final = "stop-before-outcome"
WAIT_BEFORE_READ: Final = "wait-before-read"
WAIT_BEFORE_OUTCOME: Final = "wait-before-outcome"
# In the API
STORED: Final = "stored"
RECORDED: Final = "recorded"
RING_TWICE: Final = "ring-twice"
# At a receiver of webhooks
KILL_THE_SENDER: Final = "kill-the-sender"

# What is noted
READY: Final = "ready"
FENCED: Final = "fenced"
WAITS: Final = "waits"
RANG_TWICE: Final = "rang-twice"
STOPPED: Final = "stopped"
MEMORY_ERROR: Final = "memory-error"


class Points:
    """The folder, for both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Points:
        return cls(Path(environment[FOLDER]))

    # The test's side

    def arm(self, point: str, times: int = 1) -> None:
        for _ in range(times):
            self._add(f"armed-{point}", "")

    def disarm(self, point: str | None = None) -> None:
        for folder in self.folder.glob(f"armed-{point or '*'}"):
            for token in folder.iterdir():
                token.unlink(missing_ok=True)

    def left(self, point: str) -> int:
        """Return how many tokens nobody has taken."""
        return len(self._names(f"armed-{point}"))

    def noted(self, what: str) -> int:
        return len(self._names(f"noted-{what}"))

    def forget(self, what: str) -> None:
        for name in self._names(f"noted-{what}"):
            (self.folder / f"noted-{what}" / name).unlink(missing_ok=True)

    def texts(self, what: str) -> list[str]:
        return [(self.folder / f"noted-{what}" / name).read_text() for name in self._names(f"noted-{what}")]

    # The side of what breaks

    def take(self, point: str) -> bool:
        """Take a token; tell whether there was one."""
        for name in self._names(f"armed-{point}"):
            with suppress(FileNotFoundError):
                (self.folder / f"armed-{point}" / name).unlink()
                return True
        return False

    def is_armed(self, point: str) -> bool:
        return self.left(point) > 0

    def note(self, what: str, text: str = "") -> None:
        self._add(f"noted-{what}", text)

    def _add(self, folder: str, text: str) -> None:
        (self.folder / folder).mkdir(exist_ok=True)
        name = uuid.uuid4().hex
        (self.folder / name).write_text(text)
        (self.folder / name).rename(self.folder / folder / name)  # whoever sees it sees all of it

    def _names(self, folder: str) -> list[str]:
        try:
            return [path.name for path in (self.folder / folder).iterdir()]
        except FileNotFoundError:
            return []
