"""The store and what erases for it, as one process tree: neither goes on without the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.services import ROOT

PATIENCE_S = 60.0

STANDS = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
open("store.pid", "w").write("x")
time.sleep(600)
"""
"""Stands for a store that is there and answers nobody: purges are put off."""


HANGS = STANDS.replace("lambda *_: sys.exit()", "signal.SIG_IGN")
"""Does not end when it is told to, as SeaweedFS after a full disk."""


@contextmanager
def beside(folder: Path, store: str) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FACEFIT_S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "worker.vacuum", sys.executable, "-c", store]
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_there(path: Path) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return path.exists()


def test_told_to_stop_it_stops_the_store_and_ends_well(tmp_path: Path) -> None:
    with beside(tmp_path, STANDS) as process:
        assert is_there(tmp_path / "store.pid")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_a_store_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with beside(tmp_path, HANGS) as process:
        assert is_there(tmp_path / "store.pid")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("code", [0, 3])
def test_it_ends_with_the_store_and_says_that_nobody_asked_for_it(tmp_path: Path, code: int) -> None:
    with beside(tmp_path, f"import sys; sys.exit({code})") as process:
        assert process.wait(PATIENCE_S) == 1
