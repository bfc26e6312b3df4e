"""`python -m stack keys …` and `tenants …`: the API's own commands, on the storage of a stack that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stack.data_folder import LOOPBACK, is_free, last_used
from stack.errors import NotReady
from stack.services import ROOT, settings_env

_ANY_PORT: Final = 0


COMMANDS: Final = {
    "keys": "create, list, expire or revoke API keys of the service that `up` runs",
    "tenants": "set, show or list limits of tenants of that service",
}
"""Modules of `api` that are run so, and what for."""


def administer(command: str, data: Path, arguments: Sequence[str]) -> int:
    """Run one of the API's commands with the settings of the stack on a folder; return its exit code.

    Parameters
    ----------
    command : str
        One of `COMMANDS`.

    Raises
    ------
    NotReady
        If no stack runs there: what they read and write is in its object store.
    """
    used = last_used(data)
    if used is None or is_free(used[0].s3):
        message = f"no facefit runs on the data folder {data}: start it with `make up` first"
        raise NotReady(message)
    ports, secrets = used
    env = {**os.environ, **settings_env(ports, secrets, _ANY_PORT), "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}
    return subprocess.run(
        (sys.executable, "-m", f"api.{command}", *arguments), env=env, cwd=ROOT, check=False
    ).returncode
