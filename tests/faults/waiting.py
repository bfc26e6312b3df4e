"""Waiting for something that real processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from stack.stack import Stack

PATIENCE_S: Final = 120.0
_POLL_S: Final = 0.05


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(_POLL_S)


def wait_for_another(stack: Stack, name: str, former_pid: int | None) -> None:
    wait_until(lambda: stack.supervisor.pid(name) not in {None, former_pid}, f"no {name} came back")
