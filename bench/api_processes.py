"""How many processes and threads the API should have: `python -m bench.api_processes --rounds 3`.

Starts a stack without workers and, beside its API, one for each pair of numbers, all over the same stores. Each is sent
photos of 100 kB and polls, by as many clients as a busy service has, in turns. Requests a second compare what the
machine is good for, CPU what a request costs, and the memory what each pair keeps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.speed.accounting import cpu_window, rss_mb, session_rss_mb
from bench.speed.client import Http, each_at_once, submit
from bench.speed.photos import PORTRAIT_512, Pool, of_size
from bench.speed.rounds import percentile, rotated
from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, free_ports
from stack.services import services
from stack.stack import Stack

GRID: Final = ((1, 80), (1, 160), (2, 64), (2, 80), (2, 160), (4, 80))
"""Processes and threads; fewer threads than 64 leave too few beside those that slow clients may keep."""
PHOTO_BYTES: Final = 100_000
CLIENTS: Final = 16
POLLS_EACH: Final = 4
WARM_UP: Final = 4 * CLIENTS
POLL_S: Final = 0.1
PATIENCE_S: Final = 60.0

Send = Callable[[Http, bytes], object]


@dataclass(frozen=True, slots=True)
class Pair:
    """Processes and threads of an API, and where it answers."""

    processes: int
    threads: int
    port: int

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.processes} of {self.threads}"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    def spec(self, settings: Mapping[str, str]) -> ChildSpec:
        """Return how it is run."""
        own = {
            "FACEFIT_LISTEN_PORT": str(self.port),
            "FACEFIT_API_WORKERS": str(self.processes),
            "FACEFIT_API_THREADS": str(self.threads),
        }
        return replace(services({**settings, **own})[0], name=self.name)


@contextmanager
def running(pairs: Sequence[Pair]) -> Iterator[Stack]:
    """Run the stores and one API for each pair, and nothing that measures."""
    with tempfile.TemporaryDirectory(prefix="facefit-bench-") as folder:
        stack = Stack(Path(folder), echo=lambda _: None)
        try:
            stack.start_stores()
            for pair in pairs:
                stack.supervisor.run(pair.spec(stack.settings_env))
            for pair in pairs:
                _await_answer(pair.url)
            yield stack
        finally:
            stack.close()


def _await_answer(url: str) -> None:
    patience_ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < patience_ends_s:
        try:
            with Http(url) as http:
                http.ask("GET", "/healthz")
                return
        except OSError:
            time.sleep(POLL_S)
    raise SystemExit(f"no API answers at {url}")


def measure(pairs: Sequence[Pair], rounds: int, requests: int) -> dict[str, Any]:
    """Send and poll in turns; return medians over rounds, by pair."""
    base = Pool(PORTRAIT_512, 1).take(1)[0]
    numbers = iter(range(10**9))
    found: dict[str, dict[str, list[float]]] = {pair.name: defaultdict(list) for pair in pairs}

    def photos(count: int) -> list[bytes]:
        return [of_size(base, PHOTO_BYTES, next(numbers)) for _ in range(count)]

    with running(pairs) as stack:
        with Http(pairs[0].url) as http:
            path = f"/v1/jobs/{submit(http, photos(1)[0], PORTRAIT_512)[0]['id']}"
        ways: dict[str, tuple[int, Send]] = {
            "photos accepted": (requests, lambda http, photo: submit(http, photo, PORTRAIT_512)),
            "polls": (POLLS_EACH * requests, lambda http, _: http.ask("GET", path)),
        }
        for pair in pairs:  # what a process does once, it does here
            _turn(stack, pair, photos(WARM_UP * pair.processes), ways["photos accepted"][1])
        turns = {f"{way} {pair.name}": (way, pair) for pair in pairs for way in ways}
        for _, name in rotated(list(turns), rounds):
            way, pair = turns[name]
            count, send = ways[way]
            told = _turn(stack, pair, photos(count) if way == "photos accepted" else [b""] * count, send)
            for what, value in told.items():
                found[pair.name][what if what == "memory, MB" else f"{way}: {what}"].append(value)
    return {
        name: {what: round(statistics.median(values), 2) for what, values in told.items()}
        for name, told in found.items()
    }


def _turn(stack: Stack, pair: Pair, items: Sequence[bytes], send: Send) -> dict[str, float]:
    leader = stack.supervisor.pid(pair.name)
    if leader is None:
        raise SystemExit(f"the API with {pair.name} threads has ended")
    with cpu_window(lambda: {pair.name: leader}) as window:
        taken_ms = each_at_once(pair.url, items, CLIENTS, _timed(send))
    return {
        "a second": len(items) / window.wall_s,
        "API CPU, ms": 1000 * window.cpu_s[pair.name] / len(items),
        "p95, ms": percentile(taken_ms, 95),
        "memory, MB": sum(session_rss_mb(leader).values()) + (rss_mb(leader) or 0.0),
    }


def _timed(send: Send) -> Callable[[Http, bytes], float]:
    def timed(http: Http, item: bytes) -> float:
        began_s = time.perf_counter()
        send(http, item)
        return 1000 * (time.perf_counter() - began_s)

    return timed


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Write the figures as a table."""
    columns = list(next(iter(found.values())))
    head = ["processes, of threads", *columns]
    rows = [[name, *(f"{told[column]:,.1f}" for column in columns)] for name, told in found.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=300, help="photos a turn; polls are four times as many")
    parser.add_argument("--out", type=Path, help="where the figures are written as JSON")
    given = parser.parse_args()
    pairs = [Pair(*numbers, port) for numbers, port in zip(GRID, free_ports(len(GRID)), strict=True)]
    found = measure(pairs, given.rounds, given.requests)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
