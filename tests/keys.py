"""Keys for tests: made as the command makes them."""

from __future__ import annotations

from shared.clock import Clock, system_clock
from shared.keys.archive import KeyArchive
from shared.keys.record import ApiKey
from shared.keys.token import Token, new_token
from shared.storage.base import ObjectStore


def make_key(
    objects: ObjectStore, tenant: str, *, clock: Clock = system_clock, expires_ms: int | None = None, name: str = "test"
) -> Token:
    token = new_token()
    KeyArchive(objects).create(ApiKey(token.key_id, tenant, name, token.secret_sha256, clock(), expires_ms))
    return token


def bearer(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.text}"}
