"""Limits over HTTP: what is refused, what is told, what is given back. Over memory adapters."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.admission.limits import OwnLimits, TenantLimits
from shared.admission.store import NOTHING, Usage
from shared.admission.tenants import TenantBook
from shared.clock import system_clock
from shared.config import Settings
from shared.names import LOCAL_TENANT
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.keys import bearer, make_key
from tests.structured_fields import Item, parsed_list
from tests.unit.submitting import JPEG, form, large_form, problem
from tests.zips import plain_zip

PATHS = ("/v1/jobs", "/face-coordinates")
NOTHING_USED = Usage(0, 0, 0, 0, 0, 0)


class Door:
    """The API with settings, and the core behind it."""

    def __init__(self, objects: MemoryObjectStore | None = None, **settings: Any) -> None:
        made = Settings.model_validate({"max_wait_s": 0.01, **settings})
        self.core = Core(clock=system_clock, settings=made, objects=objects or MemoryObjectStore())
        self.core.reconciler.round()
        app = create_app(Services(self.core.jobs, self.core.desk, Waiters(self.core.store, places=1), made))
        self.api: FlaskClient = app.test_client()

    def usage(self) -> Usage:
        admissions = self.core.store.admissions
        return admissions.admit(LOCAL_TENANT, "nobody", NOTHING, TenantLimits(), lease_s=1).usage

    def submit(self, path: str = "/v1/jobs", **headers: str) -> Any:
        return self.api.post(path, data=form(), headers=headers)

    def submit_photos(self, n_photos: int, **headers: str) -> Any:
        data = {"images": [(io.BytesIO(JPEG + bytes([n])), f"{n}.jpg") for n in range(n_photos)]}
        return self.api.post("/v1/batches", data=data, headers=headers)

    def submit_zip(self, n_photos: int) -> Any:
        archive = plain_zip({f"{n}.jpg": JPEG + bytes([n]) for n in range(n_photos)})
        return self.api.post("/v1/batches", **large_form(archive, "archive"))

    def submit_list(self, n_items: int, *, size_bytes: int = 1000, headers: dict[str, str] | None = None) -> Any:
        item = {"size": size_bytes, "content_type": "image/jpeg"}
        response = self.api.post("/v1/batches", json={"items": [item] * n_items}, headers=headers)
        response.close()  # its items lie in a temporary file
        return response


def fields(response: Any) -> dict[str, tuple[Item, Item]]:
    policies = parsed_list(response.headers["RateLimit-Policy"])
    left = parsed_list(response.headers["RateLimit"])
    assert [item.value for item in policies] == [item.value for item in left]
    return {str(policy.value): (policy, item) for policy, item in zip(policies, left, strict=True)}


def left(response: Any) -> dict[str, Any]:
    return {name: item.parameters["r"] for name, (_, item) in fields(response).items()}


def refused(response: Any) -> tuple[str, int]:
    """Return the sentence and the seconds of a 429."""
    body = problem(response, 429, "rate_limited")
    return body["detail"], int(response.headers["Retry-After"])


def test_the_tenant_of_a_service_without_keys_has_only_the_limits_that_are_set() -> None:
    response = Door().submit()
    assert response.status_code == 202
    assert not {"RateLimit", "RateLimit-Policy"} & set(response.headers.keys())
    assert list(fields(Door(limit_photos_per_minute=9).submit())) == ["photos"]


def test_another_tenant_has_the_limits_of_the_settings() -> None:
    assert TenantLimits.by_settings(Settings(limit_open_jobs=7), "acme") == TenantLimits(
        photos_per_minute=600, open_jobs=7, bytes_per_day=100_000_000_000, open_batches=100
    )


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_about_a_photo_tells_what_is_left(path: str) -> None:
    door = Door(limit_photos_per_minute=2, limit_open_jobs=10, limit_bytes_per_day=100_000, limit_open_batches=3)
    told = fields(door.submit(path))
    assert list(told) == ["photos", "jobs", "bytes"]
    assert told["photos"][0].parameters == {"q": 2, "w": 60}
    assert told["photos"][1].parameters["r"] == 1
    assert 59 < int(told["photos"][1].parameters["t"]) <= 61
    assert told["jobs"][0].parameters == {"q": 10, "qu": "concurrent-requests"}
    assert told["jobs"][1].parameters == {"r": 9}
    assert told["bytes"][0].parameters == {"q": 100_000, "qu": "content-bytes", "w": 86_400}
    assert 0 < int(told["bytes"][1].parameters["r"]) < 100_000


def test_an_answer_about_a_batch_tells_what_is_left() -> None:
    door = Door(limit_photos_per_minute=1, limit_open_jobs=10, limit_bytes_per_day=10**6, limit_open_batches=3)
    for response in (door.submit_photos(2), door.submit_zip(2), door.submit_list(2)):
        assert response.status_code in {201, 202}
        assert list(fields(response)) == ["batches", "jobs", "bytes"]
    assert (left(response)["batches"], left(response)["jobs"]) == (0, 4)
    refused(door.submit_list(1))


@pytest.mark.parametrize("path", PATHS)
def test_a_photo_over_the_limit_is_refused_and_leaves_nothing(path: str) -> None:
    door = Door(limit_photos_per_minute=3)
    assert [door.submit(path).status_code for _ in range(3)] == [202] * 3
    stored, before = door.core.stored(), door.usage()
    response = door.submit(path)
    detail, retry_s = refused(response)
    assert "3 photos a minute" in detail
    assert 59 <= retry_s <= 61
    assert int(fields(response)["photos"][1].parameters["t"]) <= retry_s
    assert left(response) == {"photos": 0}
    assert (door.core.stored(), door.usage().photos) == (stored, before.photos)


def test_open_jobs_bound_photos_and_batches_alike() -> None:
    door = Door(limit_open_jobs=5)
    for submit in (door.submit_photos, door.submit_zip, door.submit_list):
        detail, retry_s = refused(submit(6))
        assert "this request alone has 6" in detail
        assert retry_s == 10
        assert (door.core.stored(), door.usage()) == ([], NOTHING_USED)
    assert door.submit_zip(2).status_code == 202
    assert door.submit_list(2).status_code == 201
    refused(door.submit_photos(2))
    assert door.submit().status_code == 202
    refused(door.submit())
    assert door.usage().jobs == 5
    while door.core.work() or door.core.work_in_bulk():
        pass
    assert door.usage().jobs == 2
    assert door.submit().status_code == 202


def test_bytes_of_photos_are_those_that_came() -> None:
    door = Door(limit_bytes_per_day=10_000)
    door.submit()
    assert door.usage().size_bytes == len(JPEG)
    door.submit_photos(3)
    assert door.usage().size_bytes == len(JPEG) * 4 + 3
    door.submit_zip(2)
    assert door.usage().size_bytes == len(JPEG) * 6 + 5
    door.submit_list(2, size_bytes=4000)
    assert door.usage().size_bytes == len(JPEG) * 6 + 5 + 8000
    detail, retry_s = refused(door.submit_list(1, size_bytes=4000))
    assert "10000 bytes of photos a day" in detail
    assert retry_s > 86_000


def test_a_zip_is_charged_by_what_is_in_it() -> None:
    door = Door(limit_bytes_per_day=3000)
    packed = plain_zip({f"{n}.jpg": JPEG + bytes(1000) for n in range(4)})
    assert len(packed) < 1500
    refused(door.api.post("/v1/batches", **large_form(packed, "archive")))
    assert (door.core.stored(), door.usage()) == ([], NOTHING_USED)


def test_a_body_without_a_length_is_charged_when_it_is_here() -> None:
    door = Door(limit_bytes_per_day=100)
    chunked = {"content_type": "image/jpeg", "environ_overrides": {"wsgi.input_terminated": True}}
    for size, status in ((60, 202), (60, 429), (40, 202)):
        body = io.BytesIO(JPEG[:4] + bytes(size - 4))
        assert door.api.post("/v1/jobs", input_stream=body, **chunked).status_code == status
    assert door.usage().size_bytes == 100


def test_photos_at_urls_have_no_bytes() -> None:
    door = Door(limit_bytes_per_day=10, limit_open_jobs=3)
    assert door.api.post("/v1/jobs", json={"image_url": "https://photos.example/1.jpg"}).status_code == 202
    items = [{"image_url": f"https://photos.example/{n}.jpg"} for n in range(2)]
    assert door.api.post("/v1/batches", json={"items": items}).status_code == 202
    assert (door.usage().jobs, door.usage().size_bytes) == (3, 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_request_that_is_wrong_gives_back_what_it_took(path: str) -> None:
    door = Door(limit_photos_per_minute=2, limit_bytes_per_day=10_000)
    for _ in range(4):
        response = door.api.post(path, data={"image": (io.BytesIO(b"no photo"), "a.jpg")})
        assert response.status_code == 415
        assert left(response) == {"photos": 2, "bytes": 10_000}
    assert door.usage() == NOTHING_USED


def test_a_batch_that_is_wrong_gives_back_what_it_took() -> None:
    door = Door(limit_open_batches=1, limit_open_jobs=10, limit_bytes_per_day=10_000)
    wrong = [
        door.api.post("/v1/batches", json={"items": [{"size": 0, "content_type": "image/jpeg"}]}),
        door.api.post("/v1/batches", **large_form(b"no zip", "archive")),
        door.api.post("/v1/batches", data={"images": (io.BytesIO(JPEG), "a.jpg"), "max_faces": "0"}),
    ]
    for response in wrong:
        assert response.status_code == 400
        assert left(response) == {"batches": 1, "jobs": 10, "bytes": 10_000}
    assert door.usage() == NOTHING_USED


def test_what_could_not_be_stored_is_given_back() -> None:
    door = Door(limit_photos_per_minute=2, limit_open_batches=1)
    door.core.objects.away = True
    for response in (door.submit(), door.submit_list(1), door.submit_photos(1)):
        problem(response, 503, "unavailable")
    door.core.objects.away = False
    assert door.usage() == NOTHING_USED


def test_without_records_nothing_is_admitted() -> None:
    door = Door(limit_photos_per_minute=2, limit_open_batches=1)
    door.core.set_records_away(True)
    for response in (door.submit(), door.submit("/face-coordinates"), door.submit_list(1), door.submit_photos(1)):
        problem(response, 503, "unavailable")
        assert response.headers["RateLimit-Policy"]
    assert door.core.stored() == []


def test_a_replay_costs_nothing_and_is_answered_over_the_limit() -> None:
    door = Door(limit_photos_per_minute=1, limit_open_batches=1)
    key = {"Idempotency-Key": "mine"}
    first, batch = door.submit(**key), door.submit_photos(1, **{"Idempotency-Key": "batch"})
    before = door.usage()
    assert (first.status_code, batch.status_code) == (202, 202)
    refused(door.submit())
    for _ in range(3):
        again = door.submit(**key)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
        assert again.headers["RateLimit-Policy"] == '"photos";q=1;w=60'
        assert door.submit_photos(1, **{"Idempotency-Key": "batch"}).status_code == 202
    assert (door.usage().photos, door.usage().batches) == (before.photos, before.batches)


def test_a_refusal_leaves_an_idempotency_key_as_new() -> None:
    door = Door(limit_open_jobs=1)
    door.submit()
    refused(door.submit(**{"Idempotency-Key": "mine"}))
    door.core.work()
    again = door.submit(**{"Idempotency-Key": "mine"})
    assert again.status_code == 202
    assert "Idempotent-Replayed" not in again.headers


def test_a_deleted_job_is_made_anew_under_its_key_if_there_is_room() -> None:
    door = Door(limit_photos_per_minute=1)
    first = door.submit(**{"Idempotency-Key": "mine"})
    door.core.store.idempotency.forget("nobody")
    door.core.objects.put(f"deleted/{LOCAL_TENANT}/{first.get_json()['id']}", b"0")  # killed in the middle of a DELETE
    door.core.store.batches.drop_items([first.get_json()["id"]])
    refused(door.submit(**{"Idempotency-Key": "mine"}))


def test_one_tenant_at_its_limit_is_nothing_to_another() -> None:
    door = Door(limit_photos_per_minute=2, keys_refresh_s=0.001, keys_max_age_s=60)
    acme, beta = (bearer(make_key(door.core.objects, tenant)) for tenant in ("acme", "beta"))
    assert [door.submit(**acme).status_code for _ in range(3)] == [202, 202, 429]
    assert left(door.submit(**beta))["photos"] == 1
    assert list(fields(door.submit_list(1, headers=acme))) == ["batches", "jobs", "bytes"]


def test_own_limits_win_and_are_read_again() -> None:
    door = Door(limit_photos_per_minute=100)
    book = TenantBook(door.core.objects)
    book.set(LOCAL_TENANT, OwnLimits(photos_per_minute=1, open_batches=4))
    assert door.submit().headers["RateLimit-Policy"] == '"photos";q=1;w=60'
    refused(door.submit())
    assert door.submit_list(1).headers["RateLimit-Policy"] == '"batches";q=4;qu="concurrent-requests"'


def test_429_is_documented_with_its_headers() -> None:
    document = Door().api.get("/openapi.json").get_json()
    for path in (*PATHS, "/v1/batches"):
        answers = document["paths"][path]["post"]["responses"]
        assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= set(answers["429"]["headers"])
        assert "rate_limited" in answers["429"]["description"]
    for path, status in (("/v1/jobs", "202"), ("/v1/jobs", "200"), ("/v1/batches", "201"), ("/v1/batches", "202")):
        assert "RateLimit" in document["paths"][path]["post"]["responses"][status]["headers"]
