"""Real worker processes under a memory limit that one photo does not fit: it fails alone."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from stack.stack import Stack
from tests.faults.broken_stack import SHORT
from tests.hostile_files import large
from worker.memory_limit import IS_SUPPORTED

pytestmark = [
    pytest.mark.long,
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IS_SUPPORTED, reason="only Linux keeps a limit on address space"),
]

LIMIT_BYTES = 200_000_000
"""Enough for a portrait, too little for 49 million pixels, which take 340 MB."""
PATIENCE_S = 120


def test_a_photo_that_does_not_fit_fails_and_its_neighbours_do_not(tmp_path: Path, hopper: bytes) -> None:
    overrides = {**SHORT, "FACEFIT_PHOTO_MEMORY_BYTES": str(LIMIT_BYTES)}
    with (
        Stack(tmp_path, overrides=overrides) as stack,
        httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as http,
    ):

        def ended(location: str) -> tuple[object, object]:
            deadline = time.monotonic() + PATIENCE_S
            while (job := http.get(f"{location}?wait=10").json())["status"] in {"queued", "running"}:
                assert time.monotonic() < deadline, job
            return job["status"], job["attempts"]

        photos = [hopper, large("PNG", "RGBA"), hopper, hopper]
        sent = [http.post("/v1/jobs", files={"image": ("p", photo)}).headers["Location"] for photo in photos]
        outcomes = [ended(location) for location in sent]
        assert outcomes == [("succeeded", 1), ("failed", 3), ("succeeded", 1), ("succeeded", 1)]
        assert http.get("/readyz").json()["worker"]["ok"]
        log = (tmp_path / "logs" / "worker-interactive.log").read_text()
        assert log.count("ran out of memory") == 3
        assert log.count("has no memory left for another photo") == 3
