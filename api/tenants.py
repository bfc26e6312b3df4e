"""Limits of tenants: `python -m api.tenants set acme --photos-per-minute 60`, `show acme`, `list`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from shared.admission.limits import OwnLimits, TenantLimits
from shared.admission.tenants import REMEMBERED_S, TenantBook
from shared.config import Settings
from shared.errors import StorageUnavailable, UnreadableObject
from shared.names import is_tenant
from shared.storage.base import ObjectStore
from shared.storage.s3 import S3ObjectStore

_SETTINGS: Final = "settings"
"""What is given for a limit that is to follow the settings again."""


def run(arguments: Sequence[str], objects: ObjectStore, settings: Settings) -> str:
    """Do what a command line asks for; return what it says.

    Raises
    ------
    SystemExit
        If it cannot be understood.
    StorageUnavailable, UnreadableObject
    """
    asked = _parser().parse_args(arguments)
    book = TenantBook(objects)
    if asked.command == "list":
        return (
            "\n".join(_told(book, settings, tenant) for tenant in book.tenants()) or "no tenant has limits of its own"
        )
    if asked.command == "set":
        given = {name: value for name in OwnLimits.model_fields if (value := getattr(asked, name)) is not None}
        own = book.own_limits(asked.tenant).model_dump() | given
        book.set(asked.tenant, OwnLimits(**{name: value for name, value in own.items() if value != _SETTINGS}))
        return f"{_told(book, settings, asked.tenant)}\nin force everywhere within {REMEMBERED_S:g} s"
    return _told(book, settings, asked.tenant)


def _told(book: TenantBook, settings: Settings, tenant: str) -> str:
    own = book.own_limits(tenant)
    limits = TenantLimits.by_settings(settings, tenant).with_own(own)
    lines = [tenant]
    for name, limit in limits:
        whose = _SETTINGS if getattr(own, name) is None else "its own"
        lines.append(f"  {name:<18} {limit or 'no limit':>15}  ({whose})")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api.tenants", description="Limits of tenants.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("set", "set some limits of a tenant"), ("show", "show the limits of a tenant")):
        command = commands.add_parser(name, help=what)
        command.add_argument("tenant", type=_tenant)
        if name == "set":
            for limit in OwnLimits.model_fields:
                flag = "--" + limit.replace("_", "-")
                command.add_argument(flag, type=_limit, metavar="N", help=f"0: no limit; {_SETTINGS}: what these say")
    commands.add_parser("list", help="show every tenant that has limits of its own")
    return parser


def _tenant(text: str) -> str:
    if not is_tenant(text):
        raise argparse.ArgumentTypeError("the name of a tenant is lower-case letters, digits and hyphens")
    return text


def _limit(text: str) -> int | str:
    if text == _SETTINGS:
        return text
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number, or the word {_SETTINGS}")
    return int(text)


def main() -> None:
    """Do what the command line asks for."""
    settings = Settings()
    try:
        told = run(sys.argv[1:], S3ObjectStore(settings), settings)
    except (StorageUnavailable, UnreadableObject) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(told + "\n")


if __name__ == "__main__":
    main()
