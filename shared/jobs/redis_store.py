"""Job records in Redis: the only place that gives Redis commands. Every change is one Lua script."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.clock import Clock, system_clock, to_ms
from shared.errors import RecordsUnavailable
from shared.jobs.record import JobRecord
from shared.jobs.store import Claim, ClaimRefusal, Cleanup, CleanupKind, JobQuery, Settlement
from shared.names import QueueName
from shared.schemas import JobError, JobOptions, JobStatus

if TYPE_CHECKING:
    from shared.config import Settings

_PREFIX: Final = "facefit:"
_FINISHED: Final = _PREFIX + "finished"
_REBUILT: Final = _PREFIX + "rebuilt"
_BEATS: Final = _PREFIX + "beats"
_SCRIPTS: Final = ("create", "claim", "release", "settle", "reopen", "drop", "expired_leases", "end_rebuild")
_PAGE: Final = 200
_HEALTH_CHECK_S: Final = 15
_SUBSCRIBE_S: Final = 2
_REBUILD_LIMIT_S: Final = 86_400


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise RecordsUnavailable(f"Redis did not answer: {type(error).__name__}") from error


def _reference_hash(reference: str | None) -> str:
    return hashlib.sha256(reference.encode()).hexdigest()[:32] if reference is not None else ""


def _error_json(error: JobError | None) -> bytes:
    return orjson.dumps(error.model_dump()) if error else b""


def _to_fields(record: JobRecord) -> dict[str, str | int | bytes]:
    fields: dict[str, str | int | bytes | None] = {
        "tenant": record.tenant,
        "queue": record.queue,
        "status": record.status,
        "options": orjson.dumps(record.options.model_dump(exclude_defaults=True)),
        "reference_hash": _reference_hash(record.options.reference),
        "run": record.run,
        "attempts": record.attempts,
        "created_ms": record.created_ms,
        "expires_ms": record.expires_ms,
        "started_ms": record.started_ms,
        "finished_ms": record.finished_ms,
        "error": _error_json(record.error),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _optional_int(value: bytes | None) -> int | None:
    return int(value) if value else None


def _to_record(job_id: str, fields: Mapping[bytes, bytes]) -> JobRecord:
    error = fields.get(b"error")
    return JobRecord(
        id=job_id,
        tenant=fields[b"tenant"].decode(),
        queue=QueueName(fields[b"queue"].decode()),
        options=JobOptions.model_validate(orjson.loads(fields[b"options"])),
        created_ms=int(fields[b"created_ms"]),
        expires_ms=int(fields[b"expires_ms"]),
        status=JobStatus(fields[b"status"].decode()),
        run=int(fields[b"run"]),
        attempts=int(fields[b"attempts"]),
        started_ms=_optional_int(fields.get(b"started_ms")),
        finished_ms=_optional_int(fields.get(b"finished_ms")),
        error=JobError.model_validate(orjson.loads(error)) if error else None,
    )


def _ids(values: Any) -> list[str]:
    return [value.decode() for value in values]


class RedisFinishedFeed:
    """The ids of jobs as they end, from a subscription of its own."""

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


class RedisJobStore:
    """The records of jobs, shared by every process; see `JobStore` for what each method does.

    Safe to share between threads; build one in each process, after any fork.
    """

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._grace_s = settings.doorbell_grace_s
        self._redis = redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            health_check_interval=_HEALTH_CHECK_S,
            # A lost connection is tried once anew; a script may then run twice with the same arguments, and each bears
            # that: a claim knows its own token.
            retry=Retry(NoBackoff(), 1),
        )
        folder = files("shared.jobs") / "lua"
        common = (folder / "common.lua").read_text()
        self._scripts = {
            name: self._redis.register_script(common + (folder / f"{name}.lua").read_text()) for name in _SCRIPTS
        }

    def _run(self, script: str, *args: str | int | bytes) -> Any:
        with _translated():
            return self._scripts[script](args=list(args))

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def create(self, record: JobRecord) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        pairs = [part for pair in _to_fields(record).items() for part in pair]
        return bool(self._run("create", record.id, self._clock(), self._in(self._grace_s), *pairs))

    def get(self, job_id: str) -> JobRecord | None:
        """Return a record, or None."""
        with _translated():
            fields: Any = self._redis.hgetall(f"{_PREFIX}job:{job_id}")
        return _to_record(job_id, fields) if fields else None

    def claim(self, job_id: str, *, lease_s: float, max_attempts: int) -> Claim | ClaimRefusal:
        """Give a queued job, or one whose lease ran out, to the caller."""
        token = secrets.token_hex(16)
        answer = self._run("claim", job_id, self._clock(), self._in(lease_s), token, max_attempts)
        if isinstance(answer, bytes):
            return ClaimRefusal(answer.decode())
        return Claim(_to_record(job_id, dict(zip(answer[::2], answer[1::2], strict=True))), token)

    def release(self, claim: Claim, *, retry_after_s: float, charge: bool) -> bool:
        """Take a claim back; the job is due again after a pause."""
        due = self._in(retry_after_s)
        return bool(self._run("release", claim.record.id, self._clock(), due, claim.token, int(charge)))

    def exhausted(self, job_id: str, *, max_attempts: int) -> JobRecord | None:
        """Return the record if nobody holds the job and no attempt is left."""
        with _translated():
            fields: Any = self._redis.hgetall(f"{_PREFIX}job:{job_id}")
        record = _to_record(job_id, fields) if fields else None
        if record is None or record.status.is_terminal or record.attempts < max_attempts:
            return None
        held = record.status is JobStatus.RUNNING and int(fields[b"lease_until_ms"]) > self._clock()
        return None if held else record

    def settle(self, ended: JobRecord) -> Settlement:
        """End the job as the first outcome of this run says."""
        answer: bytes = self._run(
            "settle",
            ended.id,
            self._clock(),
            ended.run,
            ended.status,
            ended.attempts,
            "" if ended.started_ms is None else ended.started_ms,
            "" if ended.finished_ms is None else ended.finished_ms,
            _error_json(ended.error),
            int(not ended.needs_upload),
        )
        return Settlement(answer.decode())

    def reopen(self, job_id: str, *, run: int) -> bool:
        """Queue a failed job again as `run`."""
        return bool(self._run("reopen", job_id, self._clock(), self._in(self._grace_s), run))

    def drop(self, job_id: str, tenant: str) -> None:
        """Forget a record and note that its objects are to go."""
        self._run("drop", job_id, self._clock(), tenant)

    def missing(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that have no record."""
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in job_ids:
                pipeline.exists(f"{_PREFIX}job:{job_id}")
            answers = pipeline.execute()
        return [job_id for job_id, there in zip(job_ids, answers, strict=True) if not there]

    def list_jobs(self, query: JobQuery) -> list[JobRecord]:
        """Return up to `query.limit` jobs, newest first."""
        index = f"{_PREFIX}jobs:{query.tenant}"
        if query.reference is not None:
            index += f":reference:{_reference_hash(query.reference)}"
        elif query.status is not None:
            index += f":status:{query.status}"
        found: list[JobRecord] = []
        before = query.before_id
        while len(found) < query.limit:
            ids, records = self._page(index, before)
            found += [record for record in records if query.status in {None, record.status}]
            if len(ids) < _PAGE:
                break
            before = ids[-1]
        return found[: query.limit]

    def _page(self, index: str, before: str | None) -> tuple[list[str], list[JobRecord]]:
        with _translated():
            newest = f"({before}" if before else "+"
            ids = _ids(self._redis.zrevrangebylex(index, newest, "-", start=0, num=_PAGE))
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hgetall(f"{_PREFIX}job:{job_id}")
            answers = pipeline.execute()
        return ids, [_to_record(job_id, fields) for job_id, fields in zip(ids, answers, strict=True) if fields]

    def queue_position(self, record: JobRecord) -> int | None:
        """Return how far from being measured a queued job is, 1 being next."""
        with _translated():
            rank: Any = self._redis.zrank(f"{_PREFIX}queued:{record.queue}", record.id)
        return None if rank is None else rank + 1

    def finished_feed(self) -> RedisFinishedFeed:
        """Start to listen for jobs that end."""
        return RedisFinishedFeed(self._redis)

    def queued_count(self, queue: QueueName) -> int:
        """Return how many jobs wait in a queue."""
        with _translated():
            return int(self._redis.zcard(f"{_PREFIX}queued:{queue}"))

    def _due(self, key: str, until_ms: int, limit: int) -> list[str]:
        with _translated():
            return _ids(self._redis.zrangebyscore(_PREFIX + key, "-inf", until_ms, start=0, num=limit))

    def due_doorbells(self, queue: QueueName, limit: int) -> list[str]:
        """Return queued jobs whose doorbell should be rung now."""
        return self._due(f"doorbells:{queue}", self._clock(), limit)

    def rung(self, queue: QueueName, job_ids: Sequence[str], *, grace_s: float) -> None:
        """Note that doorbells were rung; a job that has left the queue meanwhile is not put back."""
        if job_ids:
            due = self._in(grace_s)
            with _translated():
                self._redis.zadd(f"{_PREFIX}doorbells:{queue}", dict.fromkeys(job_ids, due), xx=True)

    def expired_leases(self, limit: int, *, grace_s: float) -> list[str]:
        """Return running jobs whose lease ran out, each once in `grace_s`."""
        return _ids(self._run("expired_leases", self._clock(), limit, self._in(grace_s)))

    def expired_jobs(self, limit: int) -> list[str]:
        """Return jobs past their time of being kept."""
        return self._due("expiry", self._clock(), limit)

    def due_cleanups(self, limit: int, *, grace_s: float) -> list[Cleanup]:
        """Return debts to storage that are older than `grace_s`."""
        members = self._due("cleanups", self._in(-grace_s), limit)
        return [Cleanup(CleanupKind(kind), tenant, job) for kind, tenant, job in (m.split("|") for m in members)]

    def cleaned(self, cleanup: Cleanup) -> None:
        """Note that a debt to storage is paid."""
        with _translated():
            self._redis.zrem(f"{_PREFIX}cleanups", f"{cleanup.kind}|{cleanup.tenant}|{cleanup.job_id}")

    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete."""
        with _translated():
            return bool(self._redis.exists(_REBUILT))

    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        token = secrets.token_hex(8)
        with _translated():
            self._redis.set(f"{_PREFIX}rebuilding:{token}", self._clock(), ex=_REBUILD_LIMIT_S)
        return token

    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete, unless they were lost since `token` was given."""
        return bool(self._run("end_rebuild", token, self._clock()))

    def beat(self, host: str, process_id: int, queues: Sequence[QueueName], *, valid_s: float) -> None:
        """Note that a worker process is ready to measure what comes in some queues."""
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for queue in queues:
                pipeline.zadd(f"{_BEATS}:{queue}", {f"{host}:{process_id}": self._in(valid_s)})
                pipeline.zremrangebyscore(f"{_BEATS}:{queue}", "-inf", self._clock())
            pipeline.execute()

    def live_workers(self, queue: QueueName, *, host: str | None = None) -> int:
        """Return how many worker processes, of all hosts or of one, said lately that they watch a queue."""
        with _translated():
            alive = _ids(self._redis.zrangebyscore(f"{_BEATS}:{queue}", self._clock(), "+inf"))
        return sum(host in {None, worker.rpartition(":")[0]} for worker in alive)

    def check(self) -> None:
        """Return if Redis answers."""
        with _translated():
            self._redis.ping()
