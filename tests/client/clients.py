"""Both clients behind one face, so that one test shows both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from facefit import AsyncClient, Client, RetryPolicy

QUICK = RetryPolicy(attempts=4, patience_s=10, first_pause_s=0.01, longest_pause_s=0.02)

Use = Callable[..., Any]


def use_blocking(url: str, method: str, *given: Any, retries: RetryPolicy = QUICK, **options: Any) -> Any:
    """Call `Client.<method>`, in lists what it yields."""
    with Client(url, retries=retries) as client:
        found = _method(client, method)(*given, **options)
        return list(found) if hasattr(found, "__next__") else found


def use_async(url: str, method: str, *given: Any, retries: RetryPolicy = QUICK, **options: Any) -> Any:
    """Call `AsyncClient.<method>`, in lists what it yields."""

    async def run() -> Any:
        async with AsyncClient(url, retries=retries) as client:
            found = _method(client, method)(*given, **options)
            return [one async for one in found] if hasattr(found, "__anext__") else await found

    return anyio.run(run)


def _method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client
