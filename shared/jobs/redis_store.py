"""Job records in Redis; see `redis_link.py` for how it is spoken to and `lua/` for what changes in one step."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.admission.redis_store import RedisAdmissionStore
from shared.clock import Clock, system_clock, to_ms
from shared.errors import RecordsUnavailable, UnreadableObject
from shared.fetches.redis_store import RedisFetchStore
from shared.jobs.announcements import Announcement
from shared.jobs.redis_batches import RedisBatchStore
from shared.jobs.redis_fields import cleanup_of, error_json, job_of, reference_hash
from shared.jobs.redis_idempotency import RedisIdempotencyIndex
from shared.jobs.redis_link import PREFIX, RedisFinishedFeed, RedisLink, decoded
from shared.jobs.store import Claim, ClaimRefusal, Cleanup, JobQuery, PlacedJob, Settlement
from shared.names import QueueName
from shared.schemas import JobStatus
from shared.telemetry.redis_store import RedisMetricStore

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.jobs.record import JobRecord

_REBUILT: Final = PREFIX + "rebuilt"
_BEATS: Final = PREFIX + "beats"
_PAGE: Final = 200
_LINE_UP_AT_ONCE: Final = 1000
_REBUILD_LIMIT_S: Final = 86_400
_UNREADABLE_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """How many jobs of a queue that takes turns are where, and how many come before one of them."""

    in_turn: int
    handed_out: int
    overdue: int
    before: int | None


def _bounds(query: JobQuery) -> tuple[str, str | None]:
    """Return where a list starts and ends among the ids, which are sorted by time."""
    first, last = query.made_between
    before = min((bound for bound in (query.before_id, last) if bound), default=None)
    return f"[{first}" if first else "-", before


class RedisJobStore:
    """The records of jobs, shared by every process; see `JobStore` for what each method does.

    Safe to share between threads; build one in each process, after any fork.
    """

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._grace_s = settings.doorbell_grace_s
        self._link = RedisLink(settings)
        self._fetches = RedisFetchStore(self._link, self._now)
        self._batches = RedisBatchStore(self._link, self._now, grace_s=settings.doorbell_grace_s)
        self._idempotency = RedisIdempotencyIndex(self._link, self._now)
        self._admissions = RedisAdmissionStore(self._link, self._now)
        self._metrics = RedisMetricStore(self._link, self._now)

    @property
    def batches(self) -> RedisBatchStore:
        """The records of batches."""
        return self._batches

    @property
    def fetches(self) -> RedisFetchStore:
        """The photos that are to be fetched."""
        return self._fetches

    @property
    def idempotency(self) -> RedisIdempotencyIndex:
        """The index of idempotency keys."""
        return self._idempotency

    @property
    def admissions(self) -> RedisAdmissionStore:
        """What tenants have taken of their limits."""
        return self._admissions

    @property
    def metrics(self) -> RedisMetricStore:
        """Amounts and signs of life."""
        return self._metrics

    def _now(self) -> int:
        return self._clock()

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def create(self, record: JobRecord, *, restored: bool = False) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        return self._batches.create_items([record], restored=restored)[0]

    def get(self, job_id: str) -> JobRecord | None:
        """Return a record, or None."""
        fields = self._link.hash(f"job:{job_id}")
        return job_of(job_id, fields) if fields else None

    def get_placed(self, job_id: str, tenant: str) -> PlacedJob | None:
        """Return a record with its position, or None."""
        with self._link.commands() as redis:
            pipeline = redis.pipeline(transaction=False)
            pipeline.hgetall(f"{PREFIX}job:{job_id}")
            # Asked for before it is known whether it is there: most that clients ask for one by one are.
            pipeline.zrank(f"{PREFIX}queued:{QueueName.INTERACTIVE}", job_id)
            fields, rank = pipeline.execute()
        if not fields:
            return None
        record = job_of(job_id, fields)
        if record.status is not JobStatus.QUEUED or record.tenant != tenant:  # whose it is not is told nothing
            return PlacedJob(record)
        if record.queue is QueueName.INTERACTIVE:
            return PlacedJob(record, None if rank is None else rank + 1)
        with suppress(RecordsUnavailable):  # a detail: no reason to refuse the rest
            return PlacedJob(record, self.queue_position(record))
        return PlacedJob(record)

    def claim(self, job_id: str, *, lease_s: float, max_attempts: int) -> Claim | ClaimRefusal:
        """Give a queued job, or one whose lease ran out, to the caller."""
        token = secrets.token_hex(16)
        answer = self._link.run("claim", job_id, self._clock(), self._in(lease_s), token, max_attempts)
        if isinstance(answer, bytes):
            return ClaimRefusal(answer.decode())
        try:
            return Claim(job_of(job_id, dict(zip(answer[::2], answer[1::2], strict=True))), token)
        except UnreadableObject:
            # A worker of a later version can read it: that this one cannot must not cost an attempt.
            self._link.run("release", job_id, self._clock(), self._in(_UNREADABLE_PAUSE_S), token, 0)
            raise

    def release(self, claim: Claim, *, retry_after_s: float, charge: bool) -> bool:
        """Take a claim back; the job is due again after a pause."""
        due = self._in(retry_after_s)
        return bool(self._link.run("release", claim.record.id, self._clock(), due, claim.token, int(charge)))

    def exhausted(self, job_id: str, *, max_attempts: int) -> JobRecord | None:
        """Return the record if nobody holds the job and no attempt is left."""
        fields = self._link.hash(f"job:{job_id}")
        record = job_of(job_id, fields) if fields else None
        if record is None or record.status.is_terminal or record.attempts < max_attempts:
            return None
        held = record.status is JobStatus.RUNNING and int(fields[b"lease_until_ms"]) > self._clock()
        return None if held else record

    def settle(self, ended: JobRecord) -> Settlement:
        """End the job as the first outcome of this run says."""
        answer: bytes = self._link.run(
            "settle",
            ended.id,
            self._clock(),
            ended.run,
            ended.status,
            ended.attempts,
            "" if ended.started_ms is None else ended.started_ms,
            "" if ended.finished_ms is None else ended.finished_ms,
            error_json(ended.error),
            int(not ended.needs_upload),
            int(ended.announced_event is not None),
            ended.expires_ms,
        )
        return Settlement(answer.decode())

    def reopen(self, job_id: str, *, run: int) -> bool:
        """Queue a failed job again as `run`."""
        return bool(self._link.run("reopen", job_id, self._clock(), self._in(self._grace_s), run))

    def drop(self, job_id: str, tenant: str, batch_id: str | None = None) -> None:
        """Forget a record and note that its objects are to go."""
        self._link.run("drop", job_id, self._clock(), tenant, batch_id or "")

    def missing(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that have no record."""
        with self._link.commands() as redis:
            pipeline = redis.pipeline(transaction=False)
            for job_id in job_ids:
                pipeline.exists(f"{PREFIX}job:{job_id}")
            answers = pipeline.execute()
        return [job_id for job_id, there in zip(job_ids, answers, strict=True) if not there]

    def list_jobs(self, query: JobQuery) -> list[JobRecord]:
        """Return up to `query.limit` jobs, newest first."""
        index = f"{PREFIX}jobs:{query.tenant}"
        if query.reference is not None:
            index += f":reference:{reference_hash(query.reference)}"
        elif query.status is not None:
            index += f":status:{query.status}"
        found: list[JobRecord] = []
        oldest, before = _bounds(query)
        while len(found) < query.limit:
            ids, records = self._page(index, oldest, before)
            found += [record for record in records if query.admits(record)]
            if len(ids) < _PAGE:
                break
            before = ids[-1]
        return found[: query.limit]

    def _page(self, index: str, oldest: str, before: str | None) -> tuple[list[str], list[JobRecord]]:
        with self._link.commands() as redis:
            newest = f"({before}" if before else "+"
            ids = decoded(redis.zrevrangebylex(index, newest, oldest, start=0, num=_PAGE))
        answers = self._link.hashes([f"job:{job_id}" for job_id in ids])
        return ids, [job_of(job_id, fields) for job_id, fields in zip(ids, answers, strict=True) if fields]

    def queue_position(self, record: JobRecord) -> int | None:
        """Return how far from being measured a queued job is, 1 being next."""
        if record.queue.takes_turns:
            before = self._waiting(record.queue, record).before
            return None if before is None else before + 1
        with self._link.commands() as redis:
            rank: Any = redis.zrank(f"{PREFIX}queued:{record.queue}", record.id)
        return None if rank is None else rank + 1

    def finished_feed(self) -> RedisFinishedFeed:
        """Start to listen for jobs that end."""
        return self._link.finished_feed()

    def take(self, queue: QueueName, limit: int, *, grace_s: float) -> list[str]:
        """Hand out the next jobs of a queue that takes turns, one of each tenant in turn."""
        return decoded(self._link.run("take", queue, self._clock(), limit, self._in(grace_s), _LINE_UP_AT_ONCE))

    def waiting_count(self, queue: QueueName) -> int:
        """Return how many jobs of a queue that takes turns could be handed out now."""
        waiting = self._waiting(queue)
        return waiting.in_turn + waiting.overdue

    def offer(self, job_id: str) -> None:
        """Have a job of a queue that takes turns handed out again if its lease ran out."""
        self._link.run("offer", job_id, self._clock())

    def _waiting(self, queue: QueueName, record: JobRecord | None = None) -> _Waiting:
        tenant, job_id = (record.tenant, record.id) if record else ("", "")
        in_turn, handed_out, overdue, before = self._link.run("waiting", queue, self._clock(), tenant, job_id)
        return _Waiting(in_turn, handed_out, overdue, None if before < 0 else before)

    def queued_count(self, queue: QueueName) -> int:
        """Return how many jobs wait in a queue."""
        if queue.takes_turns:
            waiting = self._waiting(queue)
            return waiting.in_turn + waiting.handed_out
        with self._link.commands() as redis:
            return int(redis.zcard(f"{PREFIX}queued:{queue}"))

    def due_doorbells(self, queue: QueueName, limit: int) -> list[str]:
        """Return queued jobs whose doorbell should be rung now."""
        return self._link.due(f"doorbells:{queue}", self._clock(), limit)

    def rung(self, queue: QueueName, job_ids: Sequence[str], *, grace_s: float) -> None:
        """Note that doorbells were rung; a job that has left the queue meanwhile is not put back."""
        if job_ids:
            due = self._in(grace_s)
            with self._link.commands() as redis:
                redis.zadd(f"{PREFIX}doorbells:{queue}", dict.fromkeys(job_ids, due), xx=True)

    def expired_leases(self, limit: int, *, grace_s: float) -> list[str]:
        """Return running jobs whose lease ran out, each once in `grace_s`."""
        return decoded(self._link.run("expired_leases", self._clock(), limit, self._in(grace_s)))

    def expired_jobs(self, limit: int) -> list[str]:
        """Return jobs past their time of being kept."""
        return self._link.due("expiry", self._clock(), limit)

    def cut_short(self, job_ids: Sequence[str], *, expires_ms: int) -> None:
        """Have jobs expire at a time."""
        self._link.run_many("cut_short", [(job_id, expires_ms) for job_id in job_ids])

    def due_cleanups(self, limit: int, *, grace_s: float) -> list[Cleanup]:
        """Return debts to storage that are older than `grace_s`."""
        return [cleanup_of(member) for member in self._link.due("cleanups", self._in(-grace_s), limit)]

    def oldest_cleanup_ms(self) -> int | None:
        """Return when the oldest debt to storage was made."""
        with self._link.commands() as redis:
            oldest: Any = redis.zrange(f"{PREFIX}cleanups", 0, 0, withscores=True)
        return int(oldest[0][1]) if oldest else None

    def cleaned(self, *cleanups: Cleanup) -> None:
        """Note that debts to storage are paid."""
        members = (f"{owed.kind}|{owed.tenant}|{owed.job_id}|{owed.batch_id or ''}" for owed in cleanups)
        with self._link.commands() as redis:
            redis.zrem(f"{PREFIX}cleanups", *members)

    def due_announcements(self, limit: int, *, grace_s: float) -> list[Announcement]:
        """Return what ended more than `grace_s` ago and was not announced since."""
        members = self._link.due("announcements", self._in(-grace_s), limit)
        return [Announcement(*member.split("|")) for member in members]

    def noted_ms(self, announcement: Announcement) -> int | None:
        """Return when the last end that is to be announced was noted."""
        with self._link.commands() as redis:
            score: Any = redis.zscore(f"{PREFIX}announcements", f"{announcement.tenant}|{announcement.object_id}")
        return None if score is None else int(score)

    def announced(self, announcement: Announcement, noted_ms: int) -> None:
        """Note that whoever is to be told will be, of what ended until then."""
        self._link.run("announced", announcement.tenant, announcement.object_id, noted_ms)

    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete."""
        with self._link.commands() as redis:
            return bool(redis.exists(_REBUILT))

    def lineage(self) -> str:
        """Return what names the server's line of changes; see `JobStore`."""
        with self._link.commands() as redis:
            told: Any = redis.info("replication")
        return str(told["master_replid"])

    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        token = secrets.token_hex(8)
        with self._link.commands() as redis:
            redis.set(f"{PREFIX}rebuilding:{token}", self._clock(), ex=_REBUILD_LIMIT_S)
        return token

    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete, unless they were lost since `token` was given."""
        return bool(self._link.run("end_rebuild", token, self._clock()))

    def beat(self, host: str, process_id: int, queues: Sequence[QueueName], *, valid_s: float) -> None:
        """Note that a worker process is ready to measure what comes in some queues."""
        with self._link.commands() as redis:
            pipeline = redis.pipeline(transaction=False)
            for queue in queues:
                pipeline.zadd(f"{_BEATS}:{queue}", {f"{host}:{process_id}": self._in(valid_s)})
                pipeline.zremrangebyscore(f"{_BEATS}:{queue}", "-inf", self._clock())
            pipeline.execute()

    def live_workers(self, queue: QueueName, *, host: str | None = None) -> int:
        """Return how many worker processes, of all hosts or of one, said lately that they watch a queue."""
        with self._link.commands() as redis:
            alive = decoded(redis.zrangebyscore(f"{_BEATS}:{queue}", self._clock(), "+inf"))
        return sum(host in {None, worker.rpartition(":")[0]} for worker in alive)

    def check(self) -> None:
        """Return if Redis answers."""
        with self._link.commands() as redis:
            redis.ping()
