"""Places in a process that clients keep for long: waiting, sending a batch, reading a report."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.names import LOCAL_TENANT


class Places:
    """Gives out a number of places; the last one that is free only to a tenant that has none.

    So no tenant can keep all of them. The tenant of a service without keys has nobody to share with.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, tenant: str) -> Iterator[bool]:
        """Keep a place while the block runs, if there is one for this tenant; tell whether there is."""
        is_given = self._take(tenant)
        try:
            yield is_given
        finally:
            if is_given:
                self._free(tenant)

    def _take(self, tenant: str) -> bool:
        with self._lock:
            n_free = self._places - self._taken.total()
            is_last_for_others = n_free == 1 and self._taken[tenant] > 0 and tenant != LOCAL_TENANT
            if n_free < 1 or is_last_for_others:
                return False
            self._taken[tenant] += 1
            return True

    def _free(self, tenant: str) -> None:
        with self._lock:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]
