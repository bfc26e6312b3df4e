"""Records of batches in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.clock import Clock, to_ms
from shared.jobs.batch_record import BatchRecord
from shared.jobs.batch_store import BatchQuery, ItemQuery
from shared.jobs.record import JobRecord
from shared.jobs.redis_fields import Fields, batch_fields, batch_of, job_fields, job_of
from shared.jobs.redis_link import PREFIX, Argument, RedisLink, decoded
from shared.schemas import JobStatus

_AT_ONCE: Final = 500
"""Scripts sent together, so that none of them waits long and an answer comes well within its time-out."""
_LOOKED_AT: Final = 1000
"""Items that one script looks at, a few milliseconds of Redis' time."""


def _flat(fields: Fields) -> list[Argument]:
    return [part for pair in fields.items() for part in pair]


class RedisBatchStore:
    """The records of batches, shared by every process; see `BatchStore` for what each method does."""

    def __init__(self, link: RedisLink, clock: Clock, *, grace_s: float) -> None:
        self._link = link
        self._clock = clock
        self._grace_s = grace_s

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def create(self, batch: BatchRecord) -> bool:
        """Write the record of a batch that has no item yet."""
        look_ms = self._in(self._grace_s)
        return bool(self._link.run("create_batch", batch.id, self._clock(), look_ms, *_flat(batch_fields(batch))))

    def get(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts, or None."""
        found = self._read([batch_id])
        return found[0] if found else None

    def _read(self, batch_ids: Sequence[str]) -> list[BatchRecord]:
        with self._link.commands() as redis:
            pipeline = redis.pipeline(transaction=False)
            for batch_id in batch_ids:
                pipeline.hgetall(f"{PREFIX}batch:{batch_id}")
                pipeline.scard(f"{PREFIX}batch_gone:{batch_id}")
            answers = pipeline.execute()
        read = zip(batch_ids, answers[::2], answers[1::2], strict=True)
        return [batch_of(batch_id, fields, gone) for batch_id, fields, gone in read if fields]

    def list_batches(self, query: BatchQuery) -> list[BatchRecord]:
        """Return up to `query.limit` batches, newest first."""
        newest = f"({query.before_id}" if query.before_id else "+"
        with self._link.commands() as redis:
            key = f"{PREFIX}batches:{query.tenant}"
            ids = decoded(redis.zrevrangebylex(key, newest, "-", start=0, num=query.limit))
        return self._read(ids)

    def create_items(self, records: Sequence[JobRecord], *, restored: bool = False) -> list[bool]:
        """Write records unless they are there; tell of each whether it was."""
        written: list[bool] = []
        for start in range(0, len(records), _AT_ONCE):
            now, due = self._clock(), self._in(self._grace_s)
            calls = [
                [
                    *(
                        record.id,
                        now,
                        due,
                        record.batch_id or "",
                        int(record.announced_event is not None),
                        int(restored),
                    ),
                    *_flat(job_fields(record)),
                ]
                for record in records[start : start + _AT_ONCE]
            ]
            written += map(bool, self._link.run_many("create", calls))
        return written

    def items(self, query: ItemQuery) -> list[JobRecord]:
        """Return up to `query.limit` items in item order."""
        found: list[JobRecord] = []
        after = str(query.after_index).encode()
        while (wanted := query.limit - len(found)) > 0:
            after, looked_at, *ids = self._link.run(
                "batch_items", query.batch_id, query.status or "", after, wanted, _LOOKED_AT
            )
            if looked_at == 0:
                break
            names = decoded(ids)
            answers = self._link.hashes([f"job:{job_id}" for job_id in names])
            records = [job_of(job_id, fields) for job_id, fields in zip(names, answers, strict=True) if fields]
            found += [record for record in records if query.status in {None, record.status}]
        return found

    def item_ids(self, batch_id: str, limit: int) -> list[str]:
        """Return some items that have a record, also of a batch that has none any more."""
        with self._link.commands() as redis:
            return decoded(redis.zrange(f"{PREFIX}batch_items:{batch_id}", 0, limit - 1))

    def seal(self, batch_id: str, gone: Sequence[str] = ()) -> bool:
        """Say that every item has a record, but for those that are `gone`."""
        return bool(self._link.run("seal_batch", batch_id, self._clock(), *gone))

    def unseal(self, batch_id: str) -> bool:
        """Open a batch for another run of some items."""
        return bool(self._link.run("unseal_batch", batch_id, self._clock()))

    def start(self, batch_id: str, *, at_ms: int) -> bool:
        """Note that photos are measured as they come."""
        return bool(self._link.run("mark_batch", batch_id, self._clock(), "started_ms", at_ms))

    def cancel(self, batch_id: str, *, at_ms: int) -> bool:
        """Note that no further item is to be measured."""
        return bool(self._link.run("mark_batch", batch_id, self._clock(), "cancelled_ms", at_ms))

    def arrive(self, job_ids: Sequence[str]) -> int:
        """Queue those items that await their photo; return how many did."""
        arrived = 0
        for start in range(0, len(job_ids), _AT_ONCE):
            now, due = self._clock(), self._in(self._grace_s)
            part = job_ids[start : start + _AT_ONCE]
            arrived += sum(self._link.run_many("arrive", [[job_id, now, due] for job_id in part]))
        return arrived

    def due(self, limit: int, *, grace_s: float) -> list[str]:
        """Return batches that are not complete and were not looked at for `grace_s`, each once in that time."""
        return decoded(self._link.run("due_batches", self._clock(), limit, self._in(grace_s)))

    def look_again(self, batch_id: str) -> None:
        """Have a batch that is not complete looked at next."""
        with self._link.commands() as redis:
            redis.zadd(f"{PREFIX}open_batches", {batch_id: self._clock()}, xx=True)

    def expired(self, limit: int) -> list[str]:
        """Return batches past their time of being kept."""
        return self._link.due("batch_expiry", self._clock(), limit)

    def recount(self, batch_id: str) -> bool:
        """Count the items of a batch anew; tell whether its counts were right."""
        return bool(self._link.run("recount_batch", batch_id, self._clock(), *JobStatus))

    def drop(self, batch_id: str) -> None:
        """Forget a batch, but for which items have a record; no new ones can be written."""
        self._link.run("drop_batch", batch_id)

    def drop_items(self, job_ids: Sequence[str]) -> None:
        """Forget records of items, without a debt to storage."""
        for start in range(0, len(job_ids), _AT_ONCE):
            self._link.run("drop_items", self._clock(), *job_ids[start : start + _AT_ONCE])
