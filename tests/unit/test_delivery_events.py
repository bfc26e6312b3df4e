"""What receivers are told, how URLs are shown, and the secrets that deliveries are signed with."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

import orjson
import pytest

from shared.clock import from_ms
from shared.config import Settings
from shared.deliveries.events import event_body
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.deliveries.record import shown_url
from shared.deliveries.secrets import WebhookSecrets
from shared.errors import StorageUnavailable
from shared.names import LOCAL_TENANT
from shared.signing import check_secret
from shared.storage.memory import MemoryObjectStore
from shared.targets import TargetForbidden, check_target, receiver_of
from tests.clock import FakeClock
from tests.deliveries import Office
from tests.results import a_face, a_result

AT = from_ms(1_795_000_000_000)
BASE = "https://faces.example"


def a_job(n_faces: int = 1, **changed: Any) -> dict[str, Any]:
    result = a_result(*(a_face() for _ in range(n_faces)))
    return {"id": "job_1", "object": "job", "status": "succeeded", "created_at": AT, "result": result, **changed}


def told(thing: dict[str, Any], event: str = "job.succeeded") -> dict[str, Any]:
    before = deepcopy(thing)
    body = event_body(thing, event, AT, BASE + "/")
    assert thing == before
    assert len(body) < 20_000
    told: dict[str, Any] = orjson.loads(body)
    assert list(told) == ["type", "timestamp", "data"]
    assert (told["type"], told["timestamp"]) == (event, "2026-11-18T11:06:40Z")
    data: dict[str, Any] = told["data"]
    return data


def test_a_body_has_the_job_without_its_landmarks() -> None:
    job = a_job(3)
    data = told(job)
    assert data["result_url"] == "https://faces.example/v1/jobs/job_1"
    assert data["created_at"] == "2026-11-18T11:06:40Z"
    expected = deepcopy(job["result"])
    for face in expected["faces"]:
        del face["landmarks"]
    assert data["result"] == orjson.loads(orjson.dumps(expected))


def test_faces_are_left_out_of_a_body_that_would_be_too_long() -> None:
    job = a_job(10)
    for face in job["result"]["faces"]:
        face["measurements"] |= {f"more_{n}": face["measurements"]["eye_gap"] for n in range(10)}
    data = told(job)
    assert "faces" not in data["result"]
    assert data["result"]["image"] == job["result"]["image"]
    assert "result_url" in data


def test_a_job_without_a_result_and_a_batch() -> None:
    rejected = told(a_job(status="rejected", result=None, error={"code": "no_face"}), "job.rejected")
    assert (rejected["result"], rejected["error"]) == (None, {"code": "no_face"})
    batch = told({"id": "bat_1", "object": "batch", "counts": {"succeeded": 2}}, "batch.completed")
    assert batch["result_url"] == "https://faces.example/v1/batches/bat_1/results"


def test_what_cannot_be_thin_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        event_body(a_job(reference="x" * 30_000), "job.succeeded", AT, BASE)


@pytest.mark.parametrize(
    ("url", "shown", "receiver"),
    [
        ("https://a.example/h?token=1#x", "https://a.example/h?…", "a.example:443"),
        ("http://A.example.:81/h", "http://A.example.:81/h", "a.example:81"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/", "2001:db8::1:443"),
        ("https://a.example:99999/", "https://a.example:99999/", ":0"),
        ("nonsense", "nonsense", ":0"),
    ],
)
def test_urls_as_they_are_shown_and_counted(url: str, shown: str, receiver: str) -> None:
    assert (shown_url(url), receiver_of(url)) == (shown, receiver)


# Secrets


def signing(office: Office, version: str = "") -> list[str]:
    return office.desk.secrets.signing(LOCAL_TENANT, version)


def test_a_tenant_without_a_secret_signs_with_one_that_nobody_was_shown() -> None:
    office = Office()
    (own,) = signing(office)
    check_secret(own)
    another_process = WebhookSecrets(office.objects, office.store, office.clock)
    assert another_process.signing(LOCAL_TENANT, "") == [own]
    assert signing(office) == [own]
    assert office.desk.secrets.ages(LOCAL_TENANT) is None
    made, ages = office.desk.secrets.rotate(LOCAL_TENANT)
    assert signing(office, "new") == [made.text]
    assert (ages.created_ms, ages.former_until_ms) == (office.clock(), None)


def test_a_secret_is_valid_for_a_day_after_the_next_one() -> None:
    office = Office()
    made = []
    for number in range(3):
        office.clock.advance(3600)
        secret, ages = office.desk.secrets.rotate(LOCAL_TENANT)
        made.append(secret.text)
        assert signing(office, str(number)) == list(reversed(made))
    assert ages.former_until_ms == office.clock() + 86_400_000
    assert office.desk.secrets.ages(LOCAL_TENANT) == ages
    office.clock.advance(86_400 - 3600)
    assert signing(office, "3") == [made[2], made[1]]
    office.clock.advance(3600)
    assert signing(office, "4") == [made[2]]
    after = office.desk.secrets.ages(LOCAL_TENANT)
    assert after is not None
    assert (after.created_ms, after.former_until_ms) == (ages.created_ms, None)
    office.desk.secrets.rotate(LOCAL_TENANT)
    assert len(list(office.objects.list("webhook-secrets/"))) == 2


def test_secrets_are_read_again_when_they_changed_or_after_a_while() -> None:
    office = Office()
    (first,) = signing(office)
    elsewhere = WebhookSecrets(office.objects, office.store, office.clock)
    made, _ = elsewhere.rotate(LOCAL_TENANT)
    assert signing(office) == [first]
    assert signing(office, "changed") == [made.text]
    newer, _ = elsewhere.rotate(LOCAL_TENANT)
    assert signing(office, "changed") == [made.text]
    office.clock.advance(10)
    assert signing(office, "changed") == [newer.text, made.text]


def test_tenants_have_secrets_of_their_own() -> None:
    office = Office()
    made, _ = office.desk.secrets.rotate("a")
    assert office.desk.secrets.ages("b") is None
    assert made.text not in office.desk.secrets.signing("b", "")
    assert office.desk.secrets.ages("a-b") is None


class WritesAndFails(MemoryObjectStore):
    def put(self, key: str, body: Any, *, content_type: str = "") -> None:
        super().put(key, body, content_type=content_type)
        raise StorageUnavailable(key)


def test_a_secret_that_nobody_saw_is_not_signed_with() -> None:
    office = Office(objects=WritesAndFails())
    with pytest.raises(StorageUnavailable):
        office.desk.secrets.rotate(LOCAL_TENANT)
    assert list(office.objects.list("webhook-secrets/")) == []


def test_no_secret_and_no_query_is_in_what_is_logged_or_printed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    office = Office()
    made, _ = office.desk.secrets.rotate(LOCAL_TENANT)
    record = office.owe()
    claim = office.desk.claim()
    assert claim is not None
    assert made.text not in repr(made)
    assert "token=secret" not in repr(record) + repr(claim)
    assert claim.token not in repr(claim)


# Settings


def test_the_settings_say_where_webhooks_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEFIT_OUTBOUND_ALLOWED_HOSTS", "Portal.internal, 127.0.0.1:9000")
    monkeypatch.setenv("FACEFIT_OUTBOUND_PORTS", "443, 8443")
    monkeypatch.setenv("FACEFIT_OUTBOUND_ALLOW_HTTP", "1")
    policy = Settings().outbound_policy(15)
    assert check_target("https://portal.internal:8443/", policy).is_named
    assert check_target("http://127.0.0.1:9000/", policy).is_named
    assert policy.total_s == 15
    for url in ("https://127.0.0.1/", "https://a.example:80/"):
        with pytest.raises(TargetForbidden):
            check_target(url, policy)


def test_a_lease_must_outlast_an_attempt() -> None:
    with pytest.raises(ValueError, match="FACEFIT_DELIVERY_LEASE_S must be longer"):
        Settings(delivery_lease_s=15)


def test_a_secret_asked_for_while_the_first_one_is_made_signs(clock: FakeClock) -> None:
    class Busy(MemoryObjectStore):
        def put_if_absent(self, key: str, body: bytes) -> bool:
            written = super().put_if_absent(key, body)
            shown.append(secrets.rotate(LOCAL_TENANT)[0].text)
            return written

    shown: list[str] = []
    secrets = WebhookSecrets(Busy(), MemoryDeliveryStore(clock), clock)
    assert secrets.signing(LOCAL_TENANT, "") == shown


@pytest.mark.parametrize(
    "spelling",
    [
        "https://EXAMPLE.com.",
        "https://ex\u00adample.com/",
        "https://ex\uff41mple.com/x",
        "https://example\u3002com:443/?a=b",
    ],
)
def test_a_host_is_one_receiver_however_it_is_spelt(spelling: str) -> None:
    assert receiver_of(spelling) == "example.com:443"
