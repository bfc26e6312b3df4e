"""Random orders of admissions over both stores, against a plain model: what was taken when, and what is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from shared.admission.limits import LimitKind, TenantLimits
from shared.admission.store import NOTHING, Take
from shared.names import LOCAL_TENANT
from shared.schemas import JobStatus
from tests.contract.conftest import AnyCore
from tests.contract.records import end, make_record
from tests.core import Core

LEASE_S = 40.0
LIMITS = TenantLimits(photos_per_minute=4, open_jobs=5, bytes_per_day=900, open_batches=2)
MINUTE_MS, SECOND_MS = 60_000, 1000
DAY_MS, TEN_MINUTES_MS = 86_400_000, 600_000
TOKENS = st.sampled_from("abcd")


@dataclass
class Taken:
    take: Take
    at_ms: int
    until_ms: int
    is_held: bool = True

    def counts_until_ms(self, span_ms: int, step_ms: int) -> int:
        return self.at_ms - self.at_ms % step_ms + step_ms + span_ms


class Admissions(RuleBasedStateMachine):
    any_core: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.core: Core = self.any_core.make()
        self.store = self.core.store
        self.taken: list[tuple[str, Taken]] = []
        self.jobs: dict[str, bool] = {}

    def now(self) -> int:
        return int(self.core.clock())

    def counts(self) -> dict[LimitKind, int]:
        now = self.now()
        all_taken = [taken for _, taken in self.taken]
        held = [taken.take for taken in all_taken if taken.is_held and taken.until_ms > now]
        return {
            LimitKind.PHOTOS: sum(
                taken.take.photos for taken in all_taken if taken.counts_until_ms(MINUTE_MS, SECOND_MS) > now
            ),
            LimitKind.JOBS: sum(take.jobs for take in held) + sum(self.jobs.values()),
            LimitKind.BYTES: sum(
                taken.take.size_bytes for taken in all_taken if taken.counts_until_ms(DAY_MS, TEN_MINUTES_MS) > now
            ),
            LimitKind.BATCHES: sum(take.batches for take in held),
        }

    def give_up(self, token: str) -> None:
        """Forget what is held under a token, unless its lease ran out: then its minute and its day stay as they are."""
        self.taken = [
            (name, taken)
            for name, taken in self.taken
            if name != token or not taken.is_held or not self.is_known(taken)
        ]

    def is_known(self, taken: Taken) -> bool:
        return taken.until_ms > self.now()

    @rule(
        token=TOKENS,
        photos=st.integers(0, 2),
        jobs=st.integers(0, 3),
        size_bytes=st.sampled_from([0, 100, 450]),
        batches=st.integers(0, 1),
    )
    def admit(self, token: str, photos: int, jobs: int, size_bytes: int, batches: int) -> None:
        take = Take(photos=photos, jobs=jobs, size_bytes=size_bytes, batches=batches)
        self.look()
        self.give_up(token)
        counts = self.counts()
        over = [kind for kind in LimitKind if take.of(kind) and counts[kind] + take.of(kind) > LIMITS.of(kind)]
        decision = self.store.admissions.admit(LOCAL_TENANT, token, take, LIMITS, lease_s=LEASE_S)
        assert decision.refused == (over[0] if over else None)
        if not over and take != NOTHING:
            self.taken.append((token, Taken(take, self.now(), self.now() + round(LEASE_S * 1000))))
        assert {kind: decision.usage.of(kind) for kind in LimitKind} == self.counts()

    @rule(token=TOKENS)
    def keep(self, token: str) -> None:
        held = [taken for name, taken in self.taken if name == token and taken.is_held and self.is_known(taken)]
        assert self.store.admissions.keep(LOCAL_TENANT, token, lease_s=LEASE_S) == bool(held)
        for taken in held:
            taken.until_ms = self.now() + round(LEASE_S * 1000)

    @rule(token=TOKENS, size_bytes=st.sampled_from([0, 80]))
    def settle(self, token: str, size_bytes: int) -> None:
        self.look()
        held = [taken for name, taken in self.taken if name == token and taken.is_held and self.is_known(taken)]
        assert self.store.admissions.settle(LOCAL_TENANT, token, size_bytes=size_bytes) == bool(held)
        for taken in held:
            take, taken.is_held = taken.take, False
            taken.take = Take(take.photos, take.jobs, min(size_bytes, take.size_bytes), take.batches)

    @rule(seconds=st.sampled_from([0.4, 7.0, 41.0, 61.0, 700.0, 90_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.core.clock.advance(seconds)

    @rule()
    def open_a_job(self) -> None:
        record = make_record()
        assert self.store.create(record)
        self.jobs[record.id] = True

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9), status=st.sampled_from([JobStatus.SUCCEEDED, JobStatus.FAILED]))
    def end_a_job(self, number: int, status: JobStatus) -> None:
        job_id = sorted(self.jobs)[number % len(self.jobs)]
        record = self.store.get(job_id)
        assert record is not None
        self.store.settle(end(record, status))
        self.jobs[job_id] = False

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9))
    def run_a_job_again(self, number: int) -> None:
        job_id = sorted(self.jobs)[number % len(self.jobs)]
        record = self.store.get(job_id)
        assert record is not None
        if self.store.reopen(job_id, run=record.run + 1):
            self.jobs[job_id] = True

    @rule()
    def records_are_lost(self) -> None:
        self.core.lose_records()
        self.taken, self.jobs = [], {}

    @invariant()
    def look(self) -> None:
        decision = self.store.admissions.admit(LOCAL_TENANT, "nobody", NOTHING, LIMITS, lease_s=LEASE_S)
        assert decision.refused is None
        assert {kind: decision.usage.of(kind) for kind in LimitKind} == self.counts()


def test_admissions_in_any_order_of_things(any_core: AnyCore) -> None:
    machine = type("AdmissionsOverAStore", (Admissions,), {"any_core": any_core})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=any_core.examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
