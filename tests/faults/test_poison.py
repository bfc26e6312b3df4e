"""A photo that ends every process that touches it costs three attempts and nobody else anything."""

from __future__ import annotations

import time

import httpx
import pytest

from stack.stack import Stack
from tests.faults.photos import POISON

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
