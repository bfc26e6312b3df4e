"""The door over HTTP: what opens it, what does not, and what is told to whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.context import Services
from api.door import PUBLIC_ENDPOINTS
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from shared.keys.archive import KeyArchive
from shared.keys.token import Token, new_token
from tests.core import Core
from tests.keys import bearer, make_key
from tests.unit.submitting import problem, submit

AT_ONCE = Settings(
    keys_refresh_s=0.001, keys_max_age_s=60, cors_origins=("https://portal.example", "http://[::1]:3000")
)


@pytest.fixture
def core() -> Core:
    core = Core(clock=system_clock, settings=AT_ONCE)
    core.reconciler.round()
    return core


@pytest.fixture
def key(core: Core) -> Token:
    return make_key(core.objects, "acme")


def app_of(core: Core, settings: Settings | None = None) -> Flask:
    waiters = Waiters(core.store, places=2)
    return create_app(Services(core.jobs, core.desk, waiters, settings or core.settings))


@pytest.fixture
def door(core: Core, key: Token) -> Iterator[FlaskClient]:
    with app_of(core).test_client() as client:
        yield client


def refused(response: TestResponse) -> TestResponse:
    problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    return response


WAYS: dict[str, Callable[[str], dict[str, str]]] = {
    "bearer": lambda text: {"Authorization": f"Bearer {text}"},
    "bearer in lower case": lambda text: {"Authorization": f"bearer {text}"},
    "header": lambda text: {"X-API-Key": text},
    "both": lambda text: {"Authorization": f"Bearer {text}", "X-API-Key": text},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_key_opens(door: FlaskClient, key: Token, way: str) -> None:
    assert door.get("/v1/jobs", headers=WAYS[way](key.text)).status_code == 200


def test_what_does_not_open_looks_all_the_same(door: FlaskClient, core: Core, key: Token) -> None:
    archive = KeyArchive(core.objects)
    revoked, other = make_key(core.objects, "acme"), make_key(core.objects, "other")
    expired = make_key(core.objects, "acme", expires_ms=system_clock() - 1)
    archive.revoke(revoked.key_id, system_clock())
    attempts: list[dict[str, str]] = [
        {},
        *(bearer(token) for token in (new_token(), revoked, expired, Token(key.key_id, other.secret))),
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": key.text},
        {"Authorization": f"Basic {key.text}"},
        {"Authorization": f"Basic {key.text}", "X-API-Key": key.text},
        {"Authorization": f"Bearer {key.text} {key.text}"},
        {"X-API-Key": ""},
        {"X-API-Key": key.text[:-1]},
        {"X-API-Key": f"{key.text},{key.text}"},
        {**bearer(key), "X-API-Key": other.text},
    ]
    answers = [refused(door.get("/v1/jobs", headers={**headers, "X-Request-Id": "same"})) for headers in attempts]
    assert len({answer.data for answer in answers}) == 1
    assert len({str(sorted(answer.headers)) for answer in answers}) == 1


@pytest.mark.parametrize("query", ["key={}", "api_key={}", "access_token={}", "X-API-Key={}", "token={}"])
def test_keys_in_urls_do_not_open(door: FlaskClient, key: Token, query: str) -> None:
    refused(door.get(f"/v1/jobs?{query.format(key.text)}"))


def test_a_key_opens_its_own_tenant(door: FlaskClient, core: Core, key: Token) -> None:
    other = make_key(core.objects, "other")
    job_id = door.post("/v1/jobs", data=b"\xff\xd8\xff", content_type="image/jpeg", headers=bearer(key)).get_json()[
        "id"
    ]
    assert core.jobs.store.get(job_id).tenant == "acme"  # type: ignore[union-attr]
    assert door.get(f"/v1/jobs/{job_id}", headers=bearer(key)).status_code == 200
    assert door.get(f"/v1/jobs/{job_id}", headers=bearer(other)).status_code == 404


def every_request(app: Flask) -> list[tuple[str, str, str]]:
    """Endpoint, method and a path of each route there is."""
    return [
        (rule.endpoint, method, re.sub("<[^>]+>", "some", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
    ]


def test_every_route_needs_a_key_or_is_listed_as_public(door: FlaskClient) -> None:
    requests = every_request(door.application)
    assert {endpoint for endpoint, _, _ in requests} > PUBLIC_ENDPOINTS
    for endpoint, method, path in requests:
        response = door.open(path, method=method)
        if endpoint in PUBLIC_ENDPOINTS:
            assert response.status_code != 401, (method, path)
        else:
            assert response.status_code == 401, (method, path)
        response.close()


def test_what_is_public_is_this(door: FlaskClient) -> None:
    paths = {rule.rule for rule in door.application.url_map.iter_rules() if rule.endpoint in PUBLIC_ENDPOINTS}
    pages = {"/", "/docs", "/openapi.json", "/web/<path:name>", "/docs/swagger/<path:name>"}
    assert paths == pages | {"/healthz", "/readyz"}


class Unreadable:
    """A body that must not be read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError

    readline = read


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/v1/jobs/"),
        ("PATCH", "/v1/jobs"),
        ("POST", "/healthz"),
        ("OPTIONS", "/v1/jobs"),
        ("TRACE", "/v1/jobs"),
        ("GET", "/v1/jobs?limit=x"),
        ("GET", "/v1/jobs/x"),
        ("GET", "/metrics"),
        ("HEAD", "/v1/jobs"),
    ],
)
def test_who_is_not_let_in_learns_nothing_of_what_is_there(door: FlaskClient, method: str, path: str) -> None:
    response = door.open(path, method=method)
    assert response.status_code == 401
    assert "Allow" not in response.headers


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/batches", "/face-coordinates", "/v1/webhooks/test", "/nothing"])
def test_nothing_is_read_of_who_is_not_let_in(door: FlaskClient, core: Core, path: str) -> None:
    before = core.stored()
    response = door.post(
        path, environ_overrides={"wsgi.input": Unreadable(), "CONTENT_LENGTH": "99"}, content_type="image/jpeg"
    )
    refused(response)
    assert core.stored() == before


