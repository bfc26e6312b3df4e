"""Every route with every object of another tenant: nothing is told, in words, in headers or by the steps taken.

The routes are those that the app has; one with a parameter that is not known here fails the walk until it is. What
`docs/tenants.md` says of the number of pairs is held here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from api.app import create_app
from api.context import Services
from api.door import PUBLIC_ENDPOINTS
from api.waiting import Waiters
from shared.clock import system_clock
from shared.deliveries.record import is_delivery_id
from shared.names import new_batch_id, new_job_id
from tests.deliveries import a_delivery
from tests.keys import bearer, make_key
from tests.tenants import MARK, OURS, THEIRS, Thing, World, populate
from tests.unit.submitting import JPEG

PAGE: Final = Path(__file__).parents[2] / "docs" / "tenants.md"
KIND_OF_PARAMETER: Final = {
    "job_id": "job",
    "batch_id": "batch",
    "delivery_id": "delivery",
    "deleted_id": "job or batch",
}
UNMEASURED: Final = frozenset({"HEAD", "OPTIONS"})
"""The same functions as GET; or none."""
LATER_S: Final = 0.005
"""Ids of one millisecond are in any order; theirs come after ours, as new ones do."""
RE_ASKED: Final = {"X-Request-Id": "the-same"}


@dataclass
class Walk:
    """A client of ours, the things of theirs, and how often one was asked for the other."""

    world: World
    client: FlaskClient
    theirs: list[Thing]
    ours: list[Thing]
    keys: dict[str, dict[str, str]]

    @property
    def rules(self) -> list[tuple[Rule, str]]:
        return [
            (rule, method)
            for rule in self.client.application.url_map.iter_rules()
            if rule.endpoint not in PUBLIC_ENDPOINTS
            for method in sorted((rule.methods or set()) - UNMEASURED)
        ]

    @property
    def rules_with_ids(self) -> list[tuple[Rule, str]]:
        return [(rule, method) for rule, method in self.rules if rule.arguments]

    def ask(self, method: str, path: str, tenant: str = OURS) -> tuple[TestResponse, list[str]]:
        """Return the answer, and the calls that it took."""
        self.world.calls.clear()
        response = self.client.open(path, method=method, headers={**self.keys[tenant], **RE_ASKED}, buffered=True)
        return response, list(self.world.calls)

    def queries(self) -> Iterator[str]:
        """Every path without a parameter that can be asked for an id, up to that."""
        for path, operations in self.client.get("/openapi.json").get_json()["paths"].items():
            for parameter in operations.get("get", {}).get("parameters", ()):
                if parameter["in"] == "query" and "{" not in path:
                    yield f"{path}?{parameter['name']}="


@pytest.fixture
def walk() -> Iterator[Walk]:
    world = World()
    keys = {tenant: bearer(make_key(world.kept, tenant)) for tenant in (OURS, THEIRS)}
    ours = populate(world, OURS, "our-own")
    time.sleep(LATER_S)
    theirs = populate(world, THEIRS, MARK)
    waiters = Waiters(world.records, places=2)
    with create_app(Services(world.jobs, world.desk, waiters, world.settings)).test_client() as client:
        walk = Walk(world, client, theirs, ours, keys)
        walk.ask("GET", "/v1/measurements")  # the keys are read
        yield walk


def path_of(rule: Rule, thing_id: str) -> str:
    return re.sub("<[^>]+>", thing_id, rule.rule)


def never(thing: Thing) -> str:
    """An id of the same form that nothing ever had."""
    match thing.kind:
        case "job":
            return new_job_id()
        case "batch":
            return new_batch_id()
        case "delivery":
            return a_delivery(system_clock).id
        case _:
            return "x" * len(thing.id)


def shown(response: TestResponse, asked_for: str) -> tuple[int, str, list[tuple[str, str]]]:
    """All that is told, with the id that was asked for taken out."""
    headers = sorted((name, value.replace(asked_for, "ID")) for name, value in response.headers)
    return response.status_code, response.text.replace(asked_for, "ID"), headers


def without(calls: list[str], asked_for: str) -> list[str]:
    return [call.replace(asked_for, "ID") for call in calls]


def walked_pairs(walk: Walk, *, unavailable: frozenset[str] = frozenset()) -> int:
    """Ask every route for every thing of theirs, and for one that never was; return how many pairs these are."""
    pairs = 0
    for rule, method in walk.rules_with_ids:
        for thing in walk.theirs:
            answers, steps = [], []
            for asked_for in (thing.id, never(thing)):
                response, calls = walk.ask(method, path_of(rule, asked_for))
                answers.append(shown(response, asked_for))
                steps.append(without(calls, asked_for))
            where = f"{method} {rule.rule} with their {thing.what}"
            assert answers[0] == answers[1], where
            assert steps[0] == steps[1], where
            assert answers[0][0] == 404 or thing.kind in unavailable, (where, answers[0])
            pairs += 1
    return pairs


def test_no_route_has_a_parameter_that_is_not_known_here(walk: Walk) -> None:
    unknown = {name for rule, _ in walk.rules_with_ids for name in rule.arguments} - KIND_OF_PARAMETER.keys()
    assert not unknown, "say in KIND_OF_PARAMETER what it is, and make one in tests/tenants.py"


def listed_pairs(walk: Walk) -> int:
    """Ask every list for theirs by every query it takes; return how many pairs these are."""
    pairs = 0
    for query in walk.queries():
        for thing in walk.theirs:
            answers, steps = [], []
            for asked_for in (thing.id, never(thing)):
                response, calls = walk.ask("GET", query + asked_for)
                answers.append(shown(response, asked_for))
                steps.append(without(calls, asked_for))
            assert answers[0] == answers[1], (query, thing)
            assert steps[0] == steps[1], (query, thing)
            check_nothing_told(answers[0][1], walk, query)
            pairs += 1
    return pairs


def plain_pairs(walk: Walk) -> int:
    """Read whatever can be read without an id; return how many pairs with their things these are."""
    pairs = 0
    for rule, method in walk.rules:
        if method == "GET" and not rule.arguments:
            response, _ = walk.ask(method, rule.rule)
            assert response.status_code == 200, rule.rule
            check_nothing_told(response.text, walk, rule.rule)
            pairs += len(walk.theirs)
    return pairs


def check_nothing_told(text: str, walk: Walk, where: str) -> None:
    for told in (MARK, THEIRS, *(thing.id for thing in walk.theirs)):
        assert told not in text, (where, told)


def test_what_is_anothers_is_as_what_never_was(walk: Walk) -> None:
    before = walk.world.everything()
    pairs = walked_pairs(walk)
    pairs += listed_pairs(walk)
    pairs += plain_pairs(walk)
    assert walk.world.everything() == before
    [documented] = re.findall(r"\*\*([\d,]+) pairs\*\*", PAGE.read_text())
    assert documented == f"{pairs:,}", f"docs/tenants.md: it is {pairs:,} now"


def test_nor_is_there_a_difference_while_records_are_rebuilt_from_storage(walk: Walk) -> None:
    before = walk.world.everything()
    walk.world.lose_records()
    assert walked_pairs(walk, unavailable=frozenset({"delivery"})) > 100
    assert walk.world.everything() == before
    owner, _ = walk.ask("GET", f"/v1/jobs/{walk.theirs[0].id}", THEIRS)
    assert owner.status_code == 200  # so the walk did look in storage


def test_their_owner_is_answered_at_every_route(walk: Walk) -> None:
    """Otherwise the walk would show nothing."""
    last = sorted(walk.rules_with_ids, key=lambda entry: (entry[1] == "DELETE", entry[1] == "POST"))
    for rule, method in last:
        [parameter] = rule.arguments
        things = [thing for thing in walk.theirs if thing.kind in KIND_OF_PARAMETER[parameter].split(" or ")]
        statuses = {walk.ask(method, path_of(rule, thing.id), THEIRS)[0].status_code for thing in things}
        assert statuses - {404}, (method, rule.rule)
        assert max(statuses) < 500, (method, rule.rule)


def test_every_list_shows_its_owner_something(walk: Walk) -> None:
    for path in ("/v1/jobs", "/v1/batches", "/v1/deliveries", "/v1/webhooks/targets"):
        for tenant, things in ((OURS, walk.ours), (THEIRS, walk.theirs)):
            listed = walk.ask("GET", f"{path}?limit=100" * ("targets" not in path) or path, tenant)[0].get_json()[
                "data"
            ]
            ids = {entry.get("id", entry.get("delivery_id")) for entry in listed}
            assert ids, path
            assert ids & {thing.id for thing in things}, path
    assert {is_delivery_id(thing.id) for thing in walk.theirs} == {True, False}


def test_pages_of_a_list_end_with_ones_own(walk: Walk) -> None:
    seen, cursor = set(), ""
    while True:
        page = walk.ask("GET", f"/v1/jobs?limit=1{cursor}")[0].get_json()
        seen |= {entry["id"] for entry in page["data"]}
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen.isdisjoint({thing.id for thing in walk.theirs})
    assert len(seen) > 5


def submit(walk: Walk, tenant: str, path: str, key: str, **body: Any) -> TestResponse:
    headers = {**walk.keys[tenant], "Idempotency-Key": key}
    return walk.client.post(path, headers=headers, **(body or {"data": JPEG, "content_type": "image/jpeg"}))


ITEMS = {"items": [{"reference": "a", "size": 10, "content_type": "image/jpeg"}]}


@pytest.mark.parametrize(("path", "body"), [("/v1/jobs", {}), ("/v1/batches", {"json": ITEMS})])
def test_the_same_idempotency_key_of_two_tenants_is_two_keys(walk: Walk, path: str, body: dict[str, Any]) -> None:
    theirs, again, ours = (submit(walk, tenant, path, "the same", **body) for tenant in (THEIRS, THEIRS, OURS))
    assert again.get_json()["id"] == theirs.get_json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ours.get_json()["id"] != theirs.get_json()["id"]
    assert "Idempotent-Replayed" not in ours.headers
    # Nor does it matter that it was used for something else.
    other = {"json": {"image_url": "https://photos.example/a.jpg"}}
    if path == "/v1/jobs":
        assert submit(walk, THEIRS, path, "used for a photo").status_code == 202
        assert submit(walk, OURS, path, "used for a photo", **other).status_code == 202
        assert submit(walk, THEIRS, path, "used for a photo", **other).status_code == 422


def test_a_secret_is_a_tenants_own(walk: Walk) -> None:
    secrets = {tenant: walk.world.desk.secrets.signing(tenant, "") for tenant in (OURS, THEIRS)}
    made = walk.ask("POST", "/v1/webhooks/secret")[0].get_json()["secret"]
    assert walk.world.desk.secrets.signing(THEIRS, "another") == secrets[THEIRS]
    assert walk.world.desk.secrets.signing(OURS, "another")[0] == made
    assert made not in secrets[THEIRS]


def test_a_disabled_target_is_disabled_for_its_tenant_alone(walk: Walk) -> None:
    for tenant, things in ((OURS, walk.ours), (THEIRS, walk.theirs)):
        [target] = walk.ask("GET", "/v1/webhooks/targets", tenant)[0].get_json()["data"]
        assert target["delivery_id"] in {thing.id for thing in things}
