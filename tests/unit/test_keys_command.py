"""`python -m api.keys`, over storage in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson
import pytest

from api.keys import KeyCommand, parser
from shared.errors import KeyRefused
from shared.keys.archive import KeyArchive
from shared.keys.ring import Keyring
from shared.keys.token import new_token
from shared.storage.memory import MemoryObjectStore
from tests.clock import FakeClock

DAY_MS = 86_400_000


@dataclass
class Terminal:
    clock: FakeClock = field(default_factory=FakeClock)
    objects: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    said: list[str] = field(default_factory=list)
    code: int = 0

    def __call__(self, *arguments: str) -> str:
        self.said = []
        command = KeyCommand(KeyArchive(self.objects), self.clock, self.said.append)
        self.code = command.run(parser(self.clock).parse_args(arguments))
        return "\n".join(self.said)

    def opens(self, text: str) -> str | None:
        ring = Keyring(KeyArchive(self.objects), refresh_s=1, max_age_s=2, clock=self.clock)
        try:
            return ring.tenant_of(text)
        except KeyRefused:
            return None


@pytest.fixture
def keys() -> Terminal:
    return Terminal()


def create(keys: Terminal, *more: str) -> str:
    return keys("create", "--tenant", "acme", "--name", "portal of acme", *more)


def key_id(keys: Terminal) -> str:
    return str(orjson.loads(keys("list", "--json"))[0]["id"])


def test_a_key_is_shown_once(keys: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    text = create(keys)
    assert keys.opens(text) == "acme"
    assert text not in capsys.readouterr().err
    for listed in (keys("list"), keys("list", "--json")):
        assert "portal of acme" in listed
        assert text.rsplit("_", 1)[1] not in listed
        assert "sha256" not in listed


def test_a_key_as_json(keys: Terminal) -> None:
    made = orjson.loads(create(keys, "--json"))
    assert keys.opens(made.pop("key")) == "acme"
    assert made == orjson.loads(keys("list", "--json"))[0]


def test_revoking(keys: Terminal) -> None:
    text = create(keys)
    assert "revoked" in keys("revoke", key_id(keys))
    assert keys.opens(text) is None
    assert orjson.loads(keys("list", "--json"))[0]["state"] == "revoked"


@pytest.mark.parametrize(("when", "after_ms"), [("90d", 90 * DAY_MS), ("12h", DAY_MS // 2), ("30m", 1_800_000)])
def test_a_key_that_ends_by_itself(keys: Terminal, when: str, after_ms: int) -> None:
    text = create(keys, "--expires", when)
    keys.clock.now_ms += after_ms - 1
    assert keys.opens(text) == "acme"
    keys.clock.now_ms += 1
    assert keys.opens(text) is None
    assert orjson.loads(keys("list", "--json"))[0]["state"] == "expired"


def test_a_date_is_its_first_moment_in_utc(keys: Terminal) -> None:
    create(keys, "--expires", "2100-01-01")
    assert orjson.loads(keys("list", "--json"))[0]["expires"] == "2100-01-01T00:00:00Z"


def test_an_end_can_be_brought_forward_and_not_put_off(keys: Terminal) -> None:
    text = create(keys, "--expires", "2d")
    keys("expire", key_id(keys), "1d")
    keys("expire", key_id(keys), "9d")
    keys.clock.now_ms += DAY_MS
    assert keys.opens(text) is None


def test_expiring_now(keys: Terminal) -> None:
    text = create(keys)
    keys("expire", key_id(keys))
    assert keys.opens(text) is None


def test_a_key_that_is_not_there(keys: Terminal) -> None:
    for command in ("revoke", "expire"):
        assert "no key" in keys(command, new_token().key_id)
        assert keys.code == 1


def test_the_keys_of_one_tenant(keys: Terminal) -> None:
    create(keys)
    keys("create", "--tenant", "other", "--name", "x")
    assert [entry["tenant"] for entry in orjson.loads(keys("list", "--json", "--tenant", "other"))] == ["other"]
    assert len(keys("list").splitlines()) == 3


def test_a_key_that_cannot_be_read_is_told_by_the_code(keys: Terminal) -> None:
    create(keys)
    keys.objects.put(f"keys/{new_token().key_id}/made", b"?")
    keys("list")
    assert (keys.code, len(keys.said)) == (1, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        ["create", "--tenant", "acme"],
        ["create", "--tenant", "Acme", "--name", "x"],
        ["create", "--tenant", "a/b", "--name", "x"],
        ["create", "--tenant", "-a", "--name", "x"],
        ["create", "--tenant", "a" * 64, "--name", "x"],
        ["create", "--tenant", "", "--name", "x"],
        ["create", "--tenant", "acme", "--name", ""],
        ["create", "--tenant", "acme", "--name", "two\nlines"],
        ["create", "--tenant", "acme", "--name", "x" * 65],
        ["create", "--tenant", "acme", "--name", "x", "--expires", "soon"],
        ["create", "--tenant", "acme", "--name", "x", "--expires", "2020-01-01"],
        ["create", "--tenant", "acme", "--name", "x", "--expires", "0d"],
        ["expire", "key_x", "yesterday"],
        ["revoke"],
        [],
    ],
)
def test_what_is_refused(keys: Terminal, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        keys(*wrong)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
    assert not KeyArchive(keys.objects).any()


@pytest.mark.parametrize("when", ["999999d", "9999-12-31"])
def test_an_end_that_could_not_be_kept_is_refused(keys: Terminal, when: str) -> None:
    create(keys, "--expires", "2d")
    with pytest.raises(SystemExit):
        keys("expire", key_id(keys), when)
    assert [key["state"] for key in orjson.loads(keys("list", "--json"))] == ["active"]
