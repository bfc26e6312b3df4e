"""The stacks that faults need: the usual one, one behind proxies, one with a small disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from stack.object_store import s3_url
from stack.redis_server import redis_url
from tests.faults.broken_stack import BrokenStack
from tests.faults.fault import On
from tests.faults.proxy import Proxy

DISK: Final = "160m"
"""Room for the store's own files and a load of small photos, and little more."""


class NotHere(Exception):
    """Raised when this machine cannot bring a stack about; the text says why."""


@contextmanager
def _usual(folder: Path) -> Iterator[BrokenStack]:
    with BrokenStack(folder) as broken:
        yield broken


@contextmanager
def _behind_proxies(folder: Path) -> Iterator[BrokenStack]:
    """Start a stack whose services reach Redis and the object store through a proxy each."""
    broken = BrokenStack(folder)
    ports, secrets = broken.stack.folder.ports(), broken.stack.folder.secrets()
    with ExitStack() as opened:
        to_redis, to_store = (opened.enter_context(Proxy(port)) for port in (ports.redis, ports.s3))
        broken.proxies = (to_redis, to_store)
        broken.through = {
            "FACEFIT_REDIS_URL": redis_url(replace(ports, redis=to_redis.port), secrets),
            "FACEFIT_S3_ENDPOINT_URL": s3_url(replace(ports, s3=to_store.port)),
        }
        yield opened.enter_context(broken)


@contextmanager
def _on_a_small_disk(folder: Path) -> Iterator[BrokenStack]:
    """Start a stack whose object store lies on a file system of its own that is soon full."""
    if os.geteuid():
        raise NotHere("it mounts a small file system, which needs root")
    broken = BrokenStack(folder)
    disk = broken.stack.folder.store
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        raise NotHere(f"a small file system could not be mounted: {mounted.stderr.decode().strip()}")
    try:
        with broken:
            yield broken
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


_STACKS: Final[dict[On, Callable[[Path], AbstractContextManager[BrokenStack]]]] = {
    On.USUAL: _usual,
    On.PROXIES: _behind_proxies,
    On.SMALL_DISK: _on_a_small_disk,
}


def standing(on: On, folder: Path) -> AbstractContextManager[BrokenStack]:
    """Return what starts a stack, and stops it afterwards.

    Raises
    ------
    NotHere
        At the start, if it cannot be had on this machine.
    """
    return _STACKS[on](folder)
