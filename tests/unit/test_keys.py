"""Keys: their text, how they lie in storage, and what a process knows of them while storage comes and goes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import KeyRefused, KeysUnavailable, StorageUnavailable
from shared.keys.archive import KeyArchive
from shared.keys.record import ApiKey, KeyState
from shared.keys.ring import Keyring
from shared.keys.token import Token, new_token, read_token
from shared.storage.base import ObjectInfo
from shared.storage.memory import MemoryObjectStore
from tests.clock import FakeClock
from tests.keys import make_key

REFRESH_S = 5.0
MAX_AGE_S = 60.0


class CountingStore(MemoryObjectStore):
    def __init__(self) -> None:
        super().__init__()
        self.listed = 0
        self.read: list[str] = []

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.listed += 1
        return super().list(prefix)

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        self.read.append(key)
        return super().get(key, first_bytes=first_bytes)


class Bench:
    """A ring over storage, with a clock for expiry and one for ages."""

    def __init__(self) -> None:
        self.objects = CountingStore()
        self.archive = KeyArchive(self.objects)
        self.clock = FakeClock()
        self.now_s = 1000.0
        self.ring = Keyring(
            self.archive, refresh_s=REFRESH_S, max_age_s=MAX_AGE_S, clock=self.clock, monotonic=lambda: self.now_s
        )

    def make(self, tenant: str = "acme", expires_ms: int | None = None) -> Token:
        return make_key(self.objects, tenant, clock=self.clock, expires_ms=expires_ms)

    def is_refused(self, text: str | None) -> bool:
        try:
            self.ring.tenant_of(text)
        except KeyRefused:
            return True
        return False


@pytest.fixture
def bench() -> Bench:
    return Bench()


# The text


def test_a_key_comes_back_from_its_text() -> None:
    token = new_token()
    assert read_token(token.text) == token
    assert token.text.startswith("ffk_")
    assert token.key_id.startswith("key_")


def test_no_two_keys_are_alike_and_none_shows_its_secret() -> None:
    tokens = [new_token() for _ in range(100)]
    assert len({token.secret for token in tokens}) == len({token.key_id for token in tokens}) == 100
    assert all(token.secret not in repr(token) for token in tokens)
    assert all(token.secret not in token.secret_sha256 for token in tokens)


@given(st.text())
def test_other_texts_are_no_keys(text: str) -> None:
    assert read_token(text) is None


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text[:-1], lambda text: text + "a", lambda text: text + "\n"]
)
def test_a_key_that_is_nearly_right_is_none(change: object) -> None:
    assert callable(change)
    assert read_token(change(new_token().text)) is None


# In storage


def test_what_is_stored_has_no_secret(bench: Bench) -> None:
    token = bench.make()
    stored = {info.key: bench.objects.get(info.key) for info in bench.objects.list("")}
    assert [key for key in stored if not key.startswith("keys/")] == []
    assert all(token.secret.encode() not in body for body in stored.values())
    assert all(token.secret not in key for key in stored)
    [key] = bench.archive.all().values()
    assert key == ApiKey(token.key_id, "acme", "test", token.secret_sha256, bench.clock())
    assert token.secret_sha256 not in repr(key)


def test_a_key_that_is_not_there_cannot_be_ended(bench: Bench) -> None:
    for key_id in (new_token().key_id, "key_", "", "../x"):
        assert not bench.archive.revoke(key_id, 1)
        assert not bench.archive.expire(key_id, 1)
    assert not bench.archive.any()


ORDERS = list(itertools.permutations(["revoke", "expire sooner", "expire later"]))


@pytest.mark.parametrize("order", ORDERS)
def test_changes_in_any_order_come_to_the_same(bench: Bench, order: tuple[str, ...]) -> None:
    key_id, now = bench.make(expires_ms=bench.clock() + 5000).key_id, bench.clock()
    for change in order:
        match change:
            case "revoke":
                assert bench.archive.revoke(key_id, now + 2)
            case "expire sooner":
                assert bench.archive.expire(key_id, now + 3000)
            case _:
                assert bench.archive.expire(key_id, now + 9000)
    key = bench.archive.all()[key_id]
    assert key is not None
    assert (key.expires_ms, key.revoked_ms, key.state(now)) == (now + 3000, now + 2, KeyState.REVOKED)


def test_a_revocation_is_not_lost_to_changes_at_the_same_time(bench: Bench) -> None:
    key_id = bench.make().key_id
    revoke = threading.Thread(target=bench.archive.revoke, args=(key_id, 1))
    others = [threading.Thread(target=bench.archive.expire, args=(key_id, time_ms)) for time_ms in range(10, 60)]
    for thread in (*others[:25], revoke, *others[25:]):
        thread.start()
    for thread in (*others, revoke):
        thread.join()
    key = bench.archive.all()[key_id]
    assert key is not None
    assert (key.revoked_ms, key.expires_ms) == (1, 10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"not json",
        orjson.dumps({"tenant": "../x", "name": "n", "secret_sha256": "0" * 64, "created_ms": 1, "expires_ms": None}),
        orjson.dumps({"tenant": "acme", "name": "n", "secret_sha256": "", "created_ms": 1, "expires_ms": None}),
        orjson.dumps({"tenant": "acme", "name": "n", "secret_sha256": "0" * 64, "created_ms": "x", "expires_ms": None}),
    ],
)
def test_a_damaged_key_closes_the_door_and_opens_nothing(bench: Bench, body: bytes) -> None:
    token = new_token()
    bench.objects.put(f"keys/{token.key_id}/made", body)
    assert bench.archive.all() == {token.key_id: None}
    assert bench.is_refused(token.text)
    assert bench.is_refused(None)


@pytest.mark.parametrize("key", ["keys/x", "keys/a/b/c", "keys/key_0123456789abcdefghjkmnpqrs/of a later version"])
def test_whatever_lies_among_the_keys_closes_the_door(bench: Bench, key: str) -> None:
    bench.objects.put(key, b"")
    assert bench.archive.any()
    assert bench.is_refused(None)


# What a process knows


def test_without_keys_everybody_is_local(bench: Bench) -> None:
    assert not bench.ring.is_open  # not known yet
    assert bench.ring.tenant_of(None) == "local"
    assert bench.ring.is_open
    assert bench.is_refused(new_token().text)


def test_a_key_lets_its_tenant_in(bench: Bench) -> None:
    acme, other = bench.make("acme"), bench.make("other")
    assert bench.ring.tenant_of(acme.text) == "acme"
    assert bench.ring.tenant_of(other.text) == "other"
    assert not bench.ring.is_open


def test_what_is_refused(bench: Bench) -> None:
    token, revoked = bench.make(), bench.make()
    expired = bench.make(expires_ms=bench.clock() + 1000)
    bench.archive.revoke(revoked.key_id, bench.clock())
    bench.clock.advance(1.0)
    with_secret_of_another = Token(token.key_id, new_token().secret)
    for text in (None, "", "x", token.text[:-1], revoked.text, expired.text, with_secret_of_another.text):
        assert bench.is_refused(text), text
    assert bench.is_refused(new_token().text)


def test_a_key_expires_at_its_moment_without_storage(bench: Bench) -> None:
    token = bench.make(expires_ms=bench.clock() + 1000)
    assert bench.ring.tenant_of(token.text) == "acme"
    bench.objects.away = True
    bench.clock.advance(0.999)
    assert bench.ring.tenant_of(token.text) == "acme"
    bench.clock.advance(0.001)
    assert bench.is_refused(token.text)


def test_a_revoked_key_is_refused_after_the_next_reading(bench: Bench) -> None:
    token = bench.make()
    assert bench.ring.tenant_of(token.text) == "acme"
    bench.archive.revoke(token.key_id, bench.clock())
    bench.now_s += REFRESH_S - 0.1
    assert bench.ring.tenant_of(token.text) == "acme"
    bench.now_s += 0.1
    assert bench.is_refused(token.text)


def test_revoking_the_last_key_does_not_open_the_door(bench: Bench) -> None:
    token = bench.make()
    bench.archive.revoke(token.key_id, bench.clock())
    assert bench.is_refused(None)
    assert bench.is_refused(token.text)


def test_the_first_key_closes_the_door(bench: Bench) -> None:
    assert bench.ring.tenant_of(None) == "local"
    token = bench.make()
    bench.now_s += REFRESH_S
    assert bench.is_refused(None)
    assert bench.ring.tenant_of(token.text) == "acme"


def test_a_new_key_is_looked_for_but_not_without_a_pause(bench: Bench) -> None:
    bench.make()
    assert bench.is_refused(None)
    new = bench.make("new")
    bench.now_s += 1.0
    assert bench.ring.tenant_of(new.text) == "new"
    listed = bench.objects.listed
    for _ in range(100):
        assert bench.is_refused(new_token().text)
    assert bench.objects.listed == listed


def test_a_reading_reads_what_is_new_alone(bench: Bench) -> None:
    tokens = [bench.make() for _ in range(5)]
    assert bench.is_refused(None)
    assert len(bench.objects.read) == 5
    bench.archive.revoke(tokens[0].key_id, 1)
    new = bench.make()
    bench.now_s += REFRESH_S
    assert bench.is_refused(tokens[0].text)
    assert bench.objects.read[5:] == [f"keys/{new.key_id}/made"]
    assert bench.objects.listed == 2


def test_nobody_is_let_in_before_the_keys_are_known(bench: Bench) -> None:
    token = bench.make()
    bench.objects.away = True
    for text in (None, token.text, "x"):
        with pytest.raises(KeysUnavailable):
            bench.ring.tenant_of(text)
    bench.objects.away = False
    assert bench.ring.tenant_of(token.text) == "acme"


def test_the_last_keys_stay_in_force_for_a_while(bench: Bench) -> None:
    token = bench.make()
    assert bench.ring.tenant_of(token.text) == "acme"
    bench.objects.away = True
    bench.now_s += MAX_AGE_S
    assert bench.ring.tenant_of(token.text) == "acme"
    assert bench.is_refused(None)
    bench.now_s += 0.1
    with pytest.raises(KeysUnavailable):
        bench.ring.tenant_of(token.text)
    bench.objects.away = False
    bench.now_s += REFRESH_S
    assert bench.ring.tenant_of(token.text) == "acme"


def test_storage_that_is_away_is_not_asked_at_every_request(bench: Bench) -> None:
    token = bench.make()
    assert bench.ring.tenant_of(token.text) == "acme"
    bench.objects.away = True
    bench.now_s += REFRESH_S
    listed = bench.objects.listed
    for _ in range(50):
        assert bench.ring.tenant_of(token.text) == "acme"
    assert bench.objects.listed == listed + 1


def test_keys_that_vanish_leave_the_door_closed(bench: Bench) -> None:
    token = bench.make()
    assert bench.ring.tenant_of(token.text) == "acme"
    stored = {info.key: bench.objects.get(info.key) for info in list(bench.objects.list("keys/"))}
    for key in stored:
        bench.objects.delete(key)
    bench.now_s += REFRESH_S
    assert bench.is_refused(None)
    assert bench.is_refused(token.text)
    for key, body in stored.items():
        bench.objects.put(key, body)
    bench.now_s += REFRESH_S
    assert bench.ring.tenant_of(token.text) == "acme"


class SlowStore(MemoryObjectStore):
    """A store whose listings hang until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        if not self.go.wait(60):
            raise StorageUnavailable(prefix)
        return super().list(prefix)


def test_a_store_that_hangs_holds_nobody_for_long() -> None:
    objects = SlowStore()
    objects.go.set()
    token = make_key(objects, "acme")
    now_s = [0.0]
    ring = Keyring(KeyArchive(objects), refresh_s=REFRESH_S, max_age_s=MAX_AGE_S, monotonic=lambda: now_s[0])
    assert ring.tenant_of(token.text) == "acme"
    objects.go.clear()
    now_s[0] = REFRESH_S
    began = threading.Event()

    def ask() -> None:
        began.set()
        ring.tenant_of(token.text)

    waiting = threading.Thread(target=ask)
    waiting.start()
    began.wait()
    waiting.join(30)
    assert not waiting.is_alive()
    now_s[0] += 10.0  # the same reading still hangs: nobody waits for it any more
    assert ring.tenant_of(token.text) == "acme"
    objects.go.set()


def test_many_threads_at_the_start_read_once(bench: Bench) -> None:
    token = bench.make()
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(bench.ring.tenant_of(token.text))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["acme"] * 16
    assert bench.objects.listed == 1
