"""Hands that do what is due, several at once, until they are told to stop; then they finish what they have begun."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from shared.errors import Transient

logger = logging.getLogger(__name__)

_PAUSES_AFTER_A_BUG: Final = 20
"""So many times the usual pause: few lines in the log, and who waits behind a bad record does not wait long."""


class _Named(Protocol):
    @property
    def id(self) -> str: ...


class _Claim(Protocol):
    @property
    def record(self) -> _Named: ...


Claim = TypeVar("Claim", bound=_Claim)


class Hands:
    """Some threads for one kind of work.

    Parameters
    ----------
    work : str
        What they are called.
    count : int
        How many there are.
    poll_s : float
        The pause before idle ones look again whether something is due [s].
    """

    def __init__(self, work: str, count: int, poll_s: float) -> None:
        self._work = work
        self._count = count
        self._poll_s = poll_s

    def keep_busy(self, take: Callable[[], Claim | None], do: Callable[[Claim], None], stop: threading.Event) -> None:
        """Take what is due and do it, until `stop` is set.

        Parameters
        ----------
        take : callable
            Returns a claim to what is due, None if nothing is; may raise `Transient`; all else is logged.
        do : callable
            Does it. What it raises ends nothing but this one: the lease brings it back.
        """
        free = threading.Semaphore(self._count)
        one_ended = threading.Event()

        def work(claim: Claim) -> None:
            try:
                do(claim)
            except Exception:  # the outer wall of a thread
                logger.exception("%s of %s went wrong", self._work, claim.record.id)
            finally:
                free.release()
                one_ended.set()

        with ThreadPoolExecutor(self._count, thread_name_prefix=self._work) as pool:
            while not stop.is_set():
                if not free.acquire(timeout=self._poll_s):
                    continue
                one_ended.clear()
                claim = self._taken(take, stop)
                if claim is None:
                    free.release()
                    # Which may have made room at its receiver; else something becomes due.
                    one_ended.wait(self._poll_s)
                else:
                    pool.submit(work, claim)

    def _taken(self, take: Callable[[], Claim | None], stop: threading.Event) -> Claim | None:
        try:
            return take()
        except Transient as error:
            logger.warning("%s: nothing can be claimed now: %s", self._work, error)
        except Exception:  # the outer wall: one record that cannot be read must not end the hands of all others
            logger.exception("%s: what was to be claimed cannot be", self._work)
            stop.wait(_PAUSES_AFTER_A_BUG * self._poll_s)
        return None
