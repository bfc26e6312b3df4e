"""Amounts and signs of life in Redis; see `MetricStore` for what each method does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.clock import Clock, to_ms
from shared.jobs.redis_link import PREFIX, Argument, RedisLink, decoded
from shared.names import QueueName
from shared.schemas import JobStatus
from shared.telemetry.store import CANARY_KEPT_S, TOKEN_KEPT_S, QueueState, SignsOfLife, Snapshot

_COUNTS: Final = PREFIX + "counts"
_OPEN: Final = PREFIX + "open"
_MEASURED: Final = PREFIX + "measured"
_HOLDERS: Final = PREFIX + "holders"
_CLEANUPS: Final = PREFIX + "cleanups"
_REBUILT: Final = PREFIX + "rebuilt"


def _flat(values: Mapping[str, float]) -> list[Argument]:
    return [part for name, value in values.items() for part in (name, repr(value))]


def _floats(fields: Mapping[bytes, bytes]) -> dict[str, float]:
    return {name.decode(): float(value) for name, value in fields.items()}


def _open_jobs(fields: Mapping[bytes, bytes]) -> dict[tuple[QueueName, JobStatus], int]:
    found = {}
    for name, value in fields.items():
        queue, _, status = name.decode().partition("|")
        found[QueueName(queue), JobStatus(status)] = int(value)
    return found


def _signs(canary: Mapping[bytes, bytes], measured: bytes | None) -> SignsOfLife:
    def time_ms(name: bytes) -> int | None:
        return int(canary[name]) if name in canary else None

    took = canary.get(b"took_s")
    return SignsOfLife(
        sent_ms=time_ms(b"sent_ms"),
        answered_ms=time_ms(b"answered_ms"),
        ok_ms=time_ms(b"ok_ms"),
        canary_s=float(took) if took else None,
        measured_ms=int(measured) if measured else None,
    )


def _state(counted: list[int], signs: SignsOfLife) -> QueueState:
    depth, oldest_ms, live = counted
    return QueueState(depth, None if oldest_ms < 0 else oldest_ms, live, signs)


class RedisMetricStore:
    """Shared by every process, beside the records of jobs."""

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    def add(self, token: str, amounts: Mapping[str, float]) -> bool:
        """Add amounts to their series."""
        return bool(self._link.run("add_amounts", token, to_ms(TOKEN_KEPT_S), *_flat(amounts)))

    def hold(self, process: str, values: Mapping[str, float], *, valid_s: float) -> None:
        """Note what a process holds now."""
        now, valid_ms = self._clock(), to_ms(valid_s)
        self._link.run("hold", process, now, now + valid_ms, valid_ms, *_flat(values))

    def snapshot(self) -> Snapshot:
        """Return all of it."""
        now = self._clock()
        with self._link.commands() as redis:
            holders = decoded(redis.zrangebyscore(_HOLDERS, now, "+inf"))
            # At one time: what was accepted is what has ended and what is open.
            pipeline = redis.pipeline(transaction=True)
            for key in (_COUNTS, _OPEN, _MEASURED):
                pipeline.hgetall(key)
            pipeline.zcard(_CLEANUPS)
            pipeline.zrange(_CLEANUPS, 0, 0, withscores=True)
            pipeline.exists(_REBUILT)
            pipeline.info("memory")
            for queue in QueueName:
                pipeline.hgetall(f"{PREFIX}canary:{queue}")
            for holder in holders:
                pipeline.hgetall(f"{PREFIX}held:{holder}")
            answers: list[Any] = pipeline.execute()
        counts, open_jobs, measured, owed, oldest, rebuilt, memory, *rest = answers
        counted = self._link.run_many("queue_state", [[queue, now] for queue in QueueName])
        queues = {
            queue: _state(state, _signs(canary, measured.get(queue.encode())))
            for queue, state, canary in zip(QueueName, counted, rest, strict=False)
        }
        return Snapshot(
            counts=_floats(counts),
            held=[_floats(values) for values in rest[len(QueueName) :]],
            open_jobs=_open_jobs(open_jobs),
            queues=queues,
            cleanups_owed=owed,
            cleanups_oldest_ms=int(oldest[0][1]) if oldest else None,
            memory_bytes=memory["used_memory"],
            memory_limit_bytes=memory["maxmemory"],
            is_rebuilt=bool(rebuilt),
            taken_ms=now,
        )

    def signs(self, queue: QueueName) -> SignsOfLife:
        """Return what is known of the workers of a queue."""
        with self._link.commands() as redis:
            pipeline = redis.pipeline(transaction=False)
            pipeline.hgetall(f"{PREFIX}canary:{queue}")
            pipeline.hget(_MEASURED, queue)
            canary, measured = pipeline.execute()
        return _signs(canary, measured)

    def canary_sent(self, queue: QueueName) -> None:
        """Note that a canary was sent."""
        self._note(queue, {"sent_ms": self._clock()})

    def canary_measured(self, queue: QueueName, *, took_s: float, is_ok: bool) -> None:
        """Note that a canary was measured."""
        now = self._clock()
        good: dict[str, float] = {"ok_ms": now, "took_s": took_s} if is_ok else {}
        self._note(queue, {"answered_ms": now, **good})

    def _note(self, queue: QueueName, values: Mapping[str, float]) -> None:
        key = f"{PREFIX}canary:{queue}"
        with self._link.commands() as redis:
            pipeline = redis.pipeline(transaction=False)
            pipeline.hset(key, items=[part for pair in values.items() for part in pair])
            pipeline.pexpire(key, to_ms(CANARY_KEPT_S))
            pipeline.execute()
