"""Serves the original service as its users would: gunicorn, one synchronous worker for each core."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from bench.speed.accounting import cpu_window
from bench.speed.client import each_at_once, measure_on_original, original_is_up
from bench.speed.photos import Kind
from bench.speed.rounds import Turn
from stack.child import ChildSpec
from stack.data_folder import free_ports
from stack.supervisor import Supervisor

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 120.0
POLL_S: Final = 0.1
NAME: Final = "original service"


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
        port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        app = f"bench.peers.original:create_app(mesh_per_request={mesh_per_request})"
        options = (
            "--workers",
            str(processes),
            "--bind",
            f"127.0.0.1:{port}",
            "--timeout",
            "300",
            "--no-control-socket",
        )
        self._spec = ChildSpec(NAME, (sys.executable, "-m", "gunicorn", "--no-control-socket", *options, app), cwd=ROOT)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        logs = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="facefit-bench-")))
        self._supervisor = self._open.enter_context(Supervisor(logs, echo=print))
        self._supervisor.run(self._spec)
        patience_ends_s = time.monotonic() + PATIENCE_S
        while not original_is_up(self.url):
            if self._supervisor.gave_up or time.monotonic() > patience_ends_s:
                raise SystemExit(f"the original service does not start:\n{self._supervisor.log_tail(NAME)}")
            time.sleep(POLL_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _leaders(self) -> dict[str, int]:
        pid = self._supervisor.pid(NAME)
        return {} if pid is None else {NAME: pid}

    def run(self, photos: Sequence[bytes], kind: Kind, at_once: int) -> Turn:
        """Send photos, so many at once, and read the answers."""
        with cpu_window(self._leaders) as window:
            measured = each_at_once(
                self.url, photos, at_once, lambda http, photo: measure_on_original(http, photo, kind)
            )
        return Turn(len(photos), sum(measured), window.wall_s, window.cpu_s)
