"""A small batch of one tenant behind a large one of another: when does each end?"""

from __future__ import annotations

import io
import time
from typing import Any

from bench.bulk.photos import MadePhoto
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batches import BatchLifecycle
from shared.jobs.lifecycle import Upload
from shared.schemas import JobOptions
from shared.services import connect
from stack.services import settings_of
from stack.stack import Stack

SMALL = 20
POLL_S = 0.2


def run_fairness(stack: Stack, photos: list[MadePhoto]) -> dict[str, Any]:
    """Accept all photos for one tenant, then the first few for another, without HTTP: there are no keys yet."""
    batches = BatchLifecycle(connect(settings_of(stack.settings_env)).jobs)
    large = _accept(batches, "large", photos)
    ended_before = large.total - batches.find("large", large.id).open_items
    began_s = time.monotonic()
    small = _accept(batches, "small", photos[:SMALL])
    small_s = _end_of(batches, small) - began_s
    ended_then = large.total - batches.find("large", large.id).open_items
    large_s = _end_of(batches, large) - began_s
    return {
        "large": len(photos),
        "small": SMALL,
        "small_ended_after_s": round(small_s, 1),
        "of_the_large_one_ended_meanwhile": ended_then - ended_before,
        "large_ended_after_s": round(large_s, 1),
    }


def _accept(batches: BatchLifecycle, tenant: str, photos: list[MadePhoto]) -> BatchRecord:
    with batches.begin(tenant, BatchSource.UPLOAD, JobOptions(landmarks=False)) as writer:
        for photo in photos:
            options = JobOptions(reference=photo.name, landmarks=False)
            writer.add_upload(Upload(io.BytesIO(photo.data), "image/jpeg"), options)
        return writer.commit()


def _end_of(batches: BatchLifecycle, batch: BatchRecord) -> float:
    while batches.find(batch.tenant, batch.id).completed_ms is None:
        time.sleep(POLL_S)
    return time.monotonic()
