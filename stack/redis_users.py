"""Who may do what in Redis: the product's own user cannot empty it, reconfigure it, or read what others send."""

from __future__ import annotations

import hashlib
from typing import Final

PRODUCT: Final = "facefit"

PRODUCT_RULES: Final = "~* &* +@all -@dangerous +info +bgrewriteaof"
"""All of FLUSHALL, KEYS, CONFIG, DEBUG, MONITOR, SHUTDOWN, SAVE, REPLICAOF, ACL, MODULE and CLIENT KILL are @dangerous.

The upkeep reads how large the append-only file is, and has it rewritten so that deleted records leave the disk.
"""

PROBE: Final = "probe"
PROBE_RULES: Final = "nopass -@all +ping"
"""For a health check that needs no secret."""


def users_file(product_password: str) -> str:
    """Return Redis' `aclfile`: the product and the probe, and nobody else; of the password only a digest."""
    digest = hashlib.sha256(product_password.encode()).hexdigest()
    return (
        "user default off resetpass -@all\n"
        f"user {PRODUCT} on #{digest} {PRODUCT_RULES}\n"
        f"user {PROBE} on {PROBE_RULES}\n"
    )
