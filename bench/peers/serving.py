"""Serves the original service as its users would: gunicorn, one synchronous worker for each core."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from bench.speed.accounting import cpu_window
from bench.speed.client import each_at_once, measure_on_original, original_is_up
from bench.speed.photos import Kind
from bench.speed.rounds import Turn
from stack.data_folder import free_ports

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 120.0
POLL_S: Final = 0.1
GRACE_S: Final = 10.0


class OriginalService:
    """The original service on a port of loopback while a block runs.

    Parameters
    ----------
    mesh_per_request : bool
        As it was shipped; else at its best, with one mesh for each process.
    processes : int
        How many.
    """

    def __init__(self, *, mesh_per_request: bool, processes: int) -> None:
        self._port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self._port}"
        app = f"bench.peers.original:create_app(mesh_per_request={mesh_per_request})"
        address = ("--bind", f"127.0.0.1:{self._port}", "--no-control-socket")
        command = (sys.executable, "-m", "gunicorn", "--workers", str(processes), *address, "--timeout", "300", app)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def __enter__(self) -> Self:
        patience_ends_s = time.monotonic() + PATIENCE_S
        while not original_is_up(self.url):
            if self._process.poll() is not None or time.monotonic() > patience_ends_s:
                self._log.seek(0)
                raise SystemExit(f"the original service does not start:\n{self._log.read().decode()}")
            time.sleep(POLL_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def run(self, photos: Sequence[bytes], kind: Kind, at_once: int) -> Turn:
        """Send photos, so many at once, and read the answers."""
        with cpu_window(lambda: {"original service": self._process.pid}) as window:
            measured = each_at_once(self.url, photos, at_once, lambda http, photo: measure_on_original(http, photo, kind))
        return Turn(len(photos), sum(measured), window.wall_s, window.cpu_s)
