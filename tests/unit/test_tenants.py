"""Limits that are set for one tenant: the command, and how processes come to know of them."""

from __future__ import annotations

import pytest

from api.tenants import run
from shared.admission.limits import OwnLimits, TenantLimits
from shared.admission.tenants import REMEMBERED_S, LimitsInForce, TenantBook
from shared.config import Settings
from shared.storage.memory import MemoryObjectStore
from tests.clock import FakeClock

SETTINGS = Settings(limit_photos_per_minute=600, limit_open_jobs=10, limit_bytes_per_day=0, limit_open_batches=3)


@pytest.fixture
def objects() -> MemoryObjectStore:
    return MemoryObjectStore()


def in_force(objects: MemoryObjectStore, clock: FakeClock) -> LimitsInForce:
    return LimitsInForce(objects, SETTINGS, clock)


def test_the_command_sets_shows_and_lists(objects: MemoryObjectStore) -> None:
    assert "no tenant" in run(["list"], objects, SETTINGS)
    said = run(["set", "acme", "--photos-per-minute", "60", "--open-jobs", "0"], objects, SETTINGS)
    assert "photos_per_minute               60  (its own)" in said
    assert "open_jobs                 no limit  (its own)" in said
    assert "open_batches                     3  (settings)" in said
    assert run(["show", "acme"], objects, SETTINGS) in said
    run(["set", "beta", "--open-batches", "9"], objects, SETTINGS)
    listed = run(["list"], objects, SETTINGS)
    assert [line for line in listed.splitlines() if not line.startswith(" ")] == ["acme", "beta"]


def test_what_is_set_leaves_the_rest_as_it_was_and_can_be_taken_back(objects: MemoryObjectStore) -> None:
    run(["set", "acme", "--photos-per-minute", "60", "--open-jobs", "7"], objects, SETTINGS)
    run(["set", "acme", "--photos-per-minute", "settings", "--bytes-per-day", "5"], objects, SETTINGS)
    assert TenantBook(objects).own_limits("acme") == OwnLimits(open_jobs=7, bytes_per_day=5)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["set"],
        ["set", "../acme"],
        ["show", "A"],
        ["set", "acme", "--open-jobs", "-1"],
        ["set", "acme", "--open-jobs", "²"],
        ["set", "acme", "--open-jobs", "many"],
    ],
)
def test_what_the_command_does_not_understand_changes_nothing(objects: MemoryObjectStore, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        run(arguments, objects, SETTINGS)
    assert list(objects.list("")) == []


def test_what_is_set_holds_within_seconds(objects: MemoryObjectStore) -> None:
    clock = FakeClock()
    limits = in_force(objects, clock)
    assert limits.of("acme").photos_per_minute == 600
    TenantBook(objects).set("acme", OwnLimits(photos_per_minute=1))
    assert limits.of("acme").photos_per_minute == 600
    assert limits.of("beta").photos_per_minute == 600
    clock.advance(REMEMBERED_S)
    assert limits.of("acme") == TenantLimits(photos_per_minute=1, open_jobs=10, open_batches=3)
    assert limits.of("beta").photos_per_minute == 600


def test_while_storage_is_away_limits_are_those_that_were_known(objects: MemoryObjectStore) -> None:
    clock = FakeClock()
    limits = in_force(objects, clock)
    TenantBook(objects).set("acme", OwnLimits(photos_per_minute=1))
    assert limits.of("acme").photos_per_minute == 1
    objects.away = True
    clock.advance(REMEMBERED_S)
    assert limits.of("acme").photos_per_minute == 1
    assert limits.of("beta").photos_per_minute == 600


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"open_jobs": -1}', b'{"open_cars": 1}', b'{"open_jobs": "x"}'])
def test_what_cannot_be_read_changes_nothing(objects: MemoryObjectStore, body: bytes) -> None:
    clock = FakeClock()
    limits = in_force(objects, clock)
    TenantBook(objects).set("acme", OwnLimits(photos_per_minute=1))
    assert limits.of("acme").photos_per_minute == 1
    objects.put("tenants/acme", body)
    clock.advance(REMEMBERED_S)
    assert limits.of("acme").photos_per_minute == 1


def test_the_tenant_without_keys_can_have_limits_too(objects: MemoryObjectStore) -> None:
    limits = LimitsInForce(objects, Settings(), FakeClock())
    TenantBook(objects).set("local", OwnLimits(open_jobs=4))
    assert limits.of("local") == TenantLimits(open_jobs=4)
