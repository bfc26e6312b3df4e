"""A photo that ends every process that touches it costs three attempts and nobody else anything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from stack.stack import Stack
from tests.faults.conftest import SHORT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

# No photo can be measured in a thousandth of a second: each is poison, and the process dies of it.
DEADLY = {**SHORT, "FACEFIT_PHOTO_TIME_LIMIT_S": "0.001", "FACEFIT_LEASE_S": "2"}


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("poison"), overrides=DEADLY) as stack:
        yield stack


def test_poison_ends_as_failed_and_can_be_retried(deadly: Stack, hopper: bytes, astronaut: bytes) -> None:
    with httpx.Client(base_url=deadly.url, timeout=60, trust_env=False) as http:

        def ended(location: str) -> dict[str, object]:
            deadline = time.monotonic() + 90
            while (job := http.get(f"{location}?wait=10").json())["status"] in {"queued", "running"}:
                assert time.monotonic() < deadline, job
            answer: dict[str, object] = job
            return answer

        poison = http.post("/v1/jobs", files={"image": ("p", astronaut)}).headers["Location"]
        job = ended(poison)
        assert (job["status"], job["attempts"]) == ("failed", 3)
        assert job["error"] == {
            "code": "processing_failed",
            "message": "The service could not finish this photo in 3 attempts; it can be retried.",
            "retake": [],
        }
        # The worker lives on with new processes: what needs no measuring is still done.
        rejected = http.post("/v1/jobs", content=hopper[:3000], headers={"Content-Type": "image/jpeg"})
        assert ended(rejected.headers["Location"])["status"] in {"rejected", "failed"}
        assert http.get("/readyz").json()["worker"]["ok"]
        retried = http.post(f"{poison}/retry")
        assert (retried.status_code, retried.json()["attempts"]) == (202, 0)
        assert ended(poison)["status"] == "failed"
