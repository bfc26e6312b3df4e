"""Who may do what in Redis: the product's own user cannot empty it, reconfigure it, or read what others send."""

from __future__ import annotations

import hashlib
from typing import Final

PRODUCT: Final = "facefit"

PRODUCT_RULES: Final = "~* &* +@all -@dangerous +info +bgrewriteaof +slowlog|reset"
"""All of FLUSHALL, KEYS, CONFIG, DEBUG, MONITOR, SHUTDOWN, SAVE, REPLICAOF, ACL, MODULE and CLIENT KILL are @dangerous.

The upkeep has the append-only file rewritten and the memory of slow commands emptied: deleted records are gone then.
"""

PROBE: Final = "probe"
PROBE_RULES: Final = "nopass -@all +ping"
"""For a health check that needs no secret."""

NOBODY: Final = "default off resetpass ~* &* +@all"
"""Nobody can log in as this user, and it may do anything: Redis reads its append-only file back as this user.

Without the permissions it drops what scripts wrote, and says so in its log alone.
"""


def users_file(product_password: str) -> str:
    """Return Redis' `aclfile`: the product and the probe, and nobody else; of the password only a digest."""
    digest = hashlib.sha256(product_password.encode()).hexdigest()
    return f"user {NOBODY}\nuser {PRODUCT} on #{digest} {PRODUCT_RULES}\nuser {PROBE} on {PROBE_RULES}\n"
