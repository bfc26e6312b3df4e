"""`python -m stack keys …`: the command that makes and revokes API keys, on the storage of a stack that runs."""

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


def run_keys(data: Path, arguments: Sequence[str]) -> int:
    """Run `python -m api.keys` with the settings of the stack on a folder; return its exit code.

    Raises
    ------
    NotReady
        If no stack runs there: its keys are in its object store.
    """
    used = last_used(data)
    if used is None or is_free(used[0].s3):
        message = f"no facefit runs on the data folder {data}: start it with `make up`, then make keys"
        raise NotReady(message)
    ports, secrets = used
    env = {**os.environ, **settings_env(ports, secrets, _ANY_PORT), "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}
    return subprocess.run((sys.executable, "-m", "api.keys", *arguments), env=env, cwd=ROOT, check=False).returncode