def test_while_the_keys_are_not_known_nothing_is_answered(core: Core) -> None:
    core.objects.away = True
    with app_of(core).test_client() as client:
        body = problem(client.get("/v1/jobs"), 503, "unavailable")
        assert "keys" in body["detail"]
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("::1", 200), ("", 200), ("192.0.2.7", 401)])
def test_without_keys_only_this_machine_is_answered(core: Core, address: str, status: int) -> None:
    with app_of(core).test_client() as client:
        assert client.get("/v1/jobs", environ_overrides={"REMOTE_ADDR": address}).status_code == status
        response = client.get("/v1/jobs", headers=bearer(new_token()), environ_overrides={"REMOTE_ADDR": address})
        refused(response)


def test_without_keys_others_are_answered_if_the_settings_say_so(core: Core) -> None:
    with app_of(core, AT_ONCE.model_copy(update={"unsafe_no_keys": True})).test_client() as client:
        assert client.get("/v1/jobs", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200


def test_with_keys_others_are_answered(door: FlaskClient, key: Token) -> None:
    response = door.get("/v1/jobs", headers=bearer(key), environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert response.status_code == 200


def test_a_host_that_is_not_served_is_refused_before_its_key_is_looked_at(door: FlaskClient, key: Token) -> None:
    problem(door.get("/v1/jobs", headers={**bearer(key), "Host": "evil.example"}), 400, "host_forbidden")


# The document


def test_the_document_tells_of_keys_for_every_operation(door: FlaskClient) -> None:
    document = door.get("/openapi.json").get_json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "api_key"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_public = path in {"/healthz", "/readyz"}
            assert operation["security"] == ([] if is_public else [{"bearer": []}, {"api_key": []}])
            assert ("401" in operation["responses"]) != is_public


def test_the_document_says_when_no_key_is_needed(core: Core) -> None:
    with app_of(core).test_client() as client:
        assert client.get("/v1/jobs").status_code == 200
        assert {} in client.get("/openapi.json").get_json()["paths"]["/v1/jobs"]["get"]["security"]
        make_key(core.objects, "acme")
        assert client.get("/v1/jobs").status_code == 401
        assert {} not in client.get("/openapi.json").get_json()["paths"]["/v1/jobs"]["get"]["security"]


# Pages of other sites

PORTAL = {"Origin": "https://portal.example"}
ASKS = {**PORTAL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/some/cancel", "/face-coordinates", "/nothing"])
def test_a_browser_may_ask_for_a_page_of_a_named_origin(door: FlaskClient, path: str) -> None:
    response = door.options(path, headers=ASKS)
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Origin" in response.headers["Vary"]


def test_a_page_of_a_named_origin_reads_answers_and_refusals(door: FlaskClient, key: Token) -> None:
    for headers, status in (({**PORTAL, **bearer(key)}, 200), (PORTAL, 401)):
        response = door.get("/v1/jobs", headers=headers)
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == "https://portal.example"
        assert {"Location", "Retry-After", "RateLimit", "X-Request-Id", "ETag"} <= set(
            response.headers["Access-Control-Expose-Headers"].split(", ")
        )
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://portal.example", "https://portal.example:444", "null", "*"]
)
def test_pages_of_other_origins_are_refused_even_with_a_key(door: FlaskClient, key: Token, origin: str) -> None:
    for response in (
        door.options("/v1/jobs", headers={**ASKS, "Origin": origin}),
        door.get("/v1/jobs", headers={**bearer(key), "Origin": origin}),
    ):
        problem(response, 403, "origin_forbidden")
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]


def test_answers_differ_by_origin_for_caches_too(door: FlaskClient, key: Token) -> None:
    response = door.get("/v1/jobs", headers=bearer(key))
    assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_preflight_is_no_way_around_the_host_list(door: FlaskClient) -> None:
    problem(door.options("/v1/jobs", headers={**ASKS, "Host": "evil.example"}), 400, "host_forbidden")


def test_no_origin_is_named_by_default(core: Core) -> None:
    with app_of(core, Settings()).test_client() as client:
        problem(client.options("/v1/jobs", headers=ASKS), 403, "origin_forbidden")
        assert not [name for name, _ in client.get("/healthz").headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "given", ["*", "null", "portal.example", "https://portal.example/", "https://", "https://a b", "ftp://a.example"]
)
def test_what_is_no_origin_is_refused_at_start(given: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        Settings(cors_origins=given)


def test_a_ring_must_outlast_its_refresh() -> None:
    with pytest.raises(ValueError, match="FACEFIT_KEYS_MAX_AGE_S must be longer"):
        Settings(keys_refresh_s=60, keys_max_age_s=60)


def test_keys_are_in_no_answer_and_no_log(door: FlaskClient, key: Token, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        answers = [door.get("/v1/jobs", headers=bearer(token)) for token in (key, new_token())]
        answers.append(submit(door))
    assert all(key.secret not in answer.text for answer in answers)
    assert key.secret not in caplog.text
