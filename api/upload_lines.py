"""Who may bring a body now, and who waits for that, without a thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from api.connections import Connection


class UploadLine:
    """So many may bring a body at once, until it is stored or refused; the next wait in the order in which they came.

    Parameters
    ----------
    places : int
        How many.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: set[Connection] = set()
        self._waiting: OrderedDict[Connection, None] = OrderedDict()

    def __contains__(self, conn: Connection) -> bool:
        """Whether a connection has a place."""
        return conn in self._inside

    @property
    def waiting(self) -> tuple[Connection, ...]:
        """Who waits, the first to have come first."""
        return tuple(self._waiting)

    def join(self, conn: Connection) -> None:
        """Wait for a place."""
        self._waiting[conn] = None

    def leave(self, conn: Connection) -> None:
        """Give up a place, if it has one."""
        self._inside.discard(conn)

    def let_in(self) -> Iterator[Connection]:
        """Give those who wait the places that are free, and yield them."""
        while self._waiting and len(self._inside) < self._places:
            conn, _ = self._waiting.popitem(last=False)
            self._inside.add(conn)
            yield conn

    def give_up(self, now_s: float) -> Iterator[Connection]:
        """Yield those who have waited for too long; they wait no more."""
        while self._waiting and next(iter(self._waiting)).until_s <= now_s:
            yield self._waiting.popitem(last=False)[0]

    def turn_away(self) -> Connection | None:
        """Return who has waited longest, and waits no more; None if nobody does."""
        return self._waiting.popitem(last=False)[0] if self._waiting else None
