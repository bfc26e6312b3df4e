"""`python -m api.keys`: makes, lists, ends and revokes API keys, in the storage that the settings name."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.clock import Clock, from_ms, system_clock, to_ms
from shared.config import Settings
from shared.errors import ConfigurationError, StorageUnavailable
from shared.keys.archive import KeyArchive
from shared.keys.record import ApiKey
from shared.keys.token import new_token
from shared.names import is_tenant
from shared.storage.s3 import S3ObjectStore

EXIT_FAILED: Final = 1

_UNITS_S: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(\d{1,6})([mhd])")
_LATEST_MS: Final = 10**13 - 1
"""In the year 2286: times are kept with thirteen digits."""
_NAME: Final = re.compile(r"[^\W_](?:[\w .,@/-]{0,62}\w)?")
_COLUMNS: Final = ("id", "tenant", "name", "created", "expires", "revoked", "state")

Arguments = argparse.Namespace
Say = Callable[[str], None]


class KeyCommand:
    """What can be done to keys, each returning an exit code."""

    def __init__(self, archive: KeyArchive, clock: Clock, say: Say) -> None:
        self._archive = archive
        self._clock = clock
        self._say = say

    def run(self, given: Arguments) -> int:
        """Do what was asked for."""
        code: int = getattr(self, given.command)(given)
        return code

    def create(self, given: Arguments) -> int:
        """Make a key and show it, this once."""
        token, now = new_token(), self._clock()
        key = ApiKey(token.key_id, given.tenant, given.name, token.secret_sha256, now, given.expires)
        self._archive.create(key)
        if given.json:
            self._say(orjson.dumps({**self._shown(key), "key": token.text}).decode())
        else:
            self._say(token.text)
            print(f"{key.id} of {key.tenant}: shown this once, kept by nobody else", file=sys.stderr)  # noqa: T201
        return 0

    def list(self, given: Arguments) -> int:
        """Show all keys, without their secrets."""
        found = self._archive.all()
        rows = [self._shown(key) for key in found.values() if key and given.tenant in {None, key.tenant}]
        if given.json:
            self._say(orjson.dumps(rows).decode())
        else:
            for line in _table([_COLUMNS, *([str(row[column] or "-") for column in _COLUMNS] for row in rows)]):
                self._say(line)
        return EXIT_FAILED if None in found.values() else 0

    def revoke(self, given: Arguments) -> int:
        """End a key for good."""
        return self._told(self._archive.revoke(given.id, self._clock()), given.id, "revoked")

    def expire(self, given: Arguments) -> int:
        """Have a key end at a time."""
        at_ms = self._clock() if given.when is None else given.when
        return self._told(self._archive.expire(given.id, at_ms), given.id, f"ends {_text(at_ms)} at the latest")

    def _told(self, is_done: bool, key_id: str, what: str) -> int:
        self._say(
            f"{key_id} {what}; it may take some seconds to be known everywhere" if is_done else f"no key {key_id}"
        )
        return 0 if is_done else EXIT_FAILED

    def _shown(self, key: ApiKey) -> dict[str, Any]:
        return {
            "id": key.id,
            "tenant": key.tenant,
            "name": key.name,
            "created": _text(key.created_ms),
            "expires": _text(key.expires_ms),
            "revoked": _text(key.revoked_ms),
            "state": key.state(self._clock()),
        }


def _text(time_ms: int | None) -> str | None:
    return None if time_ms is None else from_ms(time_ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def parser(clock: Clock = system_clock) -> argparse.ArgumentParser:
    """Return what reads the command line."""

    def when(text: str) -> int:
        return _when(text, clock())

    made = argparse.ArgumentParser(prog="python -m api.keys", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--tenant", type=_tenant, required=True, help="whose photos it opens; made by its first key")
    create.add_argument("--name", type=_name, required=True, help="what you call it: who holds it")
    create.add_argument("--expires", type=when, help="90d, 12h, 30m, or a date such as 2027-06-30; never by default")
    create.add_argument("--json", action="store_true")
    listing = commands.add_parser("list", help="all keys, revoked ones too, without their secrets")
    listing.add_argument("--tenant", type=_tenant)
    listing.add_argument("--json", action="store_true")
    revoke = commands.add_parser("revoke", help="end a key now, for good")
    revoke.add_argument("id", help="key_…, as listed")
    expire = commands.add_parser("expire", help="have a key end at a time, if it does not end before")
    expire.add_argument("id", help="key_…, as listed")
    expire.add_argument("when", nargs="?", type=when, help="as --expires; now by default")
    return made


def _tenant(text: str) -> str:
    if not is_tenant(text):
        message = f"{text!r}: a tenant is up to 63 of a-z, 0-9 and -, the first no -"
        raise argparse.ArgumentTypeError(message)
    return text


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        message = f"{text!r}: a name is up to 64 letters, digits, spaces and . , @ / - _"
        raise argparse.ArgumentTypeError(message)
    return text


def _when(text: str, now_ms: int) -> int:
    """Return the time that a duration from now, or a date, or a time is."""
    if found := _DURATION.fullmatch(text):
        at_ms = now_ms + to_ms(int(found[1]) * _UNITS_S[found[2]])
    else:
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            message = f"{text!r} is neither a duration such as 90d nor a date such as 2027-06-30"
            raise argparse.ArgumentTypeError(message) from None
        at_ms = to_ms((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    if at_ms > _LATEST_MS:
        message = f"{text} is later than an end may be; leave it out for a key that has none"
        raise argparse.ArgumentTypeError(message)
    if at_ms <= now_ms:
        message = f"{text} is not in the future"
        raise argparse.ArgumentTypeError(message)
    return at_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command over real storage and return its exit code."""
    given = parser().parse_args(arguments)
    settings = Settings()
    objects = S3ObjectStore(settings)
    try:
        if given.command == "create":  # perhaps before the service has ever run
            objects.prepare(create_bucket=settings.s3_create_bucket)
        return KeyCommand(KeyArchive(objects), system_clock, print).run(given)
    except (ConfigurationError, StorageUnavailable) as error:
        print(f"facefit: {error}", file=sys.stderr)  # noqa: T201 - it speaks to a person at a terminal
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
