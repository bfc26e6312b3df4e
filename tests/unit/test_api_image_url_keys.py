"""`Idempotency-Key` with photos at URLs: one job for one URL, also while its photo is still awaited."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.names import LOCAL_TENANT
from shared.schemas import JobStatus
from shared.storage import layout
from tests.core import Core
from tests.unit.submitting import form, problem

URL = "https://photos.example/p/1.jpg?signature=secret"


def post(api: FlaskClient, body: dict[str, Any], query: str = "") -> TestResponse:
    headers = {"Idempotency-Key": "order-7", "Content-Type": "application/json"}
    return api.post(f"/v1/jobs{query}", data=orjson.dumps(body), headers=headers)


def replayed(response: TestResponse) -> bool:
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/v1/jobs/{response.get_json()['id']}"
    return "Idempotent-Replayed" in response.headers


def tickets(core: Core) -> list[str]:
    return core.stored(layout.TICKETS)


def test_the_same_url_is_fetched_for_one_job(api: FlaskClient, live_core: Core) -> None:
    first = post(api, {"image_url": URL, "reference": "a"})
    again = post(api, {"image_url": URL, "reference": "a"})
    assert (replayed(first), replayed(again)) == (False, True)
    assert again.get_json() == first.get_json()
    assert again.get_json()["status"] == "awaiting_upload"
    assert tickets(live_core) == [layout.ticket_key(LOCAL_TENANT, first.get_json()["id"])]
    assert replayed(post(api, {"image_url": URL, "max_faces": 1}, "?reference=a"))


@pytest.mark.parametrize(
    "other",
    [
        {"image_url": "https://photos.example/p/2.jpg?signature=secret"},
        {"image_url": URL + "2"},
        {"image_url": URL, "max_faces": 2},
    ],
)
def test_another_url_under_the_same_key(api: FlaskClient, live_core: Core, other: dict[str, Any]) -> None:
    first = post(api, {"image_url": URL})
    problem(post(api, other), 422, "idempotency_key_reused")
    assert len(tickets(live_core)) == 1
    assert replayed(post(api, {"image_url": URL}))
    headers = {"Idempotency-Key": "order-7"}
    problem(api.post("/v1/jobs", data=form(), headers=headers), 422, "idempotency_key_reused")
    assert [job["id"] for job in api.get("/v1/jobs").get_json()["data"]] == [first.get_json()["id"]]


def test_a_forbidden_url_leaves_the_key(api: FlaskClient, live_core: Core) -> None:
    problem(post(api, {"image_url": "https://10.0.0.1/1.jpg"}), 400, "invalid_request")
    assert not replayed(post(api, {"image_url": URL}))
    assert len(tickets(live_core)) == 1


def test_a_loss_while_the_photo_is_awaited(api: FlaskClient, live_core: Core) -> None:
    first = post(api, {"image_url": URL})
    live_core.lose_records()
    problem(post(api, {"image_url": URL}), 503, "unavailable")
    live_core.reconciler.round()
    problem(post(api, {"image_url": URL + "2"}), 422, "idempotency_key_reused")
    again = post(api, {"image_url": URL})
    assert replayed(again)
    assert again.get_json() == first.get_json()
    assert len(tickets(live_core)) == 1


def test_killed_before_the_record_was_written(api: FlaskClient, live_core: Core) -> None:
    first = post(api, {"image_url": URL}).get_json()
    mark = live_core.jobs.archive.kept_mark(LOCAL_TENANT, first["id"])
    assert mark is not None
    live_core.lose_records()
    token = live_core.store.begin_rebuild()
    live_core.store.idempotency.restore(mark, first["id"], until_ms=live_core.clock() + 1_000_000)
    live_core.store.end_rebuild(token)
    again = post(api, {"image_url": URL})
    assert (replayed(again), again.get_json()) == (True, first)
    assert live_core.find(first["id"]).status is JobStatus.AWAITING_UPLOAD
    assert len(tickets(live_core)) == 1


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_a_key_when_nobody_waits_for_the_photo_any_more(api: FlaskClient, live_core: Core, end: str) -> None:
    first = post(api, {"image_url": URL})
    if end == "cancel":
        api.post(f"{first.headers['Location']}/cancel")
    else:
        api.delete(first.headers["Location"])
    assert tickets(live_core) == []
    again = post(api, {"image_url": URL})
    assert replayed(again) is (end == "cancel")
    assert again.get_json()["status"] == ("cancelled" if end == "cancel" else "awaiting_upload")
