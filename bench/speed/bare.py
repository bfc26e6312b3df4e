"""The limit: a loop that decodes a photo and fits the mesh as a worker does, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Self

from bench.speed.rounds import Turn
from stack.services import HOLDS_ON_TO_MEMORY


class BareLoop:
    """Processes that hold one mesh each; photos are handed to them before the clock starts.

    Parameters
    ----------
    processes : int
        How many: one for each core.
    """

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._children = []
        for _ in range(processes):
            here, there = context.Pipe()
            child = context.Process(target=_loop, args=(there,), daemon=True)
            with _environment(HOLDS_ON_TO_MEMORY):
                child.start()
            there.close()
            self._ends.append(here)
            self._children.append(child)
        for end in self._ends:
            end.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.close()
        for child in self._children:
            child.join()

    def run(self, photos: Sequence[bytes]) -> Turn:
        """Measure photos, each process its share."""
        shares = [photos[number :: len(self._ends)] for number in range(len(self._ends))]
        for end, share in zip(self._ends, shares, strict=True):
            end.send(share)
        for end in self._ends:
            end.recv()  # it has them all
        began_s = time.perf_counter()
        for end in self._ends:
            end.send("go")
        answers = [end.recv() for end in self._ends]
        wall_s = time.perf_counter() - began_s
        cpu_s, measured = (sum(values) for values in zip(*answers, strict=True))
        return Turn(len(photos), int(measured), wall_s, {"bare loop": cpu_s})


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have processes that are started meanwhile find these variables, and none that is started later."""
    former = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)


def _loop(end: Connection) -> None:
    from bench.speed.decoding import WorkerDecoder  # noqa: PLC0415  mediapipe takes long to import: not in the parent

    decoder = WorkerDecoder()
    end.send("ready")
    while True:
        try:
            photos = end.recv()
        except EOFError:
            return
        end.send("loaded")
        end.recv()
        began_s = time.process_time()
        measured = sum(decoder.finds_face(photo) for photo in photos)
        end.send((time.process_time() - began_s, measured))
