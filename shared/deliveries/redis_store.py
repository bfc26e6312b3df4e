"""Records of deliveries in Redis: the only place that gives Redis commands for them. Every change is one Lua script."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson
import redis

from shared.clock import Clock, system_clock, to_ms
from shared.deliveries.record import (
    ATTEMPTS_KEPT,
    Attempt,
    DeliveryRecord,
    DeliveryStatus,
    Verdict,
    decode_attempts,
    encode_attempt,
    shown_url,
)
from shared.deliveries.store import DeliveryClaim, DeliveryQuery, DisabledTarget, Limits, Overdue
from shared.errors import RecordsUnavailable
from shared.redis_client import redis_client

if TYPE_CHECKING:
    from shared.config import Settings

_PREFIX: Final = "facefit:deliveries:"
_RECORD: Final = "facefit:delivery:"
_SCRIPTS: Final = (
    *("create", "claim", "settle", "give_back", "reopen", "drop"),
    *("archived", "release_held", "end_rebuild"),
)
_PAGE: Final = 200
_REBUILD_LIMIT_S: Final = 86_400


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise RecordsUnavailable(f"Redis did not answer: {type(error).__name__}") from error


def _lines(attempts: Sequence[Attempt]) -> bytes:
    return b"\n".join(encode_attempt(attempt) for attempt in attempts)


def _to_fields(record: DeliveryRecord) -> list[str | int | bytes]:
    fields: dict[str, str | int | bytes | None] = {
        "tenant": record.tenant,
        "receiver": record.receiver,
        "target": record.target,
        "job_id": record.job_id or "",
        "batch_id": record.batch_id or "",
        "fixed": orjson.dumps([record.webhook_id, record.event, record.url, record.created_ms]),
        "expires_ms": record.expires_ms,
        "status": record.status,
        "round": record.round,
        "step": record.step,
        "interruptions": record.interruptions,
        "forced": int(record.is_forced),
        "next_ms": record.next_ms,
        "attempts": _lines(record.attempts),
        "request_id": record.request_id,
    }
    return [part for name, value in fields.items() if value is not None for part in (name, value)]


def _to_record(delivery_id: str, fields: Mapping[bytes, bytes]) -> DeliveryRecord:
    webhook_id, event, url, created_ms = orjson.loads(fields[b"fixed"])
    next_ms, request_id = fields.get(b"next_ms"), fields.get(b"request_id")
    return DeliveryRecord(
        id=delivery_id,
        webhook_id=webhook_id,
        tenant=fields[b"tenant"].decode(),
        event=event,
        job_id=fields[b"job_id"].decode() or None,
        batch_id=fields[b"batch_id"].decode() or None,
        url=url,
        created_ms=created_ms,
        expires_ms=int(fields[b"expires_ms"]),
        status=DeliveryStatus(fields[b"status"].decode()),
        round=int(fields[b"round"]),
        step=int(fields[b"step"]),
        interruptions=int(fields[b"interruptions"]),
        next_ms=int(next_ms) if next_ms else None,
        attempts=decode_attempts(fields[b"attempts"]),
        request_id=request_id.decode() if request_id else None,
    )


def _paired(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _ids(values: Any) -> list[str]:
    return [value.decode() for value in values]


class RedisDeliveryStore:
    """The records of deliveries, shared by every process; see `DeliveryStore` for what each method does.

    Safe to share between threads; build one in each process, after any fork.
    """

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._redis = redis_client(settings)
        folder = files("shared.deliveries") / "lua"
        common = (folder / "common.lua").read_text()
        self._scripts = {
            name: self._redis.register_script(common + (folder / f"{name}.lua").read_text()) for name in _SCRIPTS
        }

    def _run(self, script: str, *args: str | int | bytes) -> Any:
        with _translated():
            return self._scripts[script](args=list(args))

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def create(self, record: DeliveryRecord) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        return bool(self._run("create", record.id, *_to_fields(record)))

    def get(self, delivery_id: str) -> DeliveryRecord | None:
        """Return a record, or None."""
        return next(iter(self._read([delivery_id]).values()), None)

    def _read(self, delivery_ids: Sequence[str]) -> dict[str, DeliveryRecord]:
        return {found: _to_record(found, fields) for found, fields in self._fields(delivery_ids).items()}

    def _fields(self, delivery_ids: Sequence[str]) -> dict[str, dict[bytes, bytes]]:
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for delivery_id in delivery_ids:
                pipeline.hgetall(_RECORD + delivery_id)
            answers = pipeline.execute()
        return {found: fields for found, fields in zip(delivery_ids, answers, strict=True) if fields}

    def claim(self, limits: Limits, *, lease_s: float) -> DeliveryClaim | None:
        """Give a delivery that is due to the caller, or None."""
        now, token = self._clock(), secrets.token_hex(16)
        at_once = (limits.per_receiver, limits.per_tenant, limits.per_receiver_all)
        answer = self._run("claim", now, self._in(lease_s), token, *at_once)
        version, delivery_id, *flat = answer or (b"", b"")
        if not flat:  # nothing is due, or what was is dropped, should this be the second try at one claim
            return None
        record = _to_record(delivery_id.decode(), _paired(flat))
        return DeliveryClaim(record, token, now, version.decode())

    def settle(self, claim: DeliveryClaim, attempts: Sequence[Attempt], verdict: Verdict) -> DeliveryRecord | None:
        """Note attempts and what follows from them; return the record as it is then."""
        record, now = claim.record, self._clock()
        flat = self._run(
            "settle",
            *(record.id, now, claim.token, record.round, ATTEMPTS_KEPT),
            *(verdict.status, verdict.step, verdict.interruptions),
            "" if verdict.next_ms is None else verdict.next_ms,
            "" if verdict.disable_until_ms is None else verdict.disable_until_ms,
            orjson.dumps([shown_url(record.url), now, record.id]),
            *(encode_attempt(attempt) for attempt in attempts),
        )
        return _to_record(record.id, _paired(flat)) if flat else None

    def give_back(self, claim: DeliveryClaim, *, retry_after_s: float) -> bool:
        """Take a claim back as if it had not been given."""
        return bool(self._run("give_back", claim.record.id, claim.token, self._in(retry_after_s)))

    def reopen(self, reopened: DeliveryRecord) -> bool:
        """Make a delivery due in the round that `reopened` is of."""
        return bool(self._run("reopen", reopened.id, reopened.round, reopened.next_ms or self._clock()))

    def drop(self, delivery_id: str) -> None:
        """Forget a record."""
        self._run("drop", delivery_id)

    def list_deliveries(self, query: DeliveryQuery) -> list[DeliveryRecord]:
        """Return up to `query.limit` deliveries, in falling order of their ids."""
        index = f"{_PREFIX}of:{query.tenant}"
        if about := query.job_id or query.batch_id:
            index = f"{_PREFIX}about:{query.tenant}:{about}"
        elif query.status is not None:
            index += f":{query.status}"
        found: list[DeliveryRecord] = []
        before = query.before_id
        while len(found) < query.limit:
            newest = f"({before}" if before else "+"
            with _translated():
                ids = _ids(self._redis.zrevrangebylex(index, newest, "-", start=0, num=_PAGE))
            found += [record for record in self._read(ids).values() if query.takes(record)]
            if len(ids) < _PAGE:
                break
            before = ids[-1]
        return found[: query.limit]

    def of_object(self, tenant: str, object_id: str) -> list[str]:
        """Return the ids of all deliveries of a job or batch."""
        with _translated():
            return _ids(self._redis.zrange(f"{_PREFIX}about:{tenant}:{object_id}", 0, -1))

    def disabled_targets(self, tenant: str) -> list[DisabledTarget]:
        """Return the targets that are disabled now, the latest first."""
        with _translated():
            values: Any = self._redis.hvals(f"{_PREFIX}disabled:{tenant}")
        found = []
        for value in values:
            until, _, rest = value.partition(b" ")
            url, since_ms, delivery_id = orjson.loads(rest)
            found.append(DisabledTarget(url, since_ms, int(until), delivery_id))
        found.sort(key=lambda target: (target.since_ms, target.delivery_id), reverse=True)
        return [target for target in found if target.until_ms > self._clock()]

    def overdue(self) -> Overdue:
        """Return how much is due that no sender has taken."""
        now = self._clock()
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zcount(f"{_PREFIX}due", "-inf", now)
            pipeline.zrangebyscore(f"{_PREFIX}due", "-inf", now, start=0, num=1, withscores=True)
            count, first = pipeline.execute()
        return Overdue(count, int(first[0][1]) if first else None)

    def lost_claims(self, limit: int) -> list[DeliveryClaim]:
        """Return claims whose lease ran out."""
        found = self._fields(self._due("leases", self._clock(), limit)).items()
        return [
            DeliveryClaim(_to_record(delivery_id, fields), fields[b"token"].decode(), int(fields[b"claimed_ms"]))
            for delivery_id, fields in found
            if b"token" in fields
        ]

    def _due(self, key: str, until_ms: int, limit: int) -> list[str]:
        with _translated():
            return _ids(self._redis.zrangebyscore(_PREFIX + key, "-inf", until_ms, start=0, num=limit))

    def release_held(self, limit: int) -> int:
        """Make deliveries due whose target is enabled again; return how many there were."""
        return int(self._run("release_held", self._clock(), limit))

    def unarchived(self, limit: int, *, grace_s: float) -> list[str]:
        """Return deliveries that changed more than `grace_s` ago and were not archived since."""
        return self._due("unarchived", self._in(-grace_s), limit)

    def archived(self, record: DeliveryRecord) -> bool:
        """Note that storage has the record as it is here, or owes it again; False if there is no record."""
        attempts = _lines(record.attempts)
        return bool(self._run("archived", record.id, record.round, record.status, attempts, self._clock()))

    def expired(self, limit: int) -> list[DeliveryRecord]:
        """Return deliveries past their time of being kept."""
        return list(self._read(self._due("expiry", self._clock(), limit)).values())

    def renew_secrets_version(self, tenant: str) -> None:
        """Tell every sender to read the tenant's secrets anew."""
        with _translated():
            self._redis.set(f"{_PREFIX}secrets_version:{tenant}", secrets.token_hex(8))

    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete."""
        with _translated():
            return bool(self._redis.exists(f"{_PREFIX}rebuilt"))

    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        token = secrets.token_hex(8)
        with _translated():
            self._redis.set(f"{_PREFIX}rebuilding:{token}", self._clock(), ex=_REBUILD_LIMIT_S)
        return token

    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete, unless they were lost since `token` was given."""
        return bool(self._run("end_rebuild", token, self._clock()))

    def check(self) -> None:
        """Return if Redis answers."""
        with _translated():
            self._redis.ping()
