"""This service with all its parts, in a temporary folder, and the ways in which photos are sent to it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bench.speed.accounting import Window, cpu_window
from bench.speed.client import POLL_S, BatchBody, Http, await_batch, each_at_once, measure, read_results
from bench.speed.rounds import Turn
from shared.names import QueueName
from shared.services import connect
from stack.services import services, settings_of
from stack.stack import Stack

if TYPE_CHECKING:
    from bench.speed.photos import Kind

KINDS: Final = {
    "api": "API",
    "worker-interactive": "interactive worker",
    "worker-bulk": "bulk worker",
    "delivery": "sender and fetcher",
    "upkeep": "upkeep",
    "redis": "Redis",
    "store": "object store",
}
"""What the processes of the stack are called here."""
WORKERS: Final = ("interactive worker", "bulk worker")
BULK: Final = "worker-bulk"
AT_ONCE: Final = 16
USUAL_MOST: Final = 10_000
"""Photos of a batch, as the settings have it."""


def is_worker(kind: str) -> bool:
    """Tell whether a kind of process is one of those that measure."""
    return kind.startswith(WORKERS)


class Service:
    """The embedded stack while a block runs, exactly as `make up` starts it.

    Parameters
    ----------
    large_batch : int
        How many photos its largest batch has; above the usual limit, that limit is raised.
    """

    def __init__(self, large_batch: int = 0) -> None:
        self._open = ExitStack()
        self._more_bulk: list[str] = []
        self._overrides = {"FACEFIT_MAX_BATCH_ITEMS": str(large_batch)} if large_batch > USUAL_MOST else {}

    def __enter__(self) -> Self:
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="facefit-bench-"))
        quiet = Stack(Path(folder), overrides=self._overrides, echo=lambda _: None)
        self.stack = self._open.enter_context(quiet)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """Where its API answers."""
        return self.stack.url

    def leaders(self) -> Mapping[str, int]:
        """Return the first process of each kind."""
        names = KINDS | {name: f"bulk worker {name.rpartition('-')[2]}" for name in self._more_bulk}
        found = ((kind, self.stack.supervisor.pid(name)) for name, kind in names.items())
        return {kind: pid for kind, pid in found if pid is not None}

    def window(self) -> AbstractContextManager[Window]:
        """Count CPU while a block runs."""
        return cpu_window(self.leaders)

    @property
    def more_bulk_workers(self) -> tuple[str, ...]:
        """Names of the processes that measure photos of batches beside the first."""
        return tuple(self._more_bulk)

    # Worker processes, as somebody who runs it may have more or fewer of

    def add_bulk_worker(self) -> str:
        """Start one more process that measures photos of batches; return its name."""
        spec = next(spec for spec in services(self.stack.settings_env) if spec.name == BULK)
        number = len(self._more_bulk) + 2
        command = tuple(f"bulk{number}@%h" if part == "bulk@%h" else part for part in spec.command)
        name = f"{BULK}-{number}"
        self.stack.supervisor.run(replace(spec, name=name, command=command))
        self._more_bulk.append(name)
        return name

    def await_bulk_workers(self, count: int) -> None:
        """Return once just so many processes say that they measure photos of batches; one that ended is forgotten late.

        Raises
        ------
        StackError
            If a process died too often meanwhile.
        """
        store = connect(settings_of(self.stack.settings_env)).jobs.store
        while store.live_workers(QueueName.BULK) != count:
            self.stack.pause(POLL_S)

    # Ways in

    def run(self, photos: Sequence[bytes], kind: Kind, at_once: int) -> Turn:
        """Send photos so many at once, each waiting for its result."""
        with self.window() as window:
            measured = each_at_once(self.url, photos, at_once, lambda http, photo: measure(http, photo, kind))
        return Turn(len(photos), sum(measured), window.wall_s, window.cpu_s)

    def run_batch(self, photos: Sequence[bytes], kind: Kind) -> Turn:
        """Send photos as one zip, wait for the end and read all results."""
        with BatchBody(photos, kind) as body, Http(self.url) as http:
            with self.window() as window:
                batch_id = body.send(http)
                await_batch(http, batch_id)
                measured = read_results(http, batch_id)
            return Turn(len(photos), measured, window.wall_s, window.cpu_s)
