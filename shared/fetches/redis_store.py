"""The photos that are to be fetched, in Redis; see `FetchStore` for what each method does."""

from __future__ import annotations

import secrets

from shared.clock import Clock, to_ms
from shared.fetches.store import FetchClaim, FetchLimits
from shared.jobs.redis_fields import job_of
from shared.jobs.redis_link import RedisLink


class RedisFetchStore:
    """Shared by every process, beside the records of jobs."""

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    def claim(self, limits: FetchLimits, *, lease_s: float) -> FetchClaim | None:
        """Give a photo that is due to the caller, or None."""
        token = secrets.token_hex(16)
        at_once = (limits.per_receiver, limits.per_tenant, limits.per_receiver_all)
        answer = self._link.run("fetch_claim", self._clock(), self._in(lease_s), token, *at_once)
        job_id, *flat = answer or (b"",)
        if not flat:  # nothing is due, or what was is dropped, should this be the second try at one claim
            return None
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        step, lost = fields.get(b"fetch_step"), fields.get(b"fetch_lost")
        record = job_of(job_id.decode(), fields)
        return FetchClaim(record, token, int(step or 0), int(lost or 0), is_first=step is lost is None)

    def renew(self, claim: FetchClaim, *, lease_s: float) -> bool:
        """Let the lease begin anew."""
        return bool(self._link.run("fetch_renew", claim.record.id, claim.token, self._in(lease_s)))

    def put_off(self, claim: FetchClaim, *, due_ms: int, step: int) -> bool:
        """Take a claim back; the photo is due again at a time."""
        return bool(self._link.run("fetch_put_off", claim.record.id, claim.token, due_ms, step))
