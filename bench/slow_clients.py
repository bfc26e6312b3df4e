"""What good clients feel while others are slow: gunicorn's own threaded worker and ours, in one run.

`python -m bench.slow_clients` starts each server in one process over memory stores, keeps N slow clients of a kind at
it (whoever is cut off comes again at once) and meanwhile asks as a good client: `GET /healthz` and `POST /v1/jobs` in
turn, each over a connection of its own.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Self

import httpx

from stack.data_folder import LOOPBACK, free_ports
from stack.services import ROOT

GIVE_UP_S = 10.0
COMES_AGAIN_S = 3.0
WARM_UP_S = 1.0
PHOTO = b"\xff\xd8\xff photo"
HOST = b"Host: localhost\r\n"
WORKERS = {
    "gthread, 16 threads": ("gthread", "16"),
    "head first, 32 threads": ("api.head_first.HeadFirstWorker", "32"),
}
SLOW = {
    "nobody": None,
    "send nothing": b"",
    "half a request line": b"GET /heal",
    "half the headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b",
    "half of a second request": b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /heal",
    "an upload without its body": b"POST /v1/jobs HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: image/jpeg\r\nContent-Length: 9999\r\n\r\n\xff\xd8\xff",
    "a body that nobody reads": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 9999\r\n\r\n",
    "do not close": b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n",
    "do not read": (b"GET /docs/swagger/js/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"\r\n") * 8,
}


@dataclass
class Felt:
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"GET /healthz": [], "POST /v1/jobs": []})
    refused: int = 0
    given_up: int = 0


class SlowClients:
    """As many as are asked for, at all times."""

    def __init__(self, port: int, wanted: int, sends: bytes) -> None:
        self._port, self._wanted, self._sends = port, wanted, sends
        self._held: dict[socket.socket, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for connection in self._held:
            connection.close()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            for connection in [each for each, since in self._held.items() if self._is_over(each, since)]:
                connection.close()
                del self._held[connection]
            while len(self._held) < self._wanted and not self._over.is_set():
                with suppress(OSError):
                    self._begin()

    def _begin(self) -> None:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        connection.connect((LOOPBACK, self._port))
        connection.setblocking(False)
        connection.send(self._sends)
        self._held[connection] = time.monotonic()

    def _is_over(self, connection: socket.socket, since: float) -> bool:
        """Tell whether it was cut off; one that was answered comes again a little later."""
        try:
            is_ended = connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        answered_ones_stay = not self._sends.endswith(b"\r\n\r\n") or b"Content-Length" in self._sends
        return is_ended and (answered_ones_stay or time.monotonic() - since > COMES_AGAIN_S)


@contextmanager
def serving(worker: str, threads: str) -> Iterator[int]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{LOOPBACK}:{port}", "--worker-class", worker]
    command += ["--threads", threads, "--keep-alive", "15", "--no-control-socket", "tests.breaking_api:app"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with suppress(httpx.TransportError):
                    httpx.get(f"http://{LOOPBACK}:{port}/healthz", trust_env=False)
                    break
                time.sleep(0.1)
            yield port
        finally:
            process.kill()


def ask(port: int, seconds: float) -> Felt:
    felt = Felt()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, taken_s in felt.seconds.items():
            method, path = name.split()
            connection = HTTPConnection(LOOPBACK, port, timeout=GIVE_UP_S)
            body = PHOTO if method == "POST" else None
            began = time.perf_counter()
            try:
                connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
                felt.refused += connection.getresponse().status >= HTTPStatus.BAD_REQUEST
            except OSError:
                felt.given_up += 1
            finally:
                connection.close()
            taken_s.append(time.perf_counter() - began)
            time.sleep(0.02)
    return felt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print(f"{options.clients} slow clients for {options.seconds:g} s, one process; ms: median, longest")
    for title, (worker, threads) in WORKERS.items():
        print(f"\n{title}\n| slow clients | GET /healthz | POST /v1/jobs | refused | given up after {GIVE_UP_S:g} s |")
        print("|---|---|---|---|---|")
        for kind, sends in SLOW.items():
            with serving(worker, threads) as port:
                if sends is None:
                    felt = ask(port, options.seconds)
                else:
                    with SlowClients(port, options.clients, sends):
                        time.sleep(WARM_UP_S)
                        felt = ask(port, options.seconds)
            times = [
                f"{statistics.median(taken) * 1000:.1f}, {max(taken) * 1000:.0f}" for taken in felt.seconds.values()
            ]
            asked = sum(map(len, felt.seconds.values()))
            print(f"| {kind} | {' | '.join(times)} | {felt.refused} of {asked} | {felt.given_up} |", flush=True)


if __name__ == "__main__":
    main()
