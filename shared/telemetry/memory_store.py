"""Amounts and signs of life in memory, for tests and trials; they keep the same contract as those in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from shared.clock import to_ms
from shared.jobs.memory_state import MemoryState, atomic
from shared.names import QueueName
from shared.schemas import JobStatus
from shared.telemetry.store import CANARY_KEPT_S, QueueState, SignsOfLife, Snapshot


class MemoryMetricStore:
    """Beside the records of jobs, over the same state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    @atomic
    def add(self, token: str, amounts: Mapping[str, float]) -> bool:
        """Add amounts to their series."""
        records = self._state.records
        if token in records.tokens:
            return False
        records.tokens.add(token)
        for name, amount in amounts.items():
            records.counts[name] += amount
        return True

    @atomic
    def hold(self, process: str, values: Mapping[str, float], *, valid_s: float) -> None:
        """Note what a process holds now."""
        self._state.records.held_amounts[process] = (self._state.after(valid_s), dict(values))

    @atomic
    def snapshot(self) -> Snapshot:
        """Return all of it."""
        records, now = self._state.records, self._state.clock()
        jobs = [entry.record for entry in records.jobs.values()]
        return Snapshot(
            counts=dict(records.counts),
            held=[values for until_ms, values in records.held_amounts.values() if until_ms >= now and values],
            open_jobs=Counter((job.queue, job.status) for job in jobs if not job.status.is_terminal),
            queues={queue: self._queue_state(queue) for queue in QueueName},
            cleanups_owed=len(records.cleanups),
            cleanups_oldest_ms=min(records.cleanups.values(), default=None),
            is_rebuilt=records.rebuilt,
            taken_ms=now,
        )

    def _queue_state(self, queue: QueueName) -> QueueState:
        records, now = self._state.records, self._state.clock()
        if queue.takes_turns:
            turns = records.turns[queue]
            depth = turns.in_turn() + len(turns.lines_up_ms)
            handed_out = sorted(turns.lines_up_ms, key=lambda job_id: (turns.lines_up_ms[job_id], job_id))[:1]
            first = [*(min(waiting) for waiting in turns.waiting.values()), *handed_out]
        else:
            first = [
                job_id
                for job_id, entry in records.jobs.items()
                if entry.record.queue is queue and entry.record.status is JobStatus.QUEUED
            ]
            depth = len(first)
        since_ms = [records.jobs[job_id].queued_ms for job_id in first if job_id in records.jobs]
        live = sum(watched is queue and until_ms >= now for (watched, _, _), until_ms in records.beats.items())
        return QueueState(depth, min(since_ms, default=None), live, self._signs(queue))

    @atomic
    def signs(self, queue: QueueName) -> SignsOfLife:
        """Return what is known of the workers of a queue."""
        return self._signs(queue)

    def _signs(self, queue: QueueName) -> SignsOfLife:
        until_ms, signs = self._state.records.canaries.get(queue, (0, SignsOfLife()))
        if until_ms <= self._state.clock():
            signs = SignsOfLife()
        return replace(signs, measured_ms=self._state.records.measured_ms.get(queue))

    @atomic
    def canary_sent(self, queue: QueueName) -> None:
        """Note that a canary was sent."""
        self._note(queue, replace(self._signs(queue), sent_ms=self._state.clock()))

    @atomic
    def canary_measured(self, queue: QueueName, *, took_s: float, is_ok: bool) -> None:
        """Note that a canary was measured."""
        now = self._state.clock()
        signs = replace(self._signs(queue), answered_ms=now)
        self._note(queue, replace(signs, ok_ms=now, canary_s=took_s) if is_ok else signs)

    def _note(self, queue: QueueName, signs: SignsOfLife) -> None:
        self._state.records.canaries[queue] = (self._state.clock() + to_ms(CANARY_KEPT_S), signs)
