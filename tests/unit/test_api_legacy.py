"""The original service's endpoint."""

from __future__ import annotations

import threading
import time

import pytest
from flask.testing import FlaskClient

from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobStatus
from tests.core import Core
from tests.unit.submitting import finish_soon, form, problem


def test_the_original_endpoint(api: FlaskClient, live_core: Core) -> None:
    worker = finish_soon(live_core)
    body = api.post("/face-coordinates", data=form()).get_json()
    worker.join()
    assert body["measurements"] == {"forehead_width_px": 78, "eye_gap_px": 24, "chin_width_px": 32}
    assert len(body["landmarks"]) == 468
    assert body["landmarks"][467] == {"id": 467, "x": 257, "y": 102}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_original_endpoint_is_for_posting(api: FlaskClient, method: str) -> None:
    response = api.open("/face-coordinates", method=method)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [(JobStatus.FAILED, 500, "processing_failed"), (JobStatus.CANCELLED, 409, "already_finished")],
)
def test_the_original_endpoint_when_there_is_no_result(
    api: FlaskClient, live_core: Core, status: JobStatus, expected: int, code: str
) -> None:
    def run() -> None:
        while not live_core.doorbell.depth(QueueName.INTERACTIVE):
            time.sleep(0.01)
        job_id = str(live_core.doorbell.take(QueueName.INTERACTIVE))
        if status is JobStatus.CANCELLED:
            live_core.jobs.cancel(LOCAL_TENANT, job_id)
        for _ in range(3):
            if claim := live_core.jobs.claim(job_id):
                live_core.jobs.give_back(claim, retry_after_s=0, charge=True)

    worker = threading.Thread(target=run)
    worker.start()
    problem(api.post("/face-coordinates", data=form()), expected, code)
    worker.join()


def test_the_original_endpoint_passes_over_other_fields(api: FlaskClient, live_core: Core) -> None:
    worker = finish_soon(live_core)
    response = api.post("/face-coordinates?landmarks=false", data=form(landmarks="false", anything="else"))
    worker.join()
    assert len(response.get_json()["landmarks"]) == 468
