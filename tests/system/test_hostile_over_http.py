"""Every hostile photo in one batch, through every real part: each ends as it should, and nothing ends with it."""

from __future__ import annotations

import httpx
import pytest

from shared.schemas import JobStatus
from stack.stack import Stack
from tests.hostile import CASES
from tests.system.test_batches_over_http import ended

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

LARGEST_BYTES = 1_000_000
"""The few larger files are shown one by one at the decoder's door."""


def test_each_hostile_photo_ends_as_it_should_and_the_workers_live(
    service: Stack, http: httpx.Client, hopper: bytes
) -> None:
    made = {case.name: case.make() for case in CASES if not case.is_costly}
    sent = [case for case in CASES if len(made.get(case.name, bytes(LARGEST_BYTES))) < LARGEST_BYTES]
    names = {f"{number}.jpg": case for number, case in enumerate(sent)}
    files = [("images", (name, made[case.name])) for name, case in names.items()]
    files.append(("images", ("face.jpg", hopper)))
    workers = [service.supervisor.pid(name) for name in ("worker-interactive", "worker-bulk")]
    accepted = http.post("/v1/batches", files=files)
    assert accepted.status_code == 202, accepted.text
    batch = ended(http, accepted.json()["id"])
    *items, face = http.get(f"/v1/batches/{batch.id}/items", params={"limit": 1000}).json()["data"]
    found = {names[item["reference"]].name: (item["error"] or {}).get("code") for item in items}
    assert found == {case.name: case.code for case in sent}
    assert {item["status"] for item in items} == {JobStatus.REJECTED}
    assert (face["reference"], face["status"]) == ("face.jpg", JobStatus.SUCCEEDED)
    assert {item["attempts"] for item in [*items, face]} <= {0, 1}, "a photo took its process with it"
    assert [service.supervisor.pid(name) for name in ("worker-interactive", "worker-bulk")] == workers
