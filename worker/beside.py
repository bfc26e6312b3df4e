"""What is done beside measuring: the next photo of a chunk is read, and what was measured is ended, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, Self

from shared.errors import Transient
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.store import Cleanup

_DELETED_AT_ONCE: Final = 6
"""Photos: few enough that most of a chunk are deleted while others are measured, not when it is left."""


class Beside:
    """A thread beside the one that measures, for as long as a chunk takes.

    It holds one photo at most, and one that was measured waits at most for its record to be ended: whoever hands over
    another waits for that. Leaving the block waits for all of it, and deletes the photos that are not needed any more.

    Parameters
    ----------
    jobs : JobLifecycle
        Where photos are read.

    Attributes
    ----------
    put_off : list of Cleanup
        Photos to be deleted, several in one call; the upkeep does it where this process dies before.
    """

    def __init__(self, jobs: JobLifecycle) -> None:
        self._jobs = jobs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._photo: tuple[str, Future[bytes | None]] | None = None
        self._ending: Future[None] | None = None
        self.put_off: list[Cleanup] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        self._delete_photos()

    def fetch(self, job_id: str) -> None:
        """Begin to read a photo that nobody has claimed yet, in place of any that was read before."""
        self._photo = job_id, self._thread.submit(self._jobs.peek_upload, job_id)

    def fetched(self, job_id: str) -> bytes | None:
        """Return the photo if it was read; None where whoever has the claim must read it, and learn what is amiss."""
        if self._photo is None or self._photo[0] != job_id:
            return None
        (_, photo), self._photo = self._photo, None
        try:
            return photo.result()
        except (Transient, MemoryError):
            return None  # memory may be short on account of the photo before

    def end(self, work: Callable[[], None]) -> None:
        """Have a record ended, once the one before is; `work` deals with all that it may raise."""
        if self._ending is not None:
            self._ending.result()
        self._ending = self._thread.submit(copy_context().run, work)
        # By itself, so that what goes wrong with it is not charged to the photo that is ended next.
        self._thread.submit(self._delete_photos, at_least=_DELETED_AT_ONCE)

    def _delete_photos(self, at_least: int = 1) -> None:
        if len(self.put_off) < at_least:
            return
        self._jobs.debts.clean_uploads(self.put_off)
        self.put_off.clear()
