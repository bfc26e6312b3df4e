"""The order of things: announce, upload, start, wait; each step taken up where a killed process left it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from facefit import flows, requests
from facefit.bulk.journal import Journal, Part
from facefit.bulk.scan import CHANGED, Found
from facefit.calls import Flow, ask
from facefit.errors import Conflict, FacefitError, NotFound
from facefit.flows import Sent
from facefit.models.batches import Batch, BatchItem
from facefit.photos import PhotoSource

T = TypeVar("T")


class Watcher(Protocol):
    """Who is told how far a run is."""

    def sent(self, n_sent: int, total: int) -> None:
        """Hear how many photos are sent, or cannot be."""

    def measured(self, n_ended: int, total: int, rate: float | None) -> None:
        """Hear how many photos have ended, and how many do in a second."""


@dataclass(frozen=True, slots=True)
class BulkRun:
    """A run over a folder.

    Attributes
    ----------
    journal : Journal
        What is done so far, and is to be noted.
    watcher : Watcher
        Who is told.
    at_once : int
        How many photos are sent at a time.
    """

    journal: Journal
    watcher: Watcher
    at_once: int = flows.UPLOADS_AT_ONCE

    def flow(self) -> Flow[None]:
        """Return when every photo that can be sent has ended."""
        self._tell_sent()
        for part in self.journal.parts:
            if not part.is_sent:
                yield from self._send(part)
        n_before = len(self.journal.photos) - sum(len(_announced(part)) for part in self.journal.parts)
        for part in self.journal.parts:
            if part.batch_id is not None:
                batch = yield from self._wait(part.batch_id, n_before)
                n_before += batch.counts.ended

    def _send(self, part: Part) -> Flow[None]:
        if not _announced(part):
            self.journal.all_sent(part)
            return
        if part.batch_id is None:
            made = yield from ask(requests.announce_photos(*self._announcement(part), key=part.key))
            self.journal.made(part, made.id)
            items = [item for item in made.items if item.upload]
            for item in made.items:
                if item.upload is None:  # refused by its size, or there already
                    self.journal.photo_sent(item.reference or "")
        else:
            items = yield from self._of_this_run(flows.awaited_items(part.batch_id))
        by_reference = {photo.reference: photo for photo in part.photos}
        missing = [item for item in items if item.reference not in self.journal.sent]
        batch_id = part.batch_id or ""

        def source(item: BatchItem) -> PhotoSource:
            return self._source(by_reference[item.reference or ""])

        try:
            yield from self._of_this_run(flows.upload_all(batch_id, missing, source, self._note, self.at_once))
        except Conflict:
            batch = yield from self._of_this_run(ask(requests.read_batch(batch_id)))
            if not batch.is_terminal:
                raise
            # somebody has cancelled it: what was measured is there, and the rest has ended
        self.journal.all_sent(part)

    def _announcement(self, part: Part) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        items = [
            {"reference": photo.reference, "size": photo.size, "content_type": photo.content_type}
            for photo in _announced(part)
        ]
        return items, {"landmarks": False, **self.journal.task.options}

    def _source(self, photo: Found) -> PhotoSource:
        folder = Path(self.journal.task.folder)
        if problem := photo.problem_now(folder):
            raise problem
        return PhotoSource(photo.path, folder / photo.path)

    def _note(self, sent: Sent) -> None:
        if sent.trouble is None:
            self.journal.photo_sent(sent.reference)
        else:
            has_changed = str(sent.trouble).endswith(CHANGED)
            self.journal.photo_failed(sent.reference, "changed" if has_changed else "unreadable")
        self._tell_sent()

    def _tell_sent(self) -> None:
        self.watcher.sent(len(self.journal.sent) + len(self.journal.troubles), len(self.journal.photos))

    def _wait(self, batch_id: str, n_before: int) -> Flow[Batch]:
        def tell(batch: Batch) -> None:
            total = len(self.journal.photos)
            self.watcher.measured(n_before + batch.counts.ended, total, batch.images_per_second)

        return (yield from self._of_this_run(flows.wait_for_batch(batch_id, None, tell, look_every_s=2.0)))

    def _of_this_run(self, flow: Flow[T]) -> Flow[T]:
        try:
            return (yield from flow)
        except NotFound as error:
            raise RunLost(
                f"the service does not know this run's batch (any more): it was deleted, has expired, or the key is"
                f" another tenant's; --restart begins anew ({self.journal.path} is forgotten)"
            ) from error


class RunLost(FacefitError):
    """Raised when a run cannot go on because the service has forgotten it."""


def _announced(part: Part) -> list[Found]:
    return [photo for photo in part.photos if photo.trouble is None]
