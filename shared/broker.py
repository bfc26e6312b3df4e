"""Where doorbells go, and how to speak to what is there: Redis, Redis behind Sentinels, or RabbitMQ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from shared.redis_client import sentinel_options

if TYPE_CHECKING:
    from shared.config import Settings

_VISIBILITY_TIMEOUT_S: Final = 3600
_HEALTH_CHECK_S: Final = 8
"""A worker whose connection leads nowhere waits for an answer that never comes; kombu notices within twice this and a
second (50 s by default). RabbitMQ's heartbeats are as far apart."""

_ONCE: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""Kombu would try again and again to connect, with pauses that a request would have to wait for."""
_RABBITMQ: Final = frozenset({"amqp", "amqps", "pyamqp"})


@dataclass(frozen=True, slots=True)
class Broker:
    """What Celery is told of the broker.

    Attributes
    ----------
    url : str
        The address, or several separated by semicolons; with a password, so not to be logged.
    transport_options : dict
        Time-outs above all: without them a frozen broker blocks a publish for ever.
    queue_arguments : dict or None
        What a queue is declared with.
    heartbeat_s : int
        How often a worker and the broker tell each other that they live; 0 where the transport has its own way.
    confirm_timeout_s : float or None
        The longest that a message waits to be confirmed; None where taking it is the confirmation.
    """

    url: str
    transport_options: dict[str, Any]
    queue_arguments: dict[str, str] | None = None
    heartbeat_s: int = 0
    confirm_timeout_s: float | None = None
    publish_retry: dict[str, int] = field(default_factory=dict)
    """How a message is sent again when the connection was lost; empty where it is not."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the broker that the settings name."""
        url = settings.broker_url.get_secret_value()
        if urlsplit(url).scheme in _RABBITMQ:
            return cls._rabbitmq(url, settings.broker_timeout_s)
        redis_options = {
            "socket_timeout": settings.redis_timeout_s,
            "socket_connect_timeout": settings.redis_timeout_s,
            "visibility_timeout": _VISIBILITY_TIMEOUT_S,
            "health_check_interval": _HEALTH_CHECK_S,
            **_ONCE,
        }
        if url or not settings.redis_sentinels:
            return cls(url or settings.redis_url.get_secret_value(), redis_options)
        behind = {"master_name": settings.redis_sentinel_master, "sentinel_kwargs": sentinel_options(settings)}
        return cls(_sentinel_url(settings), {**redis_options, **behind})

    @classmethod
    def _rabbitmq(cls, url: str, timeout_s: float) -> Self:
        # RabbitMQ's own client would read for ever.
        waits = {"connect_timeout": timeout_s, "read_timeout": timeout_s, "write_timeout": timeout_s}
        return cls(
            url,
            {"confirm_publish": True, **waits, **_ONCE},
            queue_arguments={"x-queue-type": "quorum"},
            heartbeat_s=_HEALTH_CHECK_S,
            confirm_timeout_s=timeout_s,
            # A pooled connection that RabbitMQ has closed is only found out by using it.
            publish_retry=_ONCE,
        )


def _sentinel_url(settings: Settings) -> str:
    told = urlsplit(settings.redis_url.get_secret_value())
    login = f"{told.netloc.rpartition('@')[0]}@" if "@" in told.netloc else ""
    return ";".join(
        f"sentinel://{login}{f'[{host}]' if ':' in host else host}:{port}{told.path}"
        for host, port in settings.redis_sentinels
    )
