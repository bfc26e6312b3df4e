"""A photo that ends every process that touches it costs three attempts and nobody else anything."""

from __future__ import annotations

import io
import time

import httpx
import pytest

from stack.stack import Stack
from tests.faults.photos import POISON
from tests.zips import plain_zip

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def test_poison_ends_as_failed_and_can_be_retried(broken: Stack, hopper: bytes) -> None:
    with httpx.Client(base_url=broken.url, timeout=60, trust_env=False) as http:

        def ended(location: str) -> dict[str, object]:
            deadline = time.monotonic() + 90
            while (job := http.get(f"{location}?wait=10").json())["status"] in {"queued", "running"}:
                assert time.monotonic() < deadline, job
            answer: dict[str, object] = job
            return answer

        poison = http.post("/v1/jobs", files={"image": ("p", hopper + POISON)}).headers["Location"]
        job = ended(poison)
        assert (job["status"], job["attempts"]) == ("failed", 3)
        assert job["error"] == {
            "code": "processing_failed",
            "message": "The service could not finish this photo in 3 attempts; it can be retried.",
            "retake": [],
        }
        # The worker lives on with new processes.
        measured = http.post("/v1/jobs", content=hopper, headers={"Content-Type": "image/jpeg"})
        assert ended(measured.headers["Location"])["status"] == "succeeded"
        assert http.get("/readyz").json()["worker"]["ok"]
        retried = http.post(f"{poison}/retry")
        assert (retried.status_code, retried.json()["attempts"]) == (202, 0)
        assert http.delete(poison).status_code == 204


def test_poison_in_a_batch_costs_its_neighbours_nothing(broken: Stack, hopper: bytes) -> None:
    """The photo before it is in storage when it ends the process; the one after it was read ahead, and not begun."""
    names = [f"{number}.jpg" for number in range(6)]
    files = {name: hopper + (POISON if name == "2.jpg" else b"") for name in names}
    with httpx.Client(base_url=broken.url, timeout=60, trust_env=False) as http:
        archive = io.BytesIO(plain_zip(files))
        batch = http.post("/v1/batches", files={"archive": ("photos.zip", archive)}).json()["id"]
        deadline = time.monotonic() + 120
        while http.get(f"/v1/batches/{batch}?wait=10").json()["completed_at"] is None:
            assert time.monotonic() < deadline, "the batch has not ended"
        items = http.get(f"/v1/batches/{batch}/items").json()["data"]
        jobs = [http.get(f"/v1/jobs/{item['id']}").json() for item in items]
    assert [job["status"] for job in jobs] == ["failed" if name == "2.jpg" else "succeeded" for name in names]
    assert jobs[2]["attempts"] == 3
    assert [job["attempts"] for job in jobs[3:]] == [1, 1, 1]
