"""Conversations of several requests, for both clients: waiting, measuring, uploading, paging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from facefit import requests
from facefit.calls import Call, Flow, Pause, Together, ask
from facefit.errors import Conflict, PhotoUnreadable, UploadRefused, WaitTimeout, ended_without_result
from facefit.models.batches import Batch, BatchItem
from facefit.models.jobs import Job
from facefit.models.service import Deletion
from facefit.photos import PhotoSource

Awaited = TypeVar("Awaited", Job, Batch)

POLL_S: Final = 2.0
"""Between looks, where the service has no place for one more who waits."""
UPLOADS_AT_ONCE: Final = 8
_RECEIPT_POLL_S: Final = 5.0


def measure(submit: Callable[[float], Call[Job]], timeout_s: float) -> Flow[Job]:
    """Submit a photo and wait; return the job that has succeeded.

    Raises
    ------
    JobEndedWithoutResult
        If it has ended otherwise.
    WaitTimeout
        If it has not ended in time.
    """
    since = time.monotonic()
    job = yield from ask(submit(min(timeout_s, requests.MAX_WAIT_S)))
    if not job.is_terminal:
        job = yield from wait_for_job(job.id, timeout_s - (time.monotonic() - since))
    if job.status != "succeeded":
        raise ended_without_result(job)
    return job


def wait_for_job(job_id: str, timeout_s: float) -> Flow[Job]:
    """Return the job once it has ended, however it has."""
    return (yield from _wait_for(job_id, lambda wait_s: requests.read_job(job_id, wait_s), timeout_s))


def wait_for_batch(
    batch_id: str,
    timeout_s: float | None,
    on_progress: Callable[[Batch], None] | None = None,
    look_every_s: float = 20.0,
) -> Flow[Batch]:
    """Return the batch once nothing of it is open; tell of each look at it before."""

    def read(wait_s: float) -> Call[Batch]:
        return requests.read_batch(batch_id, min(wait_s, look_every_s))

    return (yield from _wait_for(batch_id, read, timeout_s, on_progress))


def _wait_for(
    what_id: str,
    read: Callable[[float], Call[Awaited]],
    timeout_s: float | None,
    seen: Callable[[Awaited], None] | None = None,
) -> Flow[Awaited]:
    since = time.monotonic()
    while True:
        asked_at = time.monotonic()
        left_s = requests.MAX_WAIT_S if timeout_s is None else timeout_s - (asked_at - since)
        found = yield from ask(read(max(0.0, min(left_s, requests.MAX_WAIT_S))))
        if seen is not None:
            seen(found)
        if found.is_terminal and not _has_open_items(found):
            return found
        if left_s <= 0:
            raise WaitTimeout(what_id, timeout_s or 0.0)
        if time.monotonic() - asked_at < 1:
            yield Pause(min(POLL_S, left_s))


def _has_open_items(found: Job | Batch) -> bool:
    """Tell whether a batch that was cancelled is still being brought to its end."""
    return isinstance(found, Batch) and found.counts.ended < found.total


def wait_for_deletion(deleted_id: str, timeout_s: float) -> Flow[Deletion]:
    """Return the receipt once the bytes are out of the files of both stores."""
    since = time.monotonic()
    while True:
        receipt = yield from ask(requests.read_deletion(deleted_id))
        if receipt.is_purged:
            return receipt
        left_s = timeout_s - (time.monotonic() - since)
        if left_s <= 0:
            raise WaitTimeout(deleted_id, timeout_s)
        yield Pause(min(_RECEIPT_POLL_S, left_s))


def awaited_items(batch_id: str) -> Flow[list[BatchItem]]:
    """Return the items whose photo has not come, each with the form it is uploaded by."""
    found: list[BatchItem] = []
    query: dict[str, Any] = {"status": "awaiting_upload", "limit": 1000}
    while True:
        page = yield from ask(requests.list_items(batch_id, query))
        found += page.data
        if page.next_cursor is None:
            return found
        query["cursor"] = page.next_cursor


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a photo that was to be uploaded: it is there, or `trouble` says why it cannot be."""

    reference: str
    trouble: PhotoUnreadable | None = None


def upload_all(
    batch_id: str,
    items: Iterable[BatchItem],
    source: Callable[[BatchItem], PhotoSource],
    done: Callable[[Sent], None],
    at_once: int = UPLOADS_AT_ONCE,
) -> Flow[Batch]:
    """Upload photos straight to storage; the batch is started with the first one, so that it is measured meanwhile.

    Parameters
    ----------
    source : callable
        From an item to its photo; raises `PhotoUnreadable` for one that cannot be sent. Its job is cancelled then.
    done : callable
        Told of each photo that is there, or cannot be sent.
    """
    started: list[bool] = []

    def upload(item: BatchItem) -> Flow[Sent]:
        sent = yield from _upload(item, source)
        if sent.trouble is None and not started:
            started.append(True)
            yield requests.start_batch(batch_id)
        return sent

    yield Together((upload(item) for item in items), at_once, done)
    return (yield from ask(requests.start_batch(batch_id)))


def _upload(item: BatchItem, source: Callable[[BatchItem], PhotoSource]) -> Flow[Sent]:
    reference = item.reference or item.id
    if item.upload is None:
        return Sent(reference)  # refused by its size: there is nothing to send
    try:
        yield requests.upload_photo(item.upload, source(item))
    except PhotoUnreadable as error:
        trouble = error
    except UploadRefused:
        try:
            source(item)  # has it changed since it was announced?
        except PhotoUnreadable as error:
            trouble = error
        else:
            raise
    else:
        return Sent(reference)
    with suppress(Conflict):  # it has ended already
        yield requests.cancel_job(item.id)
    return Sent(reference, trouble)


def submit_and_upload(
    photos: Mapping[str, PhotoSource],
    options: Mapping[str, Any],
    key: str | None,
    done: Callable[[Sent], None],
    at_once: int = UPLOADS_AT_ONCE,
) -> Flow[Batch]:
    """Make a batch of photos, by reference, and upload them; return it as it runs."""
    announced = [
        {"reference": reference, "size": photo.size, "content_type": photo.content_type}
        for reference, photo in photos.items()
    ]
    batch = yield from ask(requests.announce_photos(announced, options, key=key))
    return (
        yield from upload_all(batch.id, batch.items, lambda item: photos[item.reference or ""], done, at_once=at_once)
    )
