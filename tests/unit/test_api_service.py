"""What the API says of itself, whom it answers, and how it says no."""

from __future__ import annotations

import logging
from collections import defaultdict

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from shared.measurements import DEFINITIONS
from shared.names import QueueName
from shared.schemas import MeasurementCatalogue, Readiness
from tests.core import Core


def test_the_openapi_document_is_valid_and_of_version_3_1(api: FlaskClient) -> None:
    document = api.get("/openapi.json").get_json()
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_every_route_is_in_the_openapi_document(api: FlaskClient) -> None:
    paths = api.get("/openapi.json").get_json()["paths"]
    pages = {"/", "/docs", "/openapi.json", "/web/<path:name>", "/docs/swagger/<path:name>"}
    served: defaultdict[str, set[str]] = defaultdict(set)
    for rule in api.application.url_map.iter_rules():
        if rule.rule not in pages:
            served[rule.rule.replace("<", "{").replace(">", "}")] |= {method.lower() for method in rule.methods or ()}
    assert {path: methods - {"head", "options"} for path, methods in served.items()} == {
        path: set(operations) for path, operations in paths.items()
    }


def test_every_operation_says_how_it_fails(api: FlaskClient) -> None:
    for path in api.get("/openapi.json").get_json()["paths"].values():
        for operation in path.values():
            problems = [status for status in operation["responses"] if int(status) >= 400 and int(status) != 503]
            assert {"400", "500"} <= set(problems)
            for status in problems:
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


def test_measurements_are_those_of_the_registry(api: FlaskClient) -> None:
    catalogue = MeasurementCatalogue.model_validate(api.get("/v1/measurements").get_json())
    assert [entry.key for entry in catalogue.data] == [definition.key for definition in DEFINITIONS]
    assert all(entry.formula and entry.source and entry.stands_for and entry.known_error for entry in catalogue.data)
    assert [entry.bias for entry in catalogue.data] == [definition.bias for definition in DEFINITIONS]
    assert all(0 < entry.definition_sd < 0.2 for entry in catalogue.data)


def test_measurements_tell_how_the_turn_of_the_head_is_corrected(api: FlaskClient) -> None:
    entries = {entry["key"]: entry for entry in api.get("/v1/measurements").get_json()["data"]}
    assert entries["face_length"]["turn"] == {
        "yaw": -0.146,
        "pitch": -0.028,
        "yaw_and_pitch": 0,
        "yaw_sd": 0.041,
        "pitch_sd": 0,
        "max_yaw_deg": 40,
        "max_pitch_deg": 20,
    }
    assert entries["monocular_pd_left"]["turn"] is None
    assert "÷ turn" in entries["face_length"]["formula"]


def test_a_measurement_that_was_never_compared_says_so(api: FlaskClient) -> None:
    entries = {entry["key"]: entry for entry in api.get("/v1/measurements").get_json()["data"]}
    assert "not known" in entries["face_length"]["known_error"]
    assert entries["face_length"]["bias"] == 1
    assert entries["eye_gap"]["known_error"].startswith("mesh ÷ manual 0.975 ± 0.037")


def test_health_asks_nobody(api: FlaskClient, live_core: Core) -> None:
    live_core.set_records_away(True)
    live_core.objects.away = True
    assert api.get("/healthz").get_json() == {"status": "ok"}


def test_readiness_names_the_part_that_is_away(api: FlaskClient, live_core: Core) -> None:
    def state() -> tuple[int, Readiness]:
        response = api.get("/readyz")
        return response.status_code, Readiness.model_validate(response.get_json())

    status, answer = state()
    assert (status, answer.status, answer.worker.ok, answer.redis.ok) == (503, "not_ready", False, True)
    live_core.store.beat("w", 1, [QueueName.INTERACTIVE], valid_s=60)
    assert state()[0] == 503  # it lives, and nobody has seen it measure
    live_core.store.metrics.canary_measured(QueueName.INTERACTIVE, took_s=0.2, is_ok=True)
    status, answer = state()
    assert (status, answer.worker.seen, answer.worker.canary_s, answer.worker_bulk.ok) == (200, "canary", 0.2, False)
    live_core.objects.away = True
    status, answer = state()
    assert (status, answer.storage.ok, answer.worker.ok) == (503, False, True)
    assert answer.storage.detail


@pytest.mark.parametrize("path", ["/", "/docs", "/web/docs.js", "/docs/swagger/js/swagger-ui-bundle.js"])
def test_pages_are_served(api: FlaskClient, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    response.close()


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_for_nothing_from_elsewhere(api: FlaskClient, path: str) -> None:
    response = api.get(path)
    assert "http://" not in response.text
    assert "https://" not in response.text
    assert "<script>" not in response.text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    response.close()


@pytest.mark.parametrize("path", ["/web/../app.py", "/web/%2e%2e/app.py", "/docs/swagger/../__init__.py"])
def test_pages_are_all_that_is_served(api: FlaskClient, path: str) -> None:
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.1:1"])
def test_hosts_that_are_this_machine(api: FlaskClient, host: str) -> None:
    assert api.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "10.0.0.1:8000", "::1"])
def test_hosts_that_are_not(api: FlaskClient, host: str) -> None:
    response = api.get("/healthz", headers={"Host": host})
    assert (response.status_code, response.get_json()["code"]) == (400, "host_forbidden")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:9999", "http://localhost.evil.example", "", "http://["]
)
def test_pages_of_other_sites_may_not_call(api: FlaskClient, live_core: Core, origin: str) -> None:
    response = api.post("/v1/jobs", data=b"\xff\xd8\xff", content_type="image/jpeg", headers={"Origin": origin})
    assert (response.status_code, response.get_json()["code"]) == (403, "origin_forbidden")
    assert live_core.stored() == []


def test_the_services_own_page_may_call(api: FlaskClient) -> None:
    headers = {"Host": "localhost:8000", "Origin": "http://localhost:8000"}
    response = api.post("/v1/jobs", data=b"\xff\xd8\xff", content_type="image/jpeg", headers=headers)
    assert response.status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/jobs/", 404, "not_found"),
        ("PATCH", "/v1/jobs", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_errors_of_the_framework_are_problems(api: FlaskClient, method: str, path: str, status: int, code: str) -> None:
    response = api.open(path, method=method)
    assert response.content_type == "application/problem+json"
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert (response.headers.get("Allow") is not None) == (status == 405)


def test_a_bug_is_a_problem_with_a_request_id_and_a_traceback_in_the_log(
    api: FlaskClient, live_core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    live_core.jobs.objects = None  # type: ignore[assignment]
    with caplog.at_level(logging.ERROR):
        response = api.post(
            "/v1/jobs", data=b"\xff\xd8\xff", content_type="image/jpeg", headers={"X-Request-Id": "mine-1"}
        )
    body = response.get_json()
    assert (response.status_code, body["code"], body["request_id"]) == (500, "internal_error", "mine-1")
    assert "NoneType" not in response.text
    assert "mine-1" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, "<script>"])
def test_a_strange_request_id_is_replaced(api: FlaskClient, given: str) -> None:
    answered = api.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert answered != given
    assert len(answered) == 32
