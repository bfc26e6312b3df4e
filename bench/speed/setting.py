"""What a run is made with: its sizes, and the contenders, each started when it is first needed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from bench.peers.serving import OriginalService
from bench.speed.bare import BareLoop
from bench.speed.photos import Kind, Pool
from bench.speed.service import Service
from stack.services import cores

_PICTURES: Final = 64
_LARGE_PICTURES: Final = 8
_LARGE_PX: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes
    ----------
    rounds : int
        Rounds of all contenders.
    small, large : int
        Photos of 512 px, and of 12 MP, in a turn.
    formats : int
        Photos of each other kind.
    latencies : int
        Single photos that are timed.
    requests : int
        Requests to the API in a turn.
    batch : int
        Photos of the large batch.
    """

    rounds: int
    small: int
    large: int
    formats: int
    latencies: int
    requests: int
    batch: int


QUICK: Final = Sizes(rounds=3, small=96, large=16, formats=16, latencies=40, requests=200, batch=600)
FULL: Final = Sizes(rounds=7, small=192, large=32, formats=48, latencies=200, requests=500, batch=10_000)


class Setting:
    """What the parts of a run share.

    Parameters
    ----------
    sizes : Sizes
        How much is measured.
    faces : Path or None
        More portraits to make photos from.
    """

    def __init__(self, sizes: Sizes, faces: Path | None = None) -> None:
        self.sizes = sizes
        self.cores = cores()
        self._faces = faces
        self._open = ExitStack()
        self._pools: dict[Kind, Pool] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def pool(self, kind: Kind, count: int = 0) -> Pool:
        """Return the photos of a kind; those that cost much to draw are drawn less often."""
        if kind not in self._pools:
            count = count or (_LARGE_PICTURES if kind.size[0] * kind.size[1] > _LARGE_PX else _PICTURES)
            self._pools[kind] = Pool(kind, count, self._faces)
        return self._pools[kind]

    @cached_property
    def bare(self) -> BareLoop:
        """The limit, on every core."""
        return self._open.enter_context(BareLoop(self.cores))

    @cached_property
    def bare_alone(self) -> BareLoop:
        """The limit, one photo at a time."""
        return self._open.enter_context(BareLoop(1))

    @cached_property
    def original_best(self) -> OriginalService:
        """The original service with one mesh for each process."""
        return self._open.enter_context(OriginalService(mesh_per_request=False, processes=self.cores))

    @cached_property
    def original_shipped(self) -> OriginalService:
        """The original service with one mesh for each request."""
        return self._open.enter_context(OriginalService(mesh_per_request=True, processes=self.cores))

    @cached_property
    def service(self) -> Service:
        """This service."""
        return self._open.enter_context(Service(self.sizes.batch))

    def have_bulk_workers(self, count: int) -> None:
        """Have so many processes measure photos of batches; `make up` starts one."""
        supervisor = self.service.stack.supervisor
        while len(self.service.more_bulk_workers) < count - 1:
            self.service.add_bulk_worker()
        for number, name in enumerate(self.service.more_bulk_workers):
            (supervisor.start if number < count - 1 else supervisor.stop)(name)
        self.service.await_bulk_workers(count)
