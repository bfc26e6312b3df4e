"""The connection to Redis: the only place that gives it commands. Every change is one Lua script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import redis

from shared.errors import RecordsSilent, RecordsUnavailable
from shared.redis_client import redis_client

if TYPE_CHECKING:
    from shared.config import Settings

PREFIX: Final = "facefit:"
_FINISHED: Final = PREFIX + "finished"
_SUBSCRIBE_S: Final = 2
_COMMON: Final = "common"

Argument = str | int | bytes


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except redis.TimeoutError as error:
        raise RecordsSilent("Redis did not answer in time") from error
    except redis.RedisError as error:
        raise RecordsUnavailable(f"Redis did not answer: {type(error).__name__}") from error


def decoded(values: Any) -> list[str]:
    """Return what Redis answers with as text."""
    return [value.decode() for value in values]


class RedisLink:
    """Runs scripts and reads; raises `RecordsUnavailable` for whatever Redis does not answer in time.

    Safe to share between threads; build one in each process, after any fork.
    """

    def __init__(self, settings: Settings) -> None:
        self._redis = redis_client(settings)
        texts = {path.name.removesuffix(".lua"): path.read_text() for path in (files("shared.jobs") / "lua").iterdir()}
        common = texts.pop(_COMMON)
        self._scripts = {name: self._redis.register_script(common + text) for name, text in texts.items()}

    def run(self, script: str, *args: Argument) -> Any:
        """Run a script of the folder `lua` and return its answer."""
        with _translated():
            return self._scripts[script](args=list(args))

    def run_many(self, script: str, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script once for each list of arguments, sent together; each run is atomic, all of them are not."""
        if len(calls) <= 1:  # without a pipeline, which asks first whether the server knows the script
            return [self.run(script, *args) for args in calls]
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for args in calls:
                self._scripts[script](args=list(args), client=pipeline)
            return pipeline.execute()

    @contextmanager
    def commands(self) -> Iterator[redis.Redis]:
        """Give the client itself, for reads and for writes of one command."""
        with _translated():
            yield self._redis

    def hash(self, key: str) -> Any:
        """Return the fields and values of a hash, none if there is no such key."""
        with _translated():
            return self._redis.hgetall(PREFIX + key)

    def hashes(self, keys: Sequence[str]) -> list[Any]:
        """Return several hashes, sent for together."""
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(PREFIX + key)
            return pipeline.execute()

    def due(self, key: str, until_ms: int, limit: int) -> list[str]:
        """Return members of a sorted set that are due, the longest due first."""
        with _translated():
            return decoded(self._redis.zrangebyscore(PREFIX + key, "-inf", until_ms, start=0, num=limit))

    def finished_feed(self) -> RedisFinishedFeed:
        """Start to listen for what ends."""
        return RedisFinishedFeed(self._redis)


class RedisFinishedFeed:
    """The ids of jobs and batches as they end, from a subscription of its own."""

    def __init__(self, client: redis.Redis) -> None:
        with _translated():
            self._pubsub: Any = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            self._pubsub.subscribe(_FINISHED)
            # What is published before this answer came would be missed.
            self._pubsub.get_message(timeout=_SUBSCRIBE_S)

    def next(self, timeout_s: float) -> str | None:
        """Return the next id, or None when none came in time."""
        with _translated():
            message = self._pubsub.get_message(timeout=timeout_s)
        return message["data"].decode() if message else None

    def close(self) -> None:
        """Stop listening."""
        with _translated():
            self._pubsub.close()
