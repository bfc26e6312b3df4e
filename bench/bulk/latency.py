"""How long a single photo takes from request to result, while nothing else goes on and while a batch does."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import httpx

from bench.bulk.photos import PORTRAITS


def measure_latencies_s(http: httpx.Client, count: int, keep_on: Callable[[], bool] = lambda: True) -> list[float]:
    """Submit portraits one after the other, each waited for; stop when `keep_on` says so."""
    photo = (PORTRAITS / "astronaut.png").read_bytes()
    taken_s: list[float] = []
    while len(taken_s) < count and keep_on():
        began_s = time.perf_counter()
        answer = http.post("/v1/jobs", files={"image": photo}, headers={"Prefer": "wait=30"})
        if answer.status_code == 200 and answer.json()["status"] == "succeeded":
            taken_s.append(time.perf_counter() - began_s)
    return taken_s


def percentiles_ms(taken_s: list[float]) -> dict[str, float]:
    if len(taken_s) < 2:
        return {"n": len(taken_s)}
    cuts = statistics.quantiles(taken_s, n=100, method="inclusive")
    return {"n": len(taken_s), "p50": round(1000 * cuts[49], 1), "p95": round(1000 * cuts[94], 1)}


class SinglePhotos:
    """Submits single photos in a thread of its own until it is told to stop."""

    def __init__(self, url: str, pause_s: float = 0.5) -> None:
        self._url = url
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.taken_s: list[float] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[float]:
        self._stop.set()
        self._thread.join()
        return self.taken_s

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as http:
            while not self._stop.is_set():
                self.taken_s += measure_latencies_s(http, 1, lambda: not self._stop.is_set())
                self._stop.wait(self._pause_s)
