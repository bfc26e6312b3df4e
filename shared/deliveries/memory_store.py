"""Records of deliveries in memory, for tests and trials; they keep the same contract as those in Redis."""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from shared.clock import Clock, system_clock, to_ms
from shared.deliveries.record import Attempt, DeliveryRecord, DeliveryStatus, Verdict, shown_url
from shared.deliveries.store import DeliveryClaim, DeliveryQuery, DisabledTarget, Limits, Overdue
from shared.errors import RecordsUnavailable

_P = ParamSpec("_P")
_R = TypeVar("_R")

_PENDING = DeliveryStatus.PENDING


@dataclass(slots=True)
class _Entry:
    record: DeliveryRecord
    token: str | None = None
    claimed_ms: int = 0
    lease_until_ms: int = 0
    is_held: bool = False
    unarchived_ms: int | None = None

    @property
    def lane(self) -> tuple[str, str]:
        return self.record.tenant, self.record.receiver

    @property
    def target(self) -> tuple[str, str]:
        return self.record.tenant, self.record.target


@dataclass(slots=True)
class _State:
    deliveries: dict[str, _Entry] = field(default_factory=dict)
    disabled: dict[tuple[str, str], DisabledTarget] = field(default_factory=dict)
    turns: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    lane_turns: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    turn: int = 0
    secrets_versions: dict[str, str] = field(default_factory=dict)
    rebuilding: set[str] = field(default_factory=set)
    rebuilt: bool = False


