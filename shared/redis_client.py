"""Builds the client of Redis: of one server, or of whichever of several is the master now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

if TYPE_CHECKING:
    from shared.config import Settings

_HEALTH_CHECK_S: Final = 15


def redis_client(settings: Settings) -> redis.Redis:
    """Return a client with the time-outs that hold everywhere. Nothing is contacted yet.

    With Sentinels, each new connection asks them who the master is, and one that finds itself at a former master asks
    again. Safe to share between threads; build one in each process, after any fork.
    """
    # A lost connection is tried once anew; a script may then run twice with the same arguments, and each bears that: a
    # claim knows its own token.
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
        "health_check_interval": _HEALTH_CHECK_S,
        "retry": Retry(NoBackoff(), 1),
    }
    url = settings.redis_url.get_secret_value()
    if not settings.redis_sentinels:
        return redis.Redis.from_url(url, **options)
    told = parse_url(url)  # type: ignore[no-untyped-call]  # who asks, and for which database; Sentinel tells where
    login = {name: told[name] for name in ("username", "password", "db") if name in told}
    sentinel = Sentinel(settings.redis_sentinels, sentinel_kwargs=sentinel_options(settings))  # type: ignore[no-untyped-call]
    master: redis.Redis = sentinel.master_for(settings.redis_sentinel_master, **login, **options)  # type: ignore[no-untyped-call]
    return master


def sentinel_options(settings: Settings) -> dict[str, Any]:
    """Return how to speak to a Sentinel."""
    return {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
        # The client's own retry would ask a host that is lost ten times before the next Sentinel is asked.
        "retry": Retry(NoBackoff(), 0),
        "password": settings.redis_sentinel_password.get_secret_value() or None,
    }
