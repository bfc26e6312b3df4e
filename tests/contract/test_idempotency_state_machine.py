"""Random orders of requests under two keys, with the API dying anywhere, parts away and records lost, over both stores.

The model knows only what clients were told. Whatever the order: a key that a client was told a job of names that job
and no other until it is deleted or a day is over, and another request under it is refused.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Requests
from hypothesis.stateful import RuleBasedStateMachine, consumes, initialize, rule, run_state_machine_as_test

from api.idempotency import HeldKey
from api.problems import ProblemError
from shared.clock import system_clock
from shared.errors import KeyTaken, StorageUnavailable, Transient
from shared.jobs.archive import Traces
from shared.jobs.idempotency import LOCK_S, KeyMark, KeySlot
from shared.jobs.lifecycle import JobLifecycle, Upload
from shared.jobs.record import JobRecord
from shared.jobs.replays import accepted_job
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions
from tests.core import PHOTO, Core
from tests.orders import TIMES

KEYS, CONTENTS = st.sampled_from("ab"), st.sampled_from("xy")
DEATHS = st.sampled_from([None, *range(10)])
"""Before which call to storage or records the API dies; accepting a job makes ten, counting each before and after."""


class KilledHere(BaseException):
    """The process is gone: nothing after this is done, and nobody is told anything."""


class Fuse:
    """Lets a process die before or after one of its calls."""

    def __init__(self, steps: int | None) -> None:
        self.left = steps

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KilledHere


class Mortal:
    """Whatever it stands for, used by a process with a fuse."""

    def __init__(self, target: Any, fuse: Fuse) -> None:
        self._target = target
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name == "idempotency":
            return Mortal(found, self._fuse)
        return self._dying(found) if callable(found) else found

    def _dying(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.step()
            answer = method(*args, **kwargs)
            self._fuse.step()
            return answer

        return call


class Fading:
    """Storage that goes away within a request, after so many calls; what it was asked last it may still do."""

    def __init__(self, target: Any, calls_left: int, *, does_the_last: bool) -> None:
        self._target = target
        self._calls_left = calls_left
        self._does_the_last = does_the_last

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls_left -= 1
            if self._calls_left >= 0:
                return method(*args, **kwargs)
            if self._calls_left == -1 and self._does_the_last:
                method(*args, **kwargs)
            raise StorageUnavailable(name)

        return call


def _mortal(target: Any, fuse: Fuse) -> Any:
    return Mortal(target, fuse)


@dataclass
class Open:
    """A request that holds its key, or knows what that stands for."""

    slot: KeySlot
    content: str
    held: HeldKey


class KeysOfClients(RuleBasedStateMachine):
    make_core: ClassVar[Any] = Core
    requests = Requests("requests")

    @initialize()
    def start(self) -> None:
        self.core: Core = type(self).make_core()
        self.core.clock.now_ms = system_clock()  # the age of a job is told by its id
        self.storage: Any = self.core.objects
        self.told: dict[KeySlot, tuple[str, str]] = {}
        self.core.reconciler.round()

    @rule(target=requests, key=KEYS, content=CONTENTS)
    def arrive(self, key: str, content: str) -> Open | None:
        return self._arrived(key, content)

    def _key(self, slot: KeySlot) -> HeldKey:
        stands, bury = partial(self._stands, self.core.jobs), partial(self.core.jobs.bury, LOCAL_TENANT)
        return HeldKey(self.core.store.idempotency, slot, stands, bury, self.core.clock)

    def _stands(self, process: JobLifecycle, job_id: str) -> bool:
        return accepted_job(process, LOCAL_TENANT, job_id) is not None

    def _arrived(self, key: str, content: str) -> Open | None:
        slot = KeySlot.of(LOCAL_TENANT, key)
        held = self._key(slot)
        try:
            held.reserve()
        except (ProblemError, Transient):
            return None
        return Open(slot, content, held)

    @rule(request=consumes(requests), dies_at=DEATHS)
    def go_on(self, request: Open | None, dies_at: int | None) -> None:
        if request is not None:
            self._answer(request, Fuse(dies_at))

    @rule(key=KEYS, content=CONTENTS, dies_at=DEATHS)
    def arrive_and_go_on(self, key: str, content: str, dies_at: int | None) -> None:
        request = self._arrived(key, content)
        if request is not None:
            self._answer(request, Fuse(dies_at))

    @rule(key=KEYS, content=CONTENTS, calls=st.integers(0, 4), does_the_last=st.booleans())
    def arrive_and_lose_storage(self, key: str, content: str, calls: int, does_the_last: bool) -> None:
        request = self._arrived(key, content)
        if request is not None:
            self.storage = Fading(self.core.objects, calls, does_the_last=does_the_last)
            self._answer(request, Fuse(None))
            self.storage = self.core.objects

    @rule(key=KEYS, content=CONTENTS)
    def stand_still_and_be_overtaken(self, key: str, content: str) -> None:
        request = self._arrived(key, content)
        if request is not None:
            self._answer(request, Fuse(None), lambda: self._overtake(key, content))

    def _overtake(self, key: str, content: str) -> None:
        self.time_passes(LOCK_S + 1)
        self.arrive_and_go_on(key, content, None)

    def _answer(self, request: Open, fuse: Fuse, meanwhile: Callable[[], None] = lambda: None) -> None:
        try:
            record, is_replay = self._settle(request, fuse, meanwhile)
        except KilledHere:
            return
        except ProblemError as problem:
            if problem.kind.code == "idempotency_key_reused" and request.slot in self.told:
                assert self.told[request.slot][1] != request.content
            request.held.release()
            return
        except (KeyTaken, Transient):
            request.held.release()
            return
        if request.slot in self.told:
            assert is_replay
            assert self.told[request.slot] == (record.id, request.content)
        self.told[request.slot] = record.id, request.content

    def _settle(
        self, request: Open, fuse: Fuse, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[JobRecord, bool]:
        core = self.core
        store, objects, doorbell = (_mortal(part, fuse) for part in (core.store, self.storage, core.doorbell))
        process = JobLifecycle(store, objects, doorbell, core.settings, core.clock)

        def make(mark: KeyMark | None) -> JobRecord:
            meanwhile()
            options = JobOptions(reference=request.content)
            return process.accept(
                LOCAL_TENANT, Upload(io.BytesIO(PHOTO), "image/jpeg"), options, QueueName.INTERACTIVE, mark
            )

        request.held._stands = partial(self._stands, process)  # it may die in there, too
        request.held._bury = partial(process.bury, LOCAL_TENANT)
        return request.held.settle(
            lambda: request.content, find=lambda job_id: accepted_job(process, LOCAL_TENANT, job_id), make=make
        )

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        slot = KeySlot.of(LOCAL_TENANT, key)
        if slot in self.told:
            self.core.jobs.delete(LOCAL_TENANT, self.told[slot][0])
            del self.told[slot]

    @rule(seconds=st.sampled_from([1.0, LOCK_S / 2 + 1, LOCK_S + 1]))
    def time_passes(self, seconds: float) -> None:
        """Sweeps come more often than locks end, or else a dead request could be made again before it is found."""
        self.core.reconciler.round()
        self.core.reconciler.sweep()
        self.core.clock.advance(seconds)

    @rule(key=KEYS, content=CONTENTS)
    def arrive_while_storage_is_away(self, key: str, content: str) -> None:
        self.core.objects.away = True
        self.arrive_and_go_on(key, content, None)
        self.core.objects.away = False

    @rule(key=KEYS, content=CONTENTS)
    def lose_records_and_arrive_before_the_rebuild(self, key: str, content: str) -> None:
        self.core.lose_records()
        self.arrive_and_go_on(key, content, None)
        self.core.reconciler.round()

    @rule(what=st.sampled_from(["sweep", "audit"]))
    def upkeep(self, what: str) -> None:
        getattr(self.core.reconciler, what)()

    @rule()
    def work(self) -> None:
        self.core.work()

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        self.time_passes(LOCK_S + 1)
        made = [
            self._slot_of(traces)
            for traces in self.core.jobs.archive.survey()
            if traces.uploaded or traces.last_outcome
        ]
        assert len(made) == len(set(made))
        for slot, (job_id, content) in self.told.items():
            held = self._key(slot)
            held.reserve()
            record, is_replay = self._settle(Open(slot, content, held), Fuse(None))
            assert (record.id, is_replay) == (job_id, True)

    def _slot_of(self, traces: Traces) -> KeySlot:
        mark = self.core.jobs.archive.kept_mark(traces.tenant, traces.job_id)
        assert mark is not None
        return mark.slot


@pytest.mark.timeout(300 * TIMES)
def test_random_orders_of_requests(any_core: Any) -> None:
    machine = type("KeysOverAStore", (KeysOfClients,), {"make_core": staticmethod(any_core.make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=any_core.examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("dies_at", range(10))
@pytest.mark.parametrize("pause_s", [0.0, LOCK_S + 1])
def test_killed_at_any_point_and_sent_again(any_core: Any, dies_at: int, pause_s: float) -> None:
    machine = type("KilledOnce", (KeysOfClients,), {"make_core": staticmethod(any_core.make)})()
    machine.start()
    for fuse in (Fuse(dies_at), Fuse(None)):
        request = machine._arrived("a", "x")
        if request is not None:
            machine._answer(request, fuse)
        machine.time_passes(pause_s)
    if not machine.told:  # the dead one held the key
        machine.time_passes(LOCK_S + 1)
        machine._answer(machine._arrived("a", "x"), Fuse(None))
    assert len(machine.told) == 1
    machine.teardown()


def test_what_was_left_behind_is_not_buried_once_it_stands(any_core: Any) -> None:
    """Found by the random orders: a request that waits, while records are lost and a photo comes to stand."""
    machine = type("LeftBehind", (KeysOfClients,), {"make_core": staticmethod(any_core.make)})()
    machine.start()
    machine.arrive_and_lose_storage("a", "x", 1, True)
    waiting = machine._arrived("a", "x")
    machine.lose_records_and_arrive_before_the_rebuild("a", "x")
    machine.arrive_and_go_on("a", "x", None)
    assert len(machine.told) == 1
    machine._answer(waiting, Fuse(None))
    machine.teardown()


@pytest.mark.parametrize("calls", range(5))
@pytest.mark.parametrize("does_the_last", [False, True])
@pytest.mark.parametrize("is_swept", [False, True])
def test_storage_lost_at_any_point_and_sent_again(
    any_core: Any, calls: int, does_the_last: bool, is_swept: bool
) -> None:
    machine = type("LostOnce", (KeysOfClients,), {"make_core": staticmethod(any_core.make)})()
    machine.start()
    machine.arrive_and_lose_storage("a", "x", calls, does_the_last)
    if is_swept:
        machine.core.reconciler.sweep()
    machine.arrive_and_go_on("a", "x", None)
    assert len(machine.told) == 1, "no lock is waited for"
    machine.teardown()