def _atomic(
    method: Callable[Concatenate[MemoryDeliveryStore, _P], _R],
) -> Callable[Concatenate[MemoryDeliveryStore, _P], _R]:
    @wraps(method)
    def locked(self: MemoryDeliveryStore, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        self.check()
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


class MemoryDeliveryStore:
    """The records of deliveries in this process; see `DeliveryStore` for what each method does.

    Attributes
    ----------
    away : bool
        Set to make every call raise `RecordsUnavailable`, as a stopped Redis would.
    """

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._state = _State()
        self._lock = threading.RLock()
        self.away = False

    def _in(self, seconds: float) -> int:
        return self._clock() + to_ms(seconds)

    @_atomic
    def create(self, record: DeliveryRecord) -> bool:
        """Write a record unless there is one; tell whether it was written."""
        if record.id in self._state.deliveries:
            return False
        self._state.deliveries[record.id] = _Entry(record)
        return True

    @_atomic
    def get(self, delivery_id: str) -> DeliveryRecord | None:
        """Return a record, or None."""
        entry = self._state.deliveries.get(delivery_id)
        return entry.record if entry else None

    @_atomic
    def claim(self, limits: Limits, *, lease_s: float) -> DeliveryClaim | None:
        """Give a delivery that is due to the caller, or None."""
        state, now = self._state, self._clock()
        self._hold_disabled()
        due = [entry for entry in self._waiting() if (entry.record.next_ms or 0) <= now]
        flying = [entry for entry in state.deliveries.values() if entry.token and entry.lease_until_ms > now]
        free = [
            entry
            for entry in due
            if sum(other.lane == entry.lane for other in flying) < limits.per_receiver
            and sum(other.record.tenant == entry.record.tenant for other in flying) < limits.per_tenant
            and sum(other.record.receiver == entry.record.receiver for other in flying) < limits.per_receiver_all
        ]
        if not free:
            return None
        entry = min(
            free,
            key=lambda e: (
                (state.turns[e.record.tenant], e.record.tenant),
                (state.lane_turns[e.lane], e.lane),
                (e.record.next_ms or 0, e.record.id),
            ),
        )
        state.turn += 1
        state.turns[entry.record.tenant] = state.lane_turns[entry.lane] = state.turn
        entry.token, entry.claimed_ms, entry.lease_until_ms = secrets.token_hex(16), now, self._in(lease_s)
        version = state.secrets_versions.get(entry.record.tenant, "")
        return DeliveryClaim(entry.record, entry.token, now, version)

    def _waiting(self) -> Iterator[_Entry]:
        for entry in self._state.deliveries.values():
            if entry.record.status is _PENDING and entry.token is None and not entry.is_held:
                yield entry

    def _hold_disabled(self) -> None:
        now = self._clock()
        for entry in self._waiting():
            disabled = self._state.disabled.get(entry.target)
            is_due = (entry.record.next_ms or 0) <= now
            if is_due and disabled and disabled.until_ms > now and not entry.record.is_forced:
                entry.is_held = True
                entry.record = replace(entry.record, next_ms=disabled.until_ms)

    @_atomic
    def settle(self, claim: DeliveryClaim, attempts: Sequence[Attempt], verdict: Verdict) -> DeliveryRecord | None:
        """Note attempts and what follows from them; return the record as it is then."""
        entry = self._state.deliveries.get(claim.record.id)
        if entry is None:
            return None
        entry.record = entry.record.with_attempts(attempts)
        arrived = verdict.status is DeliveryStatus.DELIVERED and entry.record.round == claim.record.round
        if entry.record.status is _PENDING and (entry.token == claim.token or arrived):
            self._follow(entry, verdict)
        entry.unarchived_ms = self._clock()
        return entry.record

    def _follow(self, entry: _Entry, verdict: Verdict) -> None:
        entry.token, entry.is_held = None, False
        entry.record = entry.record.after((), verdict)
        if verdict.disable_until_ms is not None:
            shown = shown_url(entry.record.url)
            disabled = DisabledTarget(shown, self._clock(), verdict.disable_until_ms, entry.record.id)
            self._state.disabled[entry.target] = disabled
        elif verdict.status is DeliveryStatus.DELIVERED:
            self._state.disabled.pop(entry.target, None)

    @_atomic
    def give_back(self, claim: DeliveryClaim, *, retry_after_s: float) -> bool:
        """Take a claim back as if it had not been given."""
        entry = self._state.deliveries.get(claim.record.id)
        if entry is None or entry.token != claim.token:
            return False
        entry.token = None
        entry.record = replace(entry.record, next_ms=self._in(retry_after_s))
        return True

    @_atomic
    def reopen(self, reopened: DeliveryRecord) -> bool:
        """Make a delivery due in the round that `reopened` is of."""
        entry = self._state.deliveries.get(reopened.id)
        if entry is None or entry.token is not None or entry.record.round != reopened.round - 1:
            return False
        entry.is_held = False
        entry.record = entry.record.reopened(reopened.next_ms or self._clock())
        return True

    @_atomic
    def drop(self, delivery_id: str) -> None:
        """Forget a record."""
        self._state.deliveries.pop(delivery_id, None)

    @_atomic
    def list_deliveries(self, query: DeliveryQuery) -> list[DeliveryRecord]:
        """Return up to `query.limit` deliveries, in falling order of their ids."""
        records = sorted((entry.record for entry in self._state.deliveries.values()), key=lambda r: r.id, reverse=True)
        return [
            record
            for record in records
            if query.takes(record) and (query.before_id is None or record.id < query.before_id)
        ][: query.limit]

    @_atomic
    def of_object(self, tenant: str, object_id: str) -> list[str]:
        """Return the ids of all deliveries of a job or batch."""
        records = [entry.record for entry in self._state.deliveries.values() if entry.record.tenant == tenant]
        return sorted(record.id for record in records if object_id in {record.job_id, record.batch_id})

    @_atomic
    def disabled_targets(self, tenant: str) -> list[DisabledTarget]:
        """Return the targets that are disabled now, the latest first."""
        found = [
            disabled
            for (owner, _), disabled in self._state.disabled.items()
            if owner == tenant and disabled.until_ms > self._clock()
        ]
        return sorted(found, key=lambda target: (target.since_ms, target.delivery_id), reverse=True)

    @_atomic
    def overdue(self) -> Overdue:
        """Return how much is due that no sender has taken."""
        due_ms = [at_ms for e in self._waiting() if (at_ms := e.record.next_ms or 0) <= self._clock()]
        return Overdue(len(due_ms), min(due_ms, default=None))

    @_atomic
    def lost_claims(self, limit: int) -> list[DeliveryClaim]:
        """Return claims whose lease ran out."""
        found = [e for e in self._state.deliveries.values() if e.token and e.lease_until_ms <= self._clock()]
        return [DeliveryClaim(entry.record, entry.token or "", entry.claimed_ms) for entry in found[:limit]]

    @_atomic
    def release_held(self, limit: int) -> int:
        """Make deliveries due whose target is enabled again; return how many there were."""
        now = self._clock()
        self._state.disabled = {key: target for key, target in self._state.disabled.items() if target.until_ms > now}
        held = [e for e in self._state.deliveries.values() if e.is_held and e.target not in self._state.disabled]
        for entry in held[:limit]:
            entry.is_held = False
            entry.record = replace(entry.record, next_ms=now)
        return len(held[:limit])

    @_atomic
    def unarchived(self, limit: int, *, grace_s: float) -> list[str]:
        """Return deliveries that changed more than `grace_s` ago and were not archived since."""
        until = self._in(-grace_s)
        entries = self._state.deliveries.items()
        return [found for found, entry in entries if entry.unarchived_ms is not None and entry.unarchived_ms <= until][
            :limit
        ]

    @_atomic
    def archived(self, record: DeliveryRecord) -> bool:
        """Note that storage has the record as it is here, or owes it again; False if there is no record."""
        entry = self._state.deliveries.get(record.id)
        if entry is not None:
            here = entry.record
            if (here.round, here.status, here.attempts) == (record.round, record.status, record.attempts):
                entry.unarchived_ms = None
            elif entry.unarchived_ms is None:
                entry.unarchived_ms = self._clock()
        return entry is not None

    @_atomic
    def expired(self, limit: int) -> list[DeliveryRecord]:
        """Return deliveries past their time of being kept."""
        due = [e.record for e in self._state.deliveries.values() if e.record.expires_ms <= self._clock()]
        return sorted(due, key=lambda r: (r.expires_ms, r.id))[:limit]

    @_atomic
    def renew_secrets_version(self, tenant: str) -> None:
        """Tell every sender to read the tenant's secrets anew."""
        self._state.secrets_versions[tenant] = secrets.token_hex(8)

    @_atomic
    def is_rebuilt(self) -> bool:
        """Tell whether the records are complete."""
        return self._state.rebuilt

    @_atomic
    def begin_rebuild(self) -> str:
        """Return a token that is lost with the records, should they be lost again."""
        token = secrets.token_hex(8)
        self._state.rebuilding.add(token)
        return token

    @_atomic
    def end_rebuild(self, token: str) -> bool:
        """Say that the records are complete, unless they were lost since `token` was given."""
        if token not in self._state.rebuilding:
            return False
        self._state.rebuilding.remove(token)
        self._state.rebuilt = True
        return True

    def forget_everything(self) -> None:
        """Lose all records, as a flushed Redis does."""
        with self._lock:
            self._state = _State()

    def check(self) -> None:
        """Return if the store is not set to be away."""
        if self.away:
            message = "the store in memory is set to be away"
            raise RecordsUnavailable(message)
