"""What the running service shows of itself: metrics that add up, lines that lead from a request to its job."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import Any, Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stack.stack import Stack

pytestmark = pytest.mark.system

PATIENCE_S: Final = 60
PHOTOS: Final = 3

Page = dict[str, list[tuple[dict[str, str], float]]]


def scrape(http: httpx.Client) -> Page:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    page: Page = defaultdict(list)
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            page[sample.name].append((sample.labels, sample.value))
    return page


def total(page: Page, name: str, **labels: str) -> float:
    return sum(value for found, value in page[name] if labels.items() <= found.items())


def came_and_went(page: Page) -> tuple[float, float]:
    came = [f"facefit_jobs_{name}_total" for name in ("accepted", "restored_open", "reopened")]
    went = [f"facefit_jobs_{name}_total" for name in ("terminal", "dropped_open")]
    return sum(total(page, n) for n in came), sum(total(page, n) for n in went) + total(page, "facefit_open_jobs")


def test_counts_are_what_was_done(http: httpx.Client, hopper: bytes) -> None:
    before = scrape(http)
    ids = []
    for photo in [hopper] * PHOTOS + [b"\xff\xd8\xff no photo"]:
        answer = http.post("/v1/jobs", content=photo, headers={"Content-Type": "image/jpeg", "Prefer": "wait=30"})
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["id"])
    after = before

    def more(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        after = scrape(http)
        # What processes count comes a little later, and of the mesh and the store not always at once.
        if more("facefit_stage_seconds_count", stage="mesh", queue="interactive") >= PHOTOS:
            break
        time.sleep(0.5)
    assert more("facefit_jobs_accepted_total", queue="interactive", source="upload") == PHOTOS + 1
    assert more("facefit_jobs_terminal_total", queue="interactive", status="succeeded") == PHOTOS
    assert more("facefit_jobs_terminal_total", queue="interactive", code="corrupt_image") == 1
    assert more("facefit_attempts_total", queue="interactive", turn="first") == PHOTOS + 1
    assert more("facefit_stage_seconds_count", stage="mesh", queue="interactive") >= PHOTOS
    assert came_and_went(after)[0] == came_and_went(after)[1]
    assert total(after, "facefit_up", part="storage") == 1
    assert total(after, "facefit_live_workers", queue="bulk") >= 1
    assert total(after, "facefit_canary_age_seconds", queue="interactive") < 60


def test_readiness_says_what_was_seen(http: httpx.Client) -> None:
    answer = http.get("/readyz").json()
    assert answer["worker"]["ok"]
    assert answer["worker"]["seen"] in {"canary", "photo"}
    assert answer["worker"]["seen_age_s"] < 45
    assert answer["worker"]["canary_s"] > 0


def lines(service: Stack, name: str) -> list[dict[str, Any]]:
    text = (service.folder.logs / f"{name}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_request_leads_to_its_job_and_every_line_is_json(http: httpx.Client, service: Stack, hopper: bytes) -> None:
    headers = {"Content-Type": "image/jpeg", "Prefer": "wait=30", "X-Request-Id": "lead-me-there"}
    job = http.post("/v1/jobs?reference=marked-reference", content=hopper, headers=headers).json()["id"]
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        requests = [line for line in lines(service, "api") if line.get("request_id") == "lead-me-there"]
        ends = [line for line in lines(service, "worker-interactive") if line.get("job") == job]
        if requests and ends:
            break
        time.sleep(0.2)
    [request] = requests
    assert (request["route"], request["method"], request["tenant"]) == ("/v1/jobs", "POST", "local")
    assert request["job"] == job
    assert (ends[-1]["tenant"], ends[-1]["attempt"], ends[-1]["level"]) == ("local", 1, "info")
    for name in ("api", "worker-interactive", "worker-bulk", "delivery", "upkeep"):
        text = (service.folder.logs / f"{name}.log").read_text()
        assert "marked-reference" not in text
        strange = [line for line in text.splitlines() if line and not line.startswith("{")]
        # The vendors' native code, which writes for itself, is quiet; nothing of ours is.
        assert strange == [], name
