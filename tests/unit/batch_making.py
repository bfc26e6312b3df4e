"""Batches whose items end as a test says: shared by the tests of what a client reads of one."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable
from typing import Any

import orjson

from shared.jobs.batch_record import BatchSource
from shared.jobs.lifecycle import Upload
from shared.names import LOCAL_TENANT
from shared.results import RetakeHint
from shared.schemas import JobError, JobOptions, JobStatus
from tests.core import PHOTO, Core
from tests.results import a_face, a_result, as_written

NO_FACE = JobError(
    code="no_face", message="No face was found.", retake=[RetakeHint(code="no_face", message="Face the camera.")]
)
FAILED = JobError(code="processing_failed", message="Three attempts, no result.")

Ending = bytes | JobStatus
"""A result, or how else an item ends; `QUEUED` leaves it open."""


def make_batch(core: Core, endings: Iterable[Ending], references: Iterable[str] | None = None) -> str:
    """Make a batch and bring its items to their ends; return its id."""
    endings = list(endings)
    names = [str(number) for number in range(len(endings))] if references is None else list(references)
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions()) as writer:
        for name in names:
            writer.add_upload(Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions(reference=name))
        batch_id = writer.commit().id
    for item, ending in zip(core.items(batch_id), endings, strict=True):
        end(core, item.id, ending)
    return batch_id


def end(core: Core, job_id: str, ending: Ending) -> None:
    if ending is JobStatus.QUEUED:
        return
    if ending is JobStatus.CANCELLED:
        core.jobs.cancel(LOCAL_TENANT, job_id)
        return
    claim = core.jobs.claim(job_id)
    assert claim is not None
    now = core.clock()
    if isinstance(ending, bytes):
        core.jobs.finish(claim.record.ended(JobStatus.SUCCEEDED, at_ms=now), ending)
    elif ending is not JobStatus.RUNNING:
        error = {JobStatus.REJECTED: NO_FACE, JobStatus.FAILED: FAILED}[ending]
        core.jobs.finish(claim.record.ended(ending, at_ms=now, error=error))


def varied(seed: int, *, faces: int = 1, landmarks: bool = True) -> dict[str, Any]:
    """A result whose numbers are those of no other seed; some measurements are not `ok`."""
    chance = random.Random(seed)
    result: dict[str, Any] = orjson.loads(as_written(a_result(*(a_face(landmarks=landmarks) for _ in range(faces)))))
    for face in result["faces"]:
        face["pose"]["yaw_deg"] = round(chance.gauss(0, 5), 2)
        for measured in face["measurements"].values():
            measured["mm"] = round(measured["mm"] * chance.gauss(1, 0.06), 2)
            if chance.random() < 0.2:
                measured.update(status="unreliable", reasons=["glasses", "head_turned"][: chance.randint(1, 2)])
    return result
