"""The small copy of a photo stays if its job succeeded, in whichever run, and goes if nobody is to see it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from shared.image_formats import ImageFormat
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from tests.core import Core
from worker.pipeline import Measured
from worker.processing import PhotoProcessor
from worker.vision.decode import Photo

PHOTO = Photo(np.zeros((4, 4, 3), np.uint8), 4, 4, 1, ImageFormat.JPEG, 1)


def succeed(live_core: Core, record: JobRecord) -> JobRecord:
    """End a run as a worker does that has measured its photo."""
    processor = PhotoProcessor(live_core.jobs, cast("Any", None), live_core.settings, live_core.clock)
    return processor._succeed(record, Measured({}, PHOTO), b"a small copy")


def claimed(live_core: Core) -> JobRecord:
    job_id = live_core.doorbell.take(QueueName.INTERACTIVE)
    assert job_id is not None
    claim = live_core.jobs.claim(job_id)
    assert claim is not None
    return claim.record


@pytest.fixture
def first_run(live_core: Core) -> JobRecord:
    live_core.accept(JobOptions(keep_image=True))
    return claimed(live_core)


def test_it_stays_with_the_result(live_core: Core, first_run: JobRecord) -> None:
    succeed(live_core, first_run)
    assert live_core.stored(layout.PREVIEWS) == [layout.preview_key(LOCAL_TENANT, first_run.id)]


def test_it_goes_if_the_job_was_cancelled_meanwhile(live_core: Core, first_run: JobRecord) -> None:
    live_core.jobs.cancel(LOCAL_TENANT, first_run.id)
    assert succeed(live_core, first_run).status is JobStatus.CANCELLED
    assert live_core.stored(layout.PREVIEWS) == []


def test_it_stays_if_a_later_run_has_succeeded_meanwhile(live_core: Core, first_run: JobRecord) -> None:
    live_core.jobs.finish(first_run.ended(JobStatus.FAILED, at_ms=live_core.clock()))  # its worker was given up
    live_core.jobs.retry(LOCAL_TENANT, first_run.id)
    live_core.jobs.settle(succeed(live_core, claimed(live_core)))
    assert succeed(live_core, first_run).status is JobStatus.FAILED, "the worker of the first run wakes up"
    assert live_core.stored(layout.PREVIEWS) == [layout.preview_key(LOCAL_TENANT, first_run.id)]
