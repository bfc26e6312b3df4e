"""The HTTP contract of webhooks, over memory adapters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import from_ms, system_clock
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.deliveries.record import Attempt, DeliveryRecord, DeliveryStatus, Verdict
from shared.deliveries.schemas import Delivery, DeliveryList, WebhookTargetList
from shared.deliveries.secrets import WebhookSecrets
from shared.names import LOCAL_TENANT
from shared.signing import check_secret
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.deliveries import BATCH_ID, URL, Office
from tests.unit.submitting import problem


@pytest.fixture
def office() -> Office:
    office = Office(clock=system_clock)
    office.upkeep.rebuild_if_lost()
    return office


@pytest.fixture
def api(live_core: Core, office: Office) -> Iterator[FlaskClient]:
    app = create_app(Services(live_core.jobs, office.desk, Waiters(live_core.store, places=1), live_core.settings))
    with app.test_client() as client:
        yield client


def settle(office: Office, attempt: Attempt, verdict: Verdict) -> DeliveryRecord:
    claim = office.desk.claim()
    assert claim is not None
    after = office.store.settle(claim, [attempt], verdict)
    assert after is not None
    return after


def fail(office: Office, status_code: int = 500, disable_until_ms: int | None = None) -> DeliveryRecord:
    verdict = Verdict(DeliveryStatus.FAILED, 8, 0, disable_until_ms=disable_until_ms)
    return settle(office, Attempt(1_795_000_000_123, status_code, 15, "status"), verdict)


def test_a_delivery_with_every_attempt(api: FlaskClient, office: Office) -> None:
    record = office.owe(batch_id=BATCH_ID)
    failed = fail(office)
    body = api.get(f"/v1/deliveries/{record.id}").get_json()
    assert Delivery.model_validate(body).status is DeliveryStatus.FAILED
    assert body == {
        "id": record.id,
        "object": "delivery",
        "webhook_id": record.webhook_id,
        "event": "job.succeeded",
        "job_id": record.job_id,
        "batch_id": BATCH_ID,
        "url": "https://receiver.example/hook?…",
        "status": "failed",
        "created_at": body["created_at"],
        "expires_at": body["expires_at"],
        "next_attempt_at": None,
        "attempts": [{"at": "2026-11-18T11:06:40.123000Z", "status_code": 500, "duration_ms": 15, "error": "status"}],
    }
    assert failed.id == record.id


def test_a_body_longer_than_any_target_is_refused(api: FlaskClient, office: Office) -> None:
    body = b" " * 65_536 + b'{"url":"https://receiver.example/"}'
    answer = api.post("/v1/webhooks/test", data=body, content_type="application/json")
    problem(answer, 400, "invalid_request")
    assert office.list_all() == []


@pytest.mark.parametrize("name", ["dlv_01k00000000000000000000000", "job_1", "x"])
def test_a_delivery_that_is_not_there(api: FlaskClient, office: Office, name: str) -> None:
    problem(api.get(f"/v1/deliveries/{name}"), 404, "not_found")
    problem(api.post(f"/v1/deliveries/{name}/redeliver"), 404, "not_found")


def test_another_tenants_delivery_is_not_there(api: FlaskClient, office: Office) -> None:
    foreign = office.owe(tenant="other", batch_id=BATCH_ID)
    problem(api.get(f"/v1/deliveries/{foreign.id}"), 404, "not_found")
    problem(api.post(f"/v1/deliveries/{foreign.id}/redeliver"), 404, "not_found")
    for query in ("", f"?job_id={foreign.job_id}", f"?batch_id={BATCH_ID}", "?status=pending"):
        assert api.get(f"/v1/deliveries{query}").get_json()["data"] == []


def test_lists_in_pages(api: FlaskClient, office: Office) -> None:
    records = [office.owe(batch_id=BATCH_ID) for _ in range(5)]
    failed = fail(office)
    everything = sorted((record.id for record in records), reverse=True)

    def listed(query: str) -> list[str]:
        page = DeliveryList.model_validate(api.get(f"/v1/deliveries?{query}").get_json())
        return [delivery.id for delivery in page.data]

    assert listed("") == everything
    first = api.get("/v1/deliveries?limit=3").get_json()
    assert listed(f"limit=3&cursor={first['next_cursor']}") == everything[3:]
    assert listed(f"job_id={records[2].job_id}") == [records[2].id]
    assert listed(f"batch_id={BATCH_ID}&status=failed") == [failed.id]
    assert listed("job_id=job_nothing") == []
    problem(api.get("/v1/deliveries?status=lost"), 400, "invalid_request")
    problem(api.get("/v1/deliveries?cursor=x"), 400, "invalid_request")


def test_redelivery(api: FlaskClient, office: Office) -> None:
    record = office.owe()
    fail(office)
    response = api.post(f"/v1/deliveries/{record.id}/redeliver")
    assert (response.status_code, response.headers["Location"]) == (202, f"/v1/deliveries/{record.id}")
    body = response.get_json()
    assert (body["status"], body["webhook_id"], len(body["attempts"])) == ("pending", record.webhook_id, 1)
    assert body["next_attempt_at"] is not None
    claim = office.desk.claim()
    assert claim is not None
    assert claim.record.id == record.id


def test_a_test_event_is_delivered_like_any_other(api: FlaskClient, office: Office) -> None:
    response = api.post("/v1/webhooks/test", json={"url": URL})
    assert response.status_code == 202
    delivery = Delivery.model_validate(response.get_json())
    assert (delivery.event, delivery.job_id, delivery.status) == ("webhook.test", None, DeliveryStatus.PENDING)
    assert api.get(response.headers["Location"]).get_json() == response.get_json()
    claim = office.desk.claim()
    assert claim is not None
    body = office.archive_body(claim.record)
    assert body.startswith(b'{"type":"webhook.test","timestamp":"')
    assert claim.record.url == URL


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://receiver.example/", "FACEFIT_OUTBOUND_ALLOW_HTTP"),
        ("https://127.0.0.1/hook", "FACEFIT_OUTBOUND_ALLOWED_HOSTS"),
        ("https://169.254.169.254/latest", "FACEFIT_OUTBOUND_ALLOWED_HOSTS"),
        ("https://receiver.example:22/", "FACEFIT_OUTBOUND_PORTS"),
        ("ftp://receiver.example/", "https://"),
    ],
)
def test_a_target_that_may_not_be_called(api: FlaskClient, office: Office, url: str, names: str) -> None:
    response = api.post("/v1/webhooks/test", json={"url": url})
    assert names in problem(response, 400, "webhook_target_forbidden")["detail"]
    assert list(office.objects.list("deliveries/")) == []


@pytest.mark.parametrize("body", [{}, {"url": 3}, {"url": ""}, {"url": URL, "more": 1}, []])
def test_a_test_that_says_nothing_useful(api: FlaskClient, office: Office, body: object) -> None:
    problem(api.post("/v1/webhooks/test", json=body), 400, "invalid_request")


def test_a_secret_is_shown_once(api: FlaskClient, office: Office) -> None:
    problem(api.get("/v1/webhooks/secret"), 404, "not_found")
    office.desk.secrets.signing(LOCAL_TENANT, "")  # one that the service made for itself is none to speak of
    problem(api.get("/v1/webhooks/secret"), 404, "not_found")
    response = api.post("/v1/webhooks/secret")
    assert (response.status_code, response.headers["Cache-Control"]) == (201, "no-store")
    first = response.get_json()
    check_secret(first["secret"])
    assert first["former_valid_until"] is None
    age = api.get("/v1/webhooks/secret").get_json()
    assert age == {
        "object": "webhook_secret",
        "created_at": first["created_at"],
        "age_s": age["age_s"],
        "former_valid_until": None,
    }
    assert 0 <= age["age_s"] < 60
    second = api.post("/v1/webhooks/secret").get_json()
    assert second["former_valid_until"] is not None
    fresh = WebhookSecrets(office.objects, office.store).signing(LOCAL_TENANT, "")
    assert fresh == [second["secret"], first["secret"]]


def test_disabled_targets(api: FlaskClient, office: Office) -> None:
    assert api.get("/v1/webhooks/targets").get_json() == {"object": "list", "data": []}
    record = office.owe()
    until_ms = office.clock() + 1_000_000
    fail(office, 410, disable_until_ms=until_ms)
    (target,) = WebhookTargetList.model_validate(api.get("/v1/webhooks/targets").get_json()).data
    assert (target.url, target.delivery_id) == ("https://receiver.example/hook?…", record.id)
    assert (target.status, target.disabled_until) == ("disabled", from_ms(until_ms))


def test_a_dependency_away(api: FlaskClient, office: Office) -> None:
    record = office.owe()
    assert isinstance(office.objects, MemoryObjectStore)
    assert isinstance(office.store, MemoryDeliveryStore)
    office.objects.away = True
    problem(api.post("/v1/webhooks/test", json={"url": URL}), 503, "unavailable")
    problem(api.post("/v1/webhooks/secret"), 503, "unavailable")
    problem(api.post(f"/v1/deliveries/{record.id}/redeliver"), 503, "unavailable")
    office.objects.away = False
    office.store.forget_everything()
    problem(api.get(f"/v1/deliveries/{record.id}"), 503, "unavailable")
    problem(api.get("/v1/deliveries"), 503, "unavailable")


def test_the_document_has_every_route(api: FlaskClient) -> None:
    document = api.get("/openapi.json").get_json()
    validate(document)
    assert {
        (method, path)
        for path, operations in document["paths"].items()
        for method in operations
        if "webhooks" in path or "deliver" in path
    } == {
        ("get", "/v1/deliveries"),
        ("get", "/v1/deliveries/{delivery_id}"),
        ("post", "/v1/deliveries/{delivery_id}/redeliver"),
        ("post", "/v1/webhooks/test"),
        ("post", "/v1/webhooks/secret"),
        ("get", "/v1/webhooks/secret"),
        ("get", "/v1/webhooks/targets"),
    }
