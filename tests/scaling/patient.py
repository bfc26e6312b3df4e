"""The stack, waited for as long as it takes: a trial shares its machine with the servers that it starts itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from stack.child import ChildSpec
from stack.services import services
from stack.stack import READY_PATHS, Stack
from tests.scaling.processes import wait_until

ANSWER_S = 20.0


@contextmanager
def patient_stack(
    folder: Path, overrides: Mapping[str, str], alter: Callable[[ChildSpec], ChildSpec] = lambda spec: spec
) -> Iterator[Stack]:
    """Run a stack; `Stack` itself gives up after two minutes."""
    stack = Stack(folder, overrides=overrides)
    try:
        stack.start_stores()
        for spec in services(stack.settings_env):
            stack.supervisor.run(alter(spec))
        wait_until("the service is ready", lambda: is_ready(stack.url))
        yield stack
    finally:
        stack.close()


def is_ready(url: str) -> bool:
    """Tell whether a job could be done."""
    try:
        return all(httpx.get(f"{url}{path}", timeout=ANSWER_S, trust_env=False).is_success for path in READY_PATHS)
    except httpx.TransportError:
        return False
