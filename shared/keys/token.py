"""The text that a client sends as its key: made here, shown once, and kept by nobody but the client.

`ffk_<id>_<secret>`: the prefix lets scanners of source code find keys that were committed by mistake; the id says which
key it is without searching; the secret is 256 random bits.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from ulid import ULID

KEY_ID_PREFIX: Final = "key_"
_ID_BODY: Final = "[0-7][0-9a-hjkmnp-tv-z]{25}"
KEY_ID_PATTERN: Final = re.compile(KEY_ID_PREFIX + _ID_BODY)
"""A prefix and a ULID in lower case, as all ids here."""
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(rf"ffk_(?P<body>{_ID_BODY})_(?P<secret>[a-z2-7]{{52}})")
"""32 bytes are 52 characters of base32."""


@dataclass(frozen=True, slots=True)
class Token:
    """A key as its client holds it."""

    key_id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What the client sends."""
        return f"ffk_{self.key_id.removeprefix(KEY_ID_PREFIX)}_{self.secret}"

    @property
    def secret_sha256(self) -> str:
        """What is kept of the secret, in hex.

        One round of SHA-256 and no salt: slow hashes make up for passwords that people choose, a few dozen bits. Nobody
        tries 2^256 secrets at any speed, no table holds them, and no two keys have the same.
        """
        return hashlib.sha256(self.secret.encode()).hexdigest()


def new_token() -> Token:
    """Return a new key."""
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=").lower()
    return Token(KEY_ID_PREFIX + str(ULID()).lower(), secret)


def read_token(text: str) -> Token | None:
    """Return the key that a text is, or None if it has not the form of one."""
    found = _TOKEN.fullmatch(text)
    return Token(KEY_ID_PREFIX + found["body"], found["secret"]) if found else None
