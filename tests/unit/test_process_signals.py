"""A process ends when it is told to, whatever its main thread holds at that moment."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from stack.services import ROOT

PATIENCE_S = 60.0
"""Longer than any interpreter takes to start; one that is stuck takes for ever."""


def end_of(program: str) -> int:
    return subprocess.run([sys.executable, "-c", dedent(program)], cwd=ROOT, timeout=PATIENCE_S, check=False).returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_midst_of_waiting_ends_the_wait(number: signal.Signals) -> None:
    # `wait` holds this lock for a moment each time that it begins and ends; here the signal comes in that moment.
    program = f"""
        import signal
        from worker.duties import until_told_to_stop
        stop = until_told_to_stop()
        with stop._cond:
            signal.raise_signal({int(number)})
        stop.wait()
    """
    assert end_of(program) == 0


def test_a_signal_of_which_the_main_thread_hears_nothing_ends_its_wait() -> None:
    # As for one that comes when the main thread is about to wait: it is delivered, and no wait is interrupted by it.
    program = """
        import signal, threading
        from worker.duties import until_told_to_stop
        stop = until_told_to_stop()
        threading.Timer(0.5, signal.raise_signal, [signal.SIGTERM]).start()
        stop.wait()
    """
    assert end_of(program) == 0


def test_each_of_several_signals_is_heard() -> None:
    program = """
        import signal, threading
        from shared.process_signals import on_signals
        heard, lock = threading.Semaphore(0), threading.Lock()
        def hear():
            with lock:
                heard.release()
        on_signals([signal.SIGTERM, signal.SIGHUP], hear)
        with lock:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
        heard.acquire()
        heard.acquire()
    """
    assert end_of(program) == 0
