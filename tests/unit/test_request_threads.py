"""The threads that answer requests: all that is given is done, on no more threads than were asked for."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from api.request_threads import RequestThreads

ROOT = Path(__file__).parents[2]
PATIENCE_S = 10.0


@pytest.fixture
def threads() -> Iterator[RequestThreads]:
    made = RequestThreads(3)
    yield made
    made.shutdown()


def test_what_comes_one_by_one_is_done_on_one_thread(threads: RequestThreads) -> None:
    seen: list[int] = []
    done = threading.Semaphore(0)

    def work() -> None:
        seen.append(threading.get_ident())
        done.release()

    for _ in range(20):
        threads.give(work)
        assert done.acquire(timeout=PATIENCE_S)
        while not threads._idle:  # it says that it is done before it is idle
            pass
    assert len(set(seen)) == 1


def test_what_comes_while_all_are_busy_waits_in_its_order(threads: RequestThreads) -> None:
    go_on, busy, done = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
    order: list[int] = []

    def hold() -> None:
        busy.release()
        go_on.wait(PATIENCE_S)

    def note(number: int) -> None:
        order.append(number)
        done.release()

    for _ in range(3):
        threads.give(hold)
    assert all(busy.acquire(timeout=PATIENCE_S) for _ in range(3))
    for number in range(50):
        threads.give(lambda number=number: note(number))  # type: ignore[misc]
    assert not order
    go_on.set()
    assert all(done.acquire(timeout=PATIENCE_S) for _ in range(50))
    assert sorted(order) == list(range(50))
    assert len(threads._threads) == 3


def test_many_givers_lose_nothing() -> None:
    threads = RequestThreads(4)
    count, lock = [0], threading.Lock()

    def work() -> None:
        with lock:
            count[0] += 1

    def give_many() -> None:
        for _ in range(500):
            threads.give(work)

    givers = [threading.Thread(target=give_many) for _ in range(4)]
    with ExitStack() as ends:
        for giver in givers:
            giver.start()
            ends.callback(giver.join)
    threads.shutdown()
    assert count == [2000]
    assert not any(thread.is_alive() for thread in threads._threads)


def test_an_end_lets_what_was_given_be_done_and_takes_no_more(threads: RequestThreads) -> None:
    go_on, done = threading.Event(), threading.Event()
    for _ in range(3):
        threads.give(lambda: bool(go_on.wait(PATIENCE_S)))  # type: ignore[arg-type]
    threads.give(done.set)
    threads.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="ended"):
        threads.give(done.set)
    assert not done.is_set()
    go_on.set()
    threads.shutdown()
    assert done.is_set()


PROGRAM = """
import sys, threading, time
from api.request_threads import RequestThreads
threads = RequestThreads(2)
threads.give(lambda: None)
begun = threading.Event()
def work():
    begun.set()
    time.sleep(0.5)
    print("answered", flush=True)
threads.give(work)
begun.wait()
sys.exit(3)
"""


def test_a_process_that_ends_without_a_word_answers_first_and_does_not_hang() -> None:
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (3, "answered\n"), run.stderr


def test_where_the_system_gives_no_more_threads_those_that_are_there_take_turns(
    threads: RequestThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, done = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        go_on.wait(PATIENCE_S)
        done.release()

    threads.give(hold)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _refused)
        threads.give(done.release)
    go_on.set()
    assert all(done.acquire(timeout=PATIENCE_S) for _ in range(2))


def _refused(_: threading.Thread) -> None:
    message = "can't start new thread"
    raise RuntimeError(message)
