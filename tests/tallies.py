"""What has been counted, and that it adds up."""

from __future__ import annotations

from shared.jobs.store import JobStore
from shared.metrics import ACCEPTED, DROPPED_OPEN, REOPENED, RESTORED, TERMINAL, parts
from shared.names import QueueName
from shared.telemetry.store import Snapshot


def tallied(store: JobStore) -> dict[str, float]:
    return dict(store.metrics.snapshot().counts)


def total(snapshot: Snapshot, name: str, queue: QueueName) -> float:
    found = ((parts(kept), amount) for kept, amount in snapshot.counts.items())
    return sum(amount for (counted, labels), amount in found if counted == name and labels[0] == queue)


def assert_adds_up(store: JobStore) -> None:
    """Whatever came in has ended, was dropped, or is open."""
    snapshot = store.metrics.snapshot()
    for queue in QueueName:
        came = sum(total(snapshot, name, queue) for name in (ACCEPTED, RESTORED, REOPENED))
        went = sum(total(snapshot, name, queue) for name in (TERMINAL, DROPPED_OPEN))
        still_open = sum(count for (where, _), count in snapshot.open_jobs.items() if where is queue)
        assert came == went + still_open, (queue, snapshot.counts, snapshot.open_jobs)
