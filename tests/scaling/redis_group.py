"""A Redis master, two replicas and three Sentinels on loopback, from the `redis-server` that the stack uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from stack.data_folder import LOOPBACK, free_ports
from stack.redis_server import find_redis
from stack.redis_users import PRODUCT, PRODUCT_RULES
from tests.scaling.processes import Server, listens, wait_until

MASTER: Final = "photos"
PASSWORD: Final = "trial"  # noqa: S105  reaches loopback alone
DOWN_AFTER_MS: Final = 2000
_REPLICAS: Final = 2
_SENTINELS: Final = 3
_QUORUM: Final = 2

_SERVER: Final = f"""\
bind {LOOPBACK}
port {{port}}
dir "{{folder}}"
requirepass {PASSWORD}
masterauth {PASSWORD}
user {PRODUCT} on >{PASSWORD} {PRODUCT_RULES}
maxmemory-policy noeviction
appendonly yes
save ""
# A master that nobody copies from any more takes no writes: what it said yes to would be lost.
min-replicas-to-write 1
min-replicas-max-lag 3
"""
_SENTINEL: Final = f"""\
bind {LOOPBACK}
port {{port}}
dir "{{folder}}"
requirepass {PASSWORD}
sentinel monitor {MASTER} {LOOPBACK} {{master}} {_QUORUM}
sentinel auth-pass {MASTER} {PASSWORD}
sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}
sentinel failover-timeout {MASTER} 10000
"""


@dataclass
class RedisGroup:
    servers: dict[int, Server]
    sentinels: dict[int, Server]

    @property
    def settings(self) -> dict[str, str]:
        return {
            "FACEFIT_REDIS_URL": f"redis://{PRODUCT}:{PASSWORD}@nowhere.invalid/0",
            "FACEFIT_REDIS_SENTINELS": ",".join(f"{LOOPBACK}:{port}" for port in self.sentinels),
            "FACEFIT_REDIS_SENTINEL_MASTER": MASTER,
            "FACEFIT_REDIS_SENTINEL_PASSWORD": PASSWORD,
        }

    def master(self) -> int | None:
        """Return the port of the only server that says it is master and has a replica, if there is one."""
        found = [port for port, copies in self._masters().items() if copies]
        return found[0] if len(found) == 1 else None

    def copies(self) -> int:
        """Return how many replicas copy from the masters there are."""
        return sum(self._masters().values())

    def _masters(self) -> dict[int, int]:
        found = {}
        for port in self.servers:
            with suppress(redis.RedisError), redis.Redis(LOOPBACK, port, password=PASSWORD, socket_timeout=2) as client:
                told = client.info("replication")
                if told["role"] == "master":
                    found[port] = int(told["connected_slaves"])
        return found


@contextmanager
def redis_group(folder: Path) -> Iterator[RedisGroup]:
    ports = free_ports(1 + _REPLICAS + _SENTINELS)
    master, replicas, watchers = ports[0], ports[1 : 1 + _REPLICAS], ports[1 + _REPLICAS :]
    group = RedisGroup(
        {port: _server(folder, port, None if port == master else master) for port in (master, *replicas)},
        {port: _sentinel(folder, port, master) for port in watchers},
    )
    everything = [*group.servers.items(), *group.sentinels.items()]
    try:
        for port, server in everything:
            server.start()
            wait_until(f"{server.name} listens", lambda port=port: listens(port))  # type: ignore[misc]
        with redis.Redis(LOOPBACK, master, password=PASSWORD) as client:
            wait_until("both copy", lambda: client.info("replication")["connected_slaves"] == _REPLICAS)
        for port in watchers:
            with redis.Redis(LOOPBACK, port, password=PASSWORD) as client:
                wait_until("the Sentinels know each other", lambda client=client: _is_well(client))  # type: ignore[misc]
        yield group
    finally:
        for _, server in everything:
            server.kill()


def _is_well(sentinel: redis.Redis) -> bool:
    told: Any = sentinel.sentinel_master(MASTER)
    return int(told["num-other-sentinels"]) == _SENTINELS - 1 and int(told["num-slaves"]) == _REPLICAS


def _server(folder: Path, port: int, master: int | None) -> Server:
    home = folder / f"redis-{port}"
    home.mkdir(parents=True)
    text = _SERVER.format(port=port, folder=home) + (f"replicaof {LOOPBACK} {master}\n" if master else "")
    return _of(home, text, port)


def _sentinel(folder: Path, port: int, master: int) -> Server:
    home = folder / f"sentinel-{port}"
    home.mkdir(parents=True)
    return _of(home, _SENTINEL.format(port=port, folder=home, master=master), port, "--sentinel")


def _of(home: Path, text: str, port: int, *more: str) -> Server:
    config = home / "redis.conf"
    config.write_text(text)
    return Server(home.name, (str(find_redis()), str(config), *more), home / "out.log")
