"""The API over memory stores (`tests/breaking_api.py`), served by the server that ships, for raw connections."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from api import gunicorn_conf
from stack.data_folder import LOOPBACK, free_ports
from stack.services import ROOT

PATIENCE_S = 60.0
SMALL_BUFFER_BYTES = 4096
SMALL = {
    "FACEFIT_API_THREADS": "20",
    "FACEFIT_MAX_UPLOADING_SHARE": "0.2",
    "FACEFIT_MAX_WAITING_SHARE": "0.2",
    "FACEFIT_MAX_READING_SHARE": "0.1",
    "FACEFIT_MAX_CONNECTIONS": "200",
    "FACEFIT_MAX_REPORTS": "2",
    "FACEFIT_MAX_DOWNLOAD_PAUSE_S": "1",
    "FACEFIT_MAX_UPLOAD_PAUSE_S": "4",
    "FACEFIT_MAX_HEAD_S": "2",
    "FACEFIT_MAX_UPLOAD_WAIT_S": "2",
}
"""Few threads and little patience: four places for uploads, two for short ones, four for who waits, two for who reads a
result, two for reports."""


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    batches: dict[str, str]
    log: IO[bytes]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def path(self, batch: str, report: str = "results?landmarks=true") -> str:
        return f"/v1/batches/{self.batches[batch]}/{report}"

    def worker(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def connected(self, sends: bytes = b"", *, timeout_s: float = PATIENCE_S) -> socket.socket:
        """Connect, taking little at a time, and send."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        connection.settimeout(timeout_s)
        connection.connect((LOOPBACK, self.port))
        connection.sendall(sends)
        return connection

    def asked(self, batch: str, version: str) -> socket.socket:
        """Ask for results, over a connection that takes little at a time."""
        return self.connected(f"GET {self.path(batch)} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())

    def logged(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()


def batches_of(url: str) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(httpx.TransportError):
            found: dict[str, str] = httpx.get(f"{url}/batches", trust_env=False).json()
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def serving(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve in one process; as many threads as the settings say."""
    (port,) = free_ports(1)
    env = {**os.environ, **SMALL, **(settings or {})}
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{LOOPBACK}:{port}", "--no-control-socket"]
    command += ["--worker-class", gunicorn_conf.worker_class, "--threads", env["FACEFIT_API_THREADS"]]
    command += ["--worker-connections", env["FACEFIT_MAX_CONNECTIONS"], "--keep-alive", str(gunicorn_conf.keepalive)]
    command += ["--limit-request-line", str(gunicorn_conf.limit_request_line), "tests.breaking_api:app"]
    with tempfile.NamedTemporaryFile() as log, subprocess.Popen(command, cwd=ROOT, stderr=log, env=env) as process:
        try:
            yield Server(process, port, batches_of(f"http://{LOOPBACK}:{port}"), log)
        finally:
            process.send_signal(signal.SIGTERM)


def received(connection: socket.socket) -> bytes:
    """Read to the end of the connection; raise `ConnectionResetError` if it has none."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)
